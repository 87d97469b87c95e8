"""What reaches the splines of a module that lie on knots of their own, and new values for its tensors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx, nn

from netdsl.backends.torch_fx.modes import Modes
from netdsl.backends.torch_fx.spline import bspline_on

Array = NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class SplineInputs:
    """What one set of knots is used for.

    Args: points: everything that reaches it in one call, (n, in).
    """

    path: str
    order: int
    points: Array


def spline_inputs(module: fx.GraphModule, inputs: Sequence[Any]) -> list[SplineInputs]:
    """Everything that reaches splines on knots that are a tensor of the module, in evaluation mode.

    Args: inputs: of the module, tensors or arrays. Knots inside of loops are not found.
    """
    state = module.state_dict()
    paths = {(tensor.data_ptr(), tensor.shape): path for path, tensor in state.items() if tensor.dim() == 2}
    like = next(iter(state.values()), torch.empty(0))
    seen: dict[tuple[str, int], list[Array]] = {}
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            _Watcher(module, paths, seen).run(*(_moved(value, like) for value in inputs))
    finally:
        module.train(was_training)
    return [SplineInputs(path, order, np.concatenate(parts)) for (path, order), parts in seen.items()]


def write(module: fx.GraphModule, values: Mapping[str, Array]) -> None:
    """Give tensors of the module's state new values, in place."""
    state = module.state_dict()
    with torch.no_grad():
        for path, value in values.items():
            state[path].copy_(torch.from_numpy(np.asarray(value)))


def _moved(value: Any, like: torch.Tensor) -> torch.Tensor:
    tensor = torch.as_tensor(value)
    return tensor.to(like) if tensor.is_floating_point() else tensor.to(like.device)


class _Watcher(fx.Interpreter):
    """Runs a module and notes what it computes splines of."""

    def __init__(
        self,
        module: fx.GraphModule,
        paths: Mapping[tuple[int, torch.Size], str],
        seen: dict[tuple[str, int], list[Array]],
    ) -> None:
        super().__init__(module)
        self._paths, self._seen = paths, seen

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if target is bspline_on:
            x, knots, order, _ = args
            path = self._paths.get((knots.data_ptr(), knots.shape))
            if path is not None and x.shape[-1:] == knots.shape[:1]:
                points = x.double().reshape(-1, x.shape[-1]).cpu().numpy()
                self._seen.setdefault((path, order), []).append(points)
        return super().call_function(target, args, kwargs)

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        child: nn.Module = self.fetch_attr(target)
        if isinstance(child, Modes):
            return _Watcher(child.eval_graph, self._paths, self._seen).run(*args)
        return super().call_module(target, args, kwargs)
