"""What a torch lowering is given."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch.fx import Proxy

from netdsl.dims import Dim
from netdsl.ir import Node
from netdsl.tensor_type import DType


class Emitter(Protocol):
    """Builds one `torch.fx.Graph`. Operands arrive as `Proxy`, so a lowering is ordinary torch code on them.

    Sizes come as `int` where they are constant and as `Proxy` (of an int) where they are free.
    """

    def dim(self, dim: Dim) -> "int | Proxy": ...

    def shape(self, dims: Sequence[Dim]) -> "tuple[int | Proxy, ...]": ...

    def dtype(self, dtype: DType) -> "torch.dtype | Proxy":
        """The torch type for `dtype`; for the network's own float type a `Proxy`, so that `.to(dtype)` moves it."""
        ...

    def device(self) -> Proxy:
        """The device of the module, for ops that create tensors."""
        ...

    def constant(self, values: Any, dtype: DType, shape: tuple[int, ...]) -> Proxy:
        """A tensor fixed when building, kept as a non-persistent buffer that `.to()` moves."""
        ...

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Proxy:
        """A `call_function` node, for functions that do not dispatch on Proxy (creation functions, helpers)."""
        ...


#: (emitter, node, operand proxies) -> result proxies.
Lower = Callable[[Emitter, Node, tuple[Proxy, ...]], tuple[Proxy, ...]]
