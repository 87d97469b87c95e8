"""How ops that only move elements tie axes: reshape, transpose, joins and cuts."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from netdsl.dims import Dim, product
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.pieces import Concat, Pad, Pick, Slice, Split, Stack, Unstack
from netdsl.ops.shape import Flip, Reshape, Squeeze, Transpose, Unsqueeze
from netdsl.passes.coupled_axes import Axes, Run, Term, joined, nested

Rule: TypeAlias = Callable[[Axes, Node], None]


def named_axes(node: Node) -> set[int]:
    """The axes that the op's `axis` or `axes` names, from 0."""
    op = node.op.normalised(node.operand_types)
    found: tuple[int, ...] | None = getattr(op, "axes", None)
    return set(found) if found is not None else {op.axis}  # type: ignore[attr-defined]


def others(terms: Sequence[Term], named: set[int]) -> list[Term]:
    """The terms at all other places."""
    return [term for at, term in enumerate(terms) if at not in named]


def _transpose(axes: Axes, node: Node) -> None:
    op = node.op.normalised(node.operand_types)
    assert isinstance(op, Transpose)
    terms = axes[node.operands[0]]
    axes.tie_all([terms[at] for at in op.perm], axes[node.result])


def _reshape(axes: Axes, node: Node) -> None:
    """Old and new axes with the same product are the same, one within another."""
    old, new = (list(axes[value]) for value in (*node.operands, node.result))
    if any(term.size == 0 for term in (*old, *new)):
        return
    while old or new:
        left, right = old[:1], new[:1]
        del old[:1], new[:1]
        while not (is_known := axes.equal(_size(left), _size(right))) and (old or new):
            is_left = not new or (bool(old) and _is_smaller(_size(left), _size(right)))
            (left if is_left else right).append((old if is_left else new).pop(0))
        if not is_known:
            axes.fix((*left, *right), "lays out an unknown number of them")
        elif left and right:
            axes.tie(nested(left), nested(right))


def _size(terms: Sequence[Term]) -> Dim:
    return product(term.size for term in terms)


def _is_smaller(left: Dim, right: Dim) -> bool:
    """Whether the left needs another factor; of free sizes, whether the right is a multiple of it."""
    return left.value < right.value if left.is_const and right.is_const else right % left == 0


def _squeeze(axes: Axes, node: Node) -> None:
    longer, shorter = (node.operands[0], node.result) if isinstance(node.op, Squeeze) else (node.result, *node.operands)
    axes.tie_all(others(axes[longer], named_axes(node)), axes[shorter])


def _flip(axes: Axes, node: Node) -> None:
    named = named_axes(node)
    for at, (before, after) in enumerate(zip(*(axes[v] for v in (*node.operands, node.result)), strict=True)):
        if at in named:
            axes.fix((before, after), "turns them around")
        else:
            axes.tie(before, after)


def _concat(axes: Axes, node: Node) -> None:
    (at,) = named_axes(node)
    result = axes[node.result]
    for value in node.operands:
        axes.tie_all(others(axes[value], {at}), others(result, {at}))
    axes.tie(joined([axes[value][at] for value in node.operands]), result[at])


def _split(axes: Axes, node: Node) -> None:
    (x,) = node.operands
    (at,) = named_axes(node)
    for value in node.results:
        axes.tie_all(others(axes[x], {at}), others(axes[value], {at}))
    if node.results:
        axes.tie(joined([axes[value][at] for value in node.results]), axes[x][at])


def _stack(axes: Axes, node: Node) -> None:
    """Each entry of the new axis is an operand of its own."""
    (at,) = named_axes(node)
    whole, parts = (node.result, node.operands) if isinstance(node.op, Stack) else (node.operands[0], node.results)
    axes.fix([axes[whole][at]], "takes each by itself")
    for part in parts:
        axes.tie_all(axes[part], others(axes[whole], {at}))


def _slice(axes: Axes, node: Node) -> None:
    """The axis is what is before, what is taken, and what is after."""
    op = node.op.normalised(node.operand_types)
    assert isinstance(op, (Slice, Pick))
    terms, result, at = axes[node.operands[0]], list(axes[node.result]), op.axis
    start, stop = (op.start, op.stop) if isinstance(op, Slice) else (op.index, op.index + 1)
    taken = result.pop(at) if isinstance(op, Slice) else Run(Dim.of(1))
    axes.tie_all(others(terms, {at}), result)
    if isinstance(op, Slice) and op.step != 1:
        axes.fix((terms[at], taken), "takes some of them")
    elif not all(size.is_const for size in (start, stop, terms[at].size)):
        if axes.equal(taken.size, terms[at].size):
            axes.tie(terms[at], taken)
        else:
            axes.fix((terms[at], taken), "takes as many of them as sizes at run time tell")
    else:
        axes.tie(terms[at], joined([Run(start), taken, Run(terms[at].size - stop)]))


def _pad(axes: Axes, node: Node) -> None:
    """What is added in front is one run, what is added at the end another."""
    op = node.op
    assert isinstance(op, Pad)
    (x,) = node.operands
    first = x.type.rank - len(op.padding)
    for at, (term, result) in enumerate(zip(axes[x], axes[node.result], strict=True)):
        before, after = (Dim.of(0),) * 2 if at < first else op.padding[at - first]
        if before == 0 and after == 0:
            axes.tie(term, result)
        elif op.mode == "constant" and all(size.is_const for size in (before, after, term.size)):
            axes.tie(joined([Run(before), term, Run(after)]), result)
        else:
            axes.fix((term, result), "adds to them at their ends")


SHAPE_RULES: dict[type[Op], Rule] = {
    Reshape: _reshape,
    Transpose: _transpose,
    Squeeze: _squeeze,
    Unsqueeze: _squeeze,
    Flip: _flip,
    Concat: _concat,
    Split: _split,
    Stack: _stack,
    Unstack: _stack,
    Slice: _slice,
    Pick: _slice,
    Pad: _pad,
}
