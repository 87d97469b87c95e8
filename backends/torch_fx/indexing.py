"""Reading and writing by index."""

import torch
from torch.fx import Proxy

from netdsl.backends.torch_fx.context import Emitter, Lower
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.indexing import OneHot, Retarget, Scatter, ScatterAlong, Take, TakeAlong

_TORCH_NAME = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}
#: Types too narrow to add up many updates in.
_NARROW = (torch.float16, torch.bfloat16)


def scatter(x: torch.Tensor, axis: int, indices: torch.Tensor, updates: torch.Tensor, reduction: str) -> torch.Tensor:
    """x with the slices of `updates` combined into it."""
    if reduction == "none":
        return torch.cat((x, updates), axis).index_select(axis, last_writer(x.shape[axis], 0, indices))
    if reduction == "add":
        if x.dtype in _NARROW:
            return x.float().index_add(axis, indices, updates.float()).to(x.dtype)
        return x.index_add(axis, indices, updates)
    shape = [1] * x.dim()
    shape[axis] = indices.shape[0]
    return scatter_along(x, axis, indices.reshape(shape).expand(updates.shape), updates, reduction)


def scatter_along(
    x: torch.Tensor, axis: int, indices: torch.Tensor, updates: torch.Tensor, reduction: str
) -> torch.Tensor:
    """x with the elements of `updates` combined into it."""
    indices = indices.long()
    if reduction == "none":
        return torch.cat((x, updates), axis).gather(axis, last_writer(x.shape[axis], axis, indices))
    if x.dtype in _NARROW:
        return x.float().scatter_reduce(axis, indices, updates.float(), _TORCH_NAME[reduction]).to(x.dtype)
    return x.scatter_reduce(axis, indices, updates, _TORCH_NAME[reduction])


def last_writer(size: int, axis: int, indices: torch.Tensor) -> torch.Tensor:
    """For each place of a table of `size` entries, where its value stands in the table followed by the updates.

    torch does not say which of several updates of one place stays; the largest position does here.
    """
    view = [1] * indices.dim()
    view[axis] = -1
    shape = list(indices.shape)
    shape[axis] = size
    own = torch.arange(size, device=indices.device).reshape(view).expand(shape)
    update = torch.arange(size, size + indices.shape[axis], device=indices.device).reshape(view).expand(indices.shape)
    return own.scatter_reduce(axis, indices.long(), update, "amax")


def _take(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, Take)
    x, indices = operands
    t, rank = node.operands[0].type, node.operands[1].type.rank
    if rank == 0:
        return (x.index_select(op.axis, indices.reshape(1)).squeeze(op.axis),)
    if rank == 1:
        return (x.index_select(op.axis, indices),)
    if op.axis == 0 and t.rank == 2 and t.dtype.is_float:
        return (e.call(torch.nn.functional.embedding, indices, x),)
    return (x.index_select(op.axis, indices.reshape(-1)).unflatten(op.axis, indices.shape),)


def _take_along(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, TakeAlong)
    x, indices = operands
    return (x.gather(op.axis, indices.long()),)


def _scatter(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, Scatter)
    x, indices, updates = operands
    return (e.call(scatter, x, op.axis, indices, updates, op.reduction),)


def _scatter_along(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, ScatterAlong)
    x, indices, updates = operands
    return (e.call(scatter_along, x, op.axis, indices, updates, op.reduction),)


def _one_hot(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, OneHot)
    (indices,) = operands
    places = e.call(torch.arange, e.dim(op.size), device=e.device())
    is_hot = e.call(torch.eq, indices.unsqueeze(-1), places)
    return (is_hot if op.dtype.kind == "bool" else is_hot.to(e.dtype(op.dtype)),)


def _retarget(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, Retarget)
    indices = operands[0].long()
    return (indices if op.offset == 0 else e.call(torch.add, indices, e.dim(op.offset)),)


TABLE: dict[type[Op], Lower] = {
    Take: _take,
    TakeAlong: _take_along,
    Scatter: _scatter,
    ScatterAlong: _scatter_along,
    OneHot: _one_hot,
    Retarget: _retarget,
}

UNSUPPORTED: dict[type[Op], str] = {}
