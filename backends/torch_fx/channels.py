"""Functions of images that work on each channel by itself."""

from collections.abc import Callable
from typing import Any

import torch
from torch.fx import Proxy

from netdsl.backends.torch_fx.context import Emitter
from netdsl.ir import Node


def per_channel(e: Emitter, node: Node, x: Proxy, function: Callable[..., Any], *args: Any) -> Proxy:
    """`function(x, *args)`; torch refuses to have no channels: where that may be, they are part of the batch."""
    batch, channels = node.operand_types[0].sizes[:2]
    if channels.is_const and channels.value > 0:
        return e.call(function, x, *args)
    flat = e.call(torch.unsqueeze, e.call(torch.flatten, x, 0, 1), 1)
    y = e.call(torch.squeeze, e.call(function, flat, *args), 1)
    return e.call(torch.unflatten, y, 0, (e.dim(batch), e.dim(channels)))
