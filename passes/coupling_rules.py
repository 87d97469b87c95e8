"""How each op ties the axes of its operands to those of its results. An op without a rule fixes all of them.

A rule holds if the op gives the permuted results for operands that are permuted alike, whatever the free runs are.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from netdsl.dims import Dim
from netdsl.ir import Node, Value
from netdsl.ops import activation, comparison, cumulative, elementwise, reduction, unary
from netdsl.ops.base import Op
from netdsl.ops.convolution import Conv, ConvEach, ConvTranspose, ConvTransposeEach, Each
from netdsl.ops.creation import Constant, DimValue, Dropout, Eye, Full
from netdsl.ops.einsum_pattern import ELLIPSIS, Place, contract, parse_pattern
from netdsl.ops.gradient import StopGradient, WithGradient
from netdsl.ops.image import GridSample, Resize
from netdsl.ops.indexing import OneHot, Retarget, Scatter, ScatterAlong, Take, TakeAlong
from netdsl.ops.loop import Loop
from netdsl.ops.masks import LengthMask, Tril, Triu
from netdsl.ops.normalisation import BatchNorm, GroupNorm, LayerNorm, Moments, RmsNorm
from netdsl.ops.polynomial import Polynomials
from netdsl.ops.pooling import AdaptiveAvgPool, AvgPool, MaxPool
from netdsl.ops.product import Einsum, Matmul
from netdsl.ops.reduction import Reduction
from netdsl.ops.segment import SegmentReduce
from netdsl.ops.shape import Broadcast
from netdsl.ops.softmax import LogSoftmax, LogSumExp, Softmax
from netdsl.ops.sorting import ArgMax, ArgMin, Sort, TopK
from netdsl.ops.spectral import Irfft, Rfft
from netdsl.ops.spline import BSpline, BSplineOn
from netdsl.passes.coupled_axes import Axes, Run, Term, nested
from netdsl.passes.coupling_rules_shape import SHAPE_RULES, Rule, named_axes, others

_GRID = "works on a grid of them"
_ORDER = "goes along them in order"
_COUNTED = "counts them"


def visit(axes: Axes, node: Node) -> None:
    """Tie the axes of a node's operands and results."""
    axes.visiting(node)
    rule = RULES.get(type(node.op))
    if rule is not None:
        rule(axes, node)
    else:
        axes.fix([term for value in (*node.operands, *node.results) for term in axes[value]], "has no rule for them")


def _pointwise(axes: Axes, node: Node) -> None:
    """Softmax and the norms of the last axes too: any order of what they reduce gives the same."""
    for value in node.operands:
        for result in node.results:
            axes.align(axes[value], axes[result])


def _constant(axes: Axes, node: Node) -> None:
    """Along an axis on which all numbers are alike they may change places."""
    op = node.op
    assert isinstance(op, Constant)
    array = np.asarray(op.values).reshape(op.shape)
    for at, term in enumerate(axes[node.result]):
        if array.size and not (array == array.take([0], at)).all():
            axes.fix([term], "holds another number for each")


def _alike(axes: Axes, node: Node) -> None:
    """One number everywhere."""


def _eye(axes: Axes, node: Node) -> None:
    """Rows and columns move together."""
    axes.tie(*axes[node.result])


def _triangle(axes: Axes, node: Node) -> None:
    _pointwise(axes, node)
    axes.fix(axes[node.result][-2:], _ORDER)


def _along(axes: Axes, node: Node) -> None:
    """The axes that the op names keep their places, in its results too."""
    (x,) = node.operands
    named = named_axes(node)
    for value in (x, *node.results):
        axes.fix([term for at, term in enumerate(axes[value]) if at in named], _ORDER)
    for result in node.results:
        axes.tie_all(others(axes[x], named), others(axes[result], named))


def _transform(axes: Axes, node: Node) -> None:
    """Of real numbers or back: pairs are on a last axis."""
    named = named_axes(node)
    x, result = (axes[value] for value in (*node.operands, node.result))
    pairs, plain = (result, x) if isinstance(node.op, Rfft) else (x, result)
    axes.fix([pairs[-1], *(terms[at] for terms in (x, result) for at in named)], _ORDER)
    axes.tie_all(others(plain, named), others(pairs[:-1], named))


def _reduced(axes: Axes, node: Node) -> None:
    """What is reduced may come in any order."""
    (x,) = node.operands
    op = node.op
    named = set(op.axes_of(x.type)) if isinstance(op, Reduction) else named_axes(node)
    for result in node.results:
        is_kept = result.type.rank == x.type.rank
        axes.tie_all(others(axes[x], named), others(axes[result], named) if is_kept else axes[result])


def _chosen(axes: Axes, node: Node) -> None:
    """The result says which place."""
    axes.fix([term for at, term in enumerate(axes[node.operands[0]]) if at in named_axes(node)], _COUNTED)
    _reduced(axes, node)


def _basis(axes: Axes, node: Node) -> None:
    """The values of a basis at each element, on a new axis: each place of it is another function."""
    (at,) = named_axes(node)
    result = axes[node.result]
    axes.fix([result[at]], _ORDER)
    for index, value in enumerate(node.operands):
        terms = axes[value]
        if index:  # the knots
            axes.fix(terms[-1:], _ORDER)
            terms = terms[:-1]
        axes.align(terms, others(result, {at}))


def _matmul(axes: Axes, node: Node) -> None:
    a, b = (list(axes[value]) for value in node.operands)
    result = list(axes[node.result])
    if len(b) > 1:
        axes.tie(b.pop(), result.pop())
    axes.tie(a.pop(), b.pop())
    if a:
        axes.tie(a.pop(), result.pop())
    for leading in (a, b):
        axes.align(leading, result)


def _einsum(axes: Axes, node: Node) -> None:
    """A label is one run; a bracket is its labels one within another."""
    op = node.op
    assert isinstance(op, Einsum)
    pattern = parse_pattern(op.pattern)
    found = contract(pattern, op.sizes, node.operand_types, None)
    labels = {label: Run(axis.size) for label, axis in found.axes.items()}
    for value, places in zip((*node.operands, node.result), (*pattern.operands, pattern.result), strict=True):
        terms = axes[value]
        wanted: list[Place] = []
        for place in places:
            count = len(terms) - len(places) + 1
            wanted += [(f"...{at}",) for at in reversed(range(count))] if place == ELLIPSIS else [place]
        for place, term in zip(wanted, terms, strict=True):
            if place:
                axes.align([term], [nested([labels[name] for name in place])])


def _conv(axes: Axes, node: Node) -> None:
    """Channels are those of the groups, one group after another. A window of one place moves nothing."""
    op = node.op.normalised(node.operand_types)
    operands, result = [axes[value] for value in node.operands], axes[node.result]
    if isinstance(op, Each):
        for terms in operands:
            axes.align(terms[:1], result[:1])
        op, operands, result = op.slice, [terms[1:] for terms in operands], result[1:]
    assert isinstance(op, (Conv, ConvTranspose))
    x, weight, *bias = operands
    axes.tie(x[0], result[0])
    groups = Run(Dim.of(op.groups))
    inputs, outputs = Run(x[1].size // op.groups), Run(result[1].size // op.groups)
    axes.tie(x[1], nested([groups, inputs]))
    axes.tie(result[1], nested([groups, outputs]))
    axes.tie(weight[0], result[1] if isinstance(op, Conv) else x[1])
    axes.tie(weight[1], inputs if isinstance(op, Conv) else outputs)
    for terms in bias:
        axes.tie(terms[0], result[1])
    for at, (before, kernel, after) in enumerate(zip(x[2:], weight[2:], result[2:], strict=True)):
        if kernel.size == 1 and op.stride[at] == 1 and not any(op.padding[2 * at : 2 * at + 2]):
            axes.tie(before, after)
        else:
            axes.fix((before, kernel, after), _GRID)


def _grid(axes: Axes, node: Node) -> None:
    """(N, C, *spatial); a grid to sample at has its own batch of places."""
    x, *at, result = (axes[value] for value in (*node.operands, node.result))
    axes.tie_all(x[:2], result[:2])
    axes.fix((*x[2:], *result[2:]), _GRID)
    for places in at:
        axes.tie(places[0], x[0])
        axes.fix(places[1:], _GRID)


def _norm_of_channels(axes: Axes, node: Node) -> None:
    """Batch norm, and group norm with its groups one after another: scales stand beside axis 1."""
    x, *scales = (axes[value] for value in node.operands)
    axes.tie_all(x, axes[node.result])
    for scale in scales:
        axes.tie(scale[0], x[1])
    if isinstance(node.op, GroupNorm):
        groups = Dim.of(node.op.groups)
        axes.tie(x[1], nested([Run(groups), Run(x[1].size // groups)]))


def _take(axes: Axes, node: Node) -> None:
    """Rows of a table keep their places, their width is free."""
    (at,) = named_axes(node)
    x, indices = (axes[value] for value in node.operands)
    axes.fix([x[at]], _COUNTED)
    axes.tie_all((*x[:at], *indices, *x[at + 1 :]), axes[node.result])


def _take_along(axes: Axes, node: Node) -> None:
    (at,) = named_axes(node)
    x, indices = (axes[value] for value in node.operands)
    axes.fix([x[at]], _COUNTED)
    axes.tie_all(indices, axes[node.result])
    axes.tie_all(others(x, {at}), others(indices, {at}))


def _scatter(axes: Axes, node: Node) -> None:
    """Updates come in any order, but where the last one stays."""
    (at,) = named_axes(node)
    op = node.op
    assert isinstance(op, (Scatter, ScatterAlong))
    x, indices, updates = (axes[value] for value in node.operands)
    axes.tie_all(x, axes[node.result])
    axes.fix([x[at]], _COUNTED)
    axes.tie_all(others(x, {at}), others(updates, {at}))
    axes.tie_all(indices, updates if isinstance(op, ScatterAlong) else updates[at : at + 1])
    if op.reduction == "none":
        axes.fix([updates[at]], "keeps the last of them")


def _segment(axes: Axes, node: Node) -> None:
    """Rows come in any order as long as `by` does; groups are numbered."""
    x, by = (axes[value] for value in node.operands)
    result = axes[node.result]
    axes.tie(x[0], by[0])
    axes.fix(result[:1], _COUNTED)
    axes.tie_all(x[1:], result[1:])


def _last_is_new(axes: Axes, node: Node) -> None:
    """One hot and masks of lengths."""
    *kept, last = axes[node.result]
    axes.fix((last,), _COUNTED)
    axes.tie_all(axes[node.operands[0]], kept)


def _loop(axes: Axes, node: Node) -> None:
    """Steps keep their order; a carried value is the same at every step."""
    op = node.op
    assert isinstance(op, Loop)
    (region,) = node.regions
    operands, results = list(node.operands), list(node.results)
    arguments, following = list(region.arguments), list(region.results)
    for _ in range(op.sequences):
        _stacked(axes, op.axis, operands.pop(0), arguments.pop(0))
    lengths = [operands.pop(0)] if op.has_length else []
    if op.has_until:
        lengths.append(following.pop())
    for before, inside in zip(operands, arguments, strict=True):
        axes.tie_all(axes[before], axes[inside])
    for first, *later in zip(operands[: op.carries], following, results[op.yields :], strict=False):
        for value in later:
            axes.tie_all(axes[first], axes[value])
    yields = following[op.carries :]
    for step, whole in zip(yields, results[: op.yields], strict=True):
        _stacked(axes, min(op.axis, step.type.rank), whole, step)
    for rows in lengths:
        _rows(axes, axes[rows], (*operands[: op.carries - op.states], *yields))


def _stacked(axes: Axes, at: int, whole: Value, step: Value) -> None:
    axes.fix(axes[whole][at : at + 1], _ORDER)
    axes.tie_all(others(axes[whole], {at}), axes[step])


def _rows(axes: Axes, rows: Sequence[Term], values: Iterable[Value]) -> None:
    """The leading axes of `values` are these rows, or have one number for all of them."""
    for value in values:
        for row, term in zip(rows, axes[value], strict=False):
            if axes.equal(row.size, term.size):
                axes.tie(row, term)
            else:
                axes.fix((row, term), _COUNTED)


def _rules() -> Iterator[tuple[Rule, Sequence[type[Op]]]]:
    for family in (elementwise, comparison, unary, activation):
        yield _pointwise, family.OPS
    yield _pointwise, (Dropout, StopGradient, WithGradient, Broadcast, Retarget)
    yield _pointwise, (Softmax, LogSoftmax, LayerNorm, RmsNorm)
    yield _constant, (Constant,)
    yield _alike, (Full, DimValue)
    yield _eye, (Eye,)
    yield _triangle, (Tril, Triu)
    yield _along, (*cumulative.OPS, Sort, TopK)
    yield _transform, (Rfft, Irfft)
    yield _reduced, (*reduction.OPS, LogSumExp, Moments)
    yield _chosen, (ArgMax, ArgMin)
    yield _basis, (BSpline, BSplineOn, Polynomials)
    yield _matmul, (Matmul,)
    yield _einsum, (Einsum,)
    yield _conv, (Conv, ConvTranspose, ConvEach, ConvTransposeEach)
    yield _grid, (MaxPool, AvgPool, AdaptiveAvgPool, Resize, GridSample)
    yield _norm_of_channels, (BatchNorm, GroupNorm)
    yield _take, (Take,)
    yield _take_along, (TakeAlong,)
    yield _scatter, (Scatter, ScatterAlong)
    yield _segment, (SegmentReduce,)
    yield _last_is_new, (OneHot, LengthMask)
    yield _loop, (Loop,)


RULES: dict[type[Op], Rule] = {op: rule for rule, ops in _rules() for op in ops} | SHAPE_RULES
