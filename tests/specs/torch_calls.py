"""How the tests of the specs make and call torch modules."""

from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_map

from netdsl.api import Network
from netdsl.backends.torch_fx.dtypes import torch_dtype
from netdsl.sampling import sample_inputs
from netdsl.structs import arguments
from tests.std.three_way import stored_weights


def module_of(net: Network) -> torch.fx.GraphModule:
    """With random weights that are far from their initial values."""
    return net.torch(weights=stored_weights(net.graph))


def tensors(net: Network, sizes: dict[str, int], seed: int = 0) -> list[Any]:
    """Sampled arguments in order."""
    inputs = sample_inputs(net.graph, sizes, seed)
    return arguments(
        {n: torch.from_numpy(np.array(inputs[n])).to(torch_dtype(v.type.dtype)) for n, v in net.graph.inputs}
    )


def moved_to(dtype: torch.dtype, given: list[Any]) -> list[Any]:
    """The arguments, their floats of another type."""
    return tree_map(lambda t: t.to(dtype) if t.is_floating_point() else t, given)


def flat(results: Any) -> tuple[torch.Tensor, ...]:
    """The results as a tuple, also where there is one."""
    return results if isinstance(results, tuple) else (results,)
