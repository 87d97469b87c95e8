"""Records of parameters: `params[T]`, and what is computed with them (rule R9)."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from netdsl import syntax as s
from netdsl.check import statics
from netdsl.check.builder import ParamEntry, Template, join
from netdsl.check.initialiser_names import STACKED
from netdsl.check.report import Silent, mistake
from netdsl.check.types import axis_of
from netdsl.check.values import (
    POISON,
    BlockRef,
    CheckValue,
    DimValue,
    InstanceRef,
    LeafValue,
    RecordValue,
    TensorValue,
    describe,
)
from netdsl.did_you_mean import suggest
from netdsl.dims import Dim, Facts
from netdsl.ir import Init, Value
from netdsl.ops.shape import Reshape
from netdsl.source import Span
from netdsl.tensor_type import Axis, ShapeError, TensorType, unify_axis

if TYPE_CHECKING:
    from netdsl.check.body import Body


def block_of(value: CheckValue, span: Span, what: str) -> BlockRef:
    """The block that a static stands for.

    Raises: Mistake E0324: it is none.
    """
    if value is POISON:
        raise Silent
    if isinstance(value, InstanceRef):
        value = value.ref
    if not isinstance(value, BlockRef):
        raise mistake("E0324", f"{what} needs a block, found {describe(value)}", span)
    statics.require(value, span)
    return value


def leaves_of(body: "Body", ref: BlockRef, span: Span) -> tuple[LeafValue, ...]:
    """The parameters that a call of a block makes, in the order they are written in (rule R9).

    Raises: Mistake E0335: the block's inputs would say how large one is; Silent: its body was reported.
    """
    entries = [e for e in probe(body, ref, span).params if e.kind == "param"]
    return tuple(LeafValue(e.path, e.type.without_names(), e.init, i, len(entries)) for i, e in enumerate(entries))


def probe(body: "Body", ref: BlockRef, span: Span) -> Template:
    """A block checked on inputs whose sizes are what its header says, and free where it says nothing."""
    from netdsl.check.blocks import inner_body, template_of
    from netdsl.check.facts import assume_where
    from netdsl.check.network import free_inputs

    checker = body.checker
    inner = inner_body(checker, ref, body, span)
    inner.builder.facts = Facts.EMPTY
    inner.leading = (Axis(None, Dim.of("_")),)
    tensors = free_inputs(inner, ref.decl.header)
    inner.builder.facts = assume_where(inner, ref.decl.header)
    checker.probing += 1
    try:
        template = template_of(checker, ref, inner, tensors, {}, span)
    finally:
        checker.probing -= 1
    if template is None:
        raise Silent
    return template


# --- declared records -----------------------------------------------------------------------------


def written_record(
    body: "Body", written: s.NamedType, *, what: str
) -> tuple[str, tuple[LeafValue, ...], tuple[s.Expr, ...]]:
    """Block, leaves and leading axes of `params[T][B]`.

    Raises: Mistake E0304: brackets missing or too many; E0324: no block.
    """
    if not written.groups or len(written.groups[0]) != 1 or len(written.groups) > 2:
        raise mistake("E0304", "`params` is written `params[T]` or `params[T][axes]`", written.span)
    expr = written.groups[0][0]
    ref = block_of(body.evaluate(expr), expr.span, what)
    return ref.name, leaves_of(body, ref, expr.span), written.groups[1] if len(written.groups) == 2 else ()


def check_record(body: "Body", written: s.NamedType, value: CheckValue, place: Span, what: str) -> RecordValue:
    """Match a record with its declared type; a capital name met first here names a leading axis.

    Raises: Mistake E0214, E0366.
    """
    if value is POISON:
        raise Silent
    name, leaves, exprs = written_record(body, written, what="`params`")
    if not isinstance(value, RecordValue):
        raise mistake("E0214", f"{what} needs parameters of `{name}`, found {describe(value)}", place)
    check_same_leaves(leaves, name, value, place)
    if len(exprs) != len(value.leading):
        raise mistake(
            "E0214",
            f"{what} is declared with {len(exprs)} leading axes, found {len(value.leading)}",
            place,
            others=((written.span, "declared here"),),
        )
    axes: list[Axis] = []
    for expr, axis in zip(exprs, value.leading, strict=True):
        if isinstance(expr, s.Name) and body.scope.find(expr.id) is None and body.checker.is_capital(expr.id):
            body.scope.bind(expr.id, DimValue(axis.size, expr.id), "dim", expr.span)
            axes.append(Axis(expr.id, axis.size))
            continue
        wanted = axis_of(body, expr)
        if wanted.size != axis.size and body.builder.facts.prove_eq(wanted.size, axis.size) is not True:
            raise mistake(
                "E0214",
                f"{what} is declared with the leading axis {wanted}, found {axis}",
                place,
                others=((written.span, "declared here"),),
            )
        axes.append(Axis(wanted.name, axis.size))
    return with_leading(value, tuple(axes))


def with_leading(record: RecordValue, leading: tuple[Axis, ...]) -> RecordValue:
    """The same record, its leading axes called otherwise."""
    tensors = tuple(
        TensorValue(t.value, t.type.with_axes((*leading, *t.type.axes[len(leading) :]))) for t in record.tensors
    )
    return RecordValue(record.block, record.leaves, tensors, leading)


def check_same_leaves(leaves: Sequence[LeafValue], name: str, value: RecordValue, place: Span) -> None:
    """Raises: Mistake E0366: a record of other parameters."""
    wanted = {leaf.path: leaf.type for leaf in leaves}
    found = {leaf.path: leaf.type for leaf in value.leaves}
    for path, type in wanted.items():
        if path not in found:
            raise mistake(
                "E0366", f"the parameters of `{name}` hold `{path}`, which those of `{value.block}` lack", place
            )
        if found[path] != type:
            raise mistake(
                "E0366", f"`{path}` of `{name}` is {type}, and {found[path]} in those of `{value.block}`", place
            )
    extra = [path for path in found if path not in wanted]
    if extra:
        raise mistake("E0366", f"the parameters of `{value.block}` hold `{extra[0]}`, which `{name}` lacks", place)


def run_record(body: "Body", statement: s.ParamDecl, init: "Callable[[int], Init]") -> None:
    """`param base: params[T] ~ init_of[T]`: one parameter a leaf, each with the leaf's own initialiser or a common one.

    Args: init: a common initialiser, for a parameter of so many axes.
    """
    assert isinstance(statement.type, s.NamedType)
    name, leaves, exprs = written_record(body, statement.type, what="`params`")
    leading = tuple(axis_of(body, e) for e in exprs)
    own = _own_inits(body, statement, name, leaves)
    tensors: list[TensorValue] = []
    base = join(body.path, statement.name)
    for leaf in leaves:
        type = TensorType(leaf.type.dtype, (*leading, *leaf.type.axes))
        path = join(base, leaf.path)
        given = body.given.get(path)
        if given is not None:
            tensors.append(given)
            body.builder.used.add(path)
            continue
        for axis in leading:
            if not axis.size.is_const:
                raise mistake(
                    "E0212",
                    f"the free dimension `{axis}` sizes the parameter `{path}`, so it is known only at run time",
                    statement.type.span,
                )
        chosen = stacked(leaf.init, len(leading)) if own else init(type.rank)
        value = Value(type.without_names(), path)
        body.builder.add_param(ParamEntry(path, statement.kind, value, type, chosen, statement.span))
        tensors.append(TensorValue(value, type))
    body.builder.used_names[(body.path, statement.name)] = 1
    record = RecordValue(name, leaves, tuple(tensors), leading)
    body.scope.bind(statement.name, record, "param", statement.name_span)


def _own_inits(body: "Body", statement: s.ParamDecl, name: str, leaves: tuple[LeafValue, ...]) -> bool:
    """Whether the initialiser is `init_of[T]`."""
    expr = statement.init
    if not isinstance(expr, s.Index) or not isinstance(expr.base, s.Name) or expr.base.id != "init_of":
        return False
    if len(expr.args) != 1:
        raise mistake("E0323", "`init_of` takes one block", expr.span)
    arg = expr.args[0].value
    ref = block_of(body.evaluate(arg), arg.span, "`init_of`")
    others = leaves_of(body, ref, arg.span)
    if [(leaf.path, leaf.type) for leaf in others] != [(leaf.path, leaf.type) for leaf in leaves]:
        raise mistake("E0366", f"`{ref.name}` has other parameters than `{name}`", arg.span)
    return True


def stacked(init: Init, count: int) -> Init:
    """The initialiser of several copies, which the first `count` axes more number."""
    if not count:
        return init
    args = dict(init.args)
    args[STACKED] = int(args.get(STACKED, 0)) + count
    return replace(init, args=tuple(args.items()))


# --- computing with records -----------------------------------------------------------------------


def binary(body: "Body", expr: s.Binary, left: CheckValue, right: CheckValue) -> RecordValue:
    """`+ - * /` of two records leaf by leaf, or of a record and a number, or a tensor with the record's leading axes.

    Raises: Mistake E0320: another operator or operand; E0366: records of different parameters.
    """
    from netdsl.check.operators import BINARY, elementwise

    if expr.op not in ("+", "-", "*", "/"):
        raise mistake("E0320", f"`{expr.op}` does not take {describe(left)} and {describe(right)}", expr.span)
    op, spans, what = BINARY[expr.op], (expr.left.span, expr.right.span), f"`{expr.op}`"
    record = left if isinstance(left, RecordValue) else right
    assert isinstance(record, RecordValue)
    if isinstance(left, RecordValue) and isinstance(right, RecordValue):
        check_same_leaves(left.leaves, left.block, right, expr.right.span)
    elif not isinstance(right if record is left else left, (int, float, DimValue, TensorValue)):
        raise mistake("E0320", f"`{expr.op}` does not take {describe(left)} and {describe(right)}", expr.span)
    leading = _common_leading(body, left, right, expr.span)
    made: list[TensorValue] = []
    for at, leaf in enumerate(record.leaves):
        sides = [_side(body, side, at, leaf, expr.span) for side in (left, right)]
        result = elementwise(body, op, sides[0], sides[1], expr.span, spans, what)
        assert isinstance(result, TensorValue)
        made.append(TensorValue(result.value, result.type.with_axes((*leading, *result.type.axes[len(leading) :]))))
    return RecordValue(record.block, record.leaves, tuple(made), leading)


def _common_leading(body: "Body", left: CheckValue, right: CheckValue, span: Span) -> tuple[Axis, ...]:
    """The leading axes of the result: those of one side, or of both where they are the same."""
    sides = [
        side.leading if isinstance(side, RecordValue) else side.type.axes if isinstance(side, TensorValue) else ()
        for side in (left, right)
    ]
    long, short = (sides[0], sides[1]) if len(sides[0]) >= len(sides[1]) else (sides[1], sides[0])
    if not short:
        return long
    if len(long) != len(short):
        raise mistake("E0368", f"{len(long)} leading axes meet {len(short)}", span)
    try:
        return tuple(
            unify_axis(a, b, body.builder.facts, what="the leading axes") for a, b in zip(long, short, strict=True)
        )
    except ShapeError as error:
        raise mistake("E0368", error.title, span, help=error.help) from None


def _side(body: "Body", side: CheckValue, at: int, leaf: LeafValue, span: Span) -> CheckValue:
    """One operand for one leaf, its leading axes aligned with the other's."""
    if isinstance(side, TensorValue):
        if not side.type.rank or not leaf.type.rank:
            return side
        return body.apply1(Reshape((*side.type.sizes, *(Dim.of(1) for _ in leaf.type.axes))), (side,), span)
    if not isinstance(side, RecordValue):
        return side
    return side.tensors[at]


# --- parts ------------------------------------------------------------------------------------------


def index(body: "Body", expr: s.Index, base: RecordValue) -> TensorValue:
    """`theta[leaf]`, `theta["linear.weight"]`.

    Raises: Mistake E0325: no leaf; E0328: one of another block.
    """
    if len(expr.args) != 1 or expr.args[0].name is not None or expr.args[0].splat:
        raise mistake("E0325", "parameters take one leaf or one path", expr.span)
    key = body.evaluate(expr.args[0].value)
    path = key.path if isinstance(key, LeafValue) else key
    if not isinstance(path, str):
        raise mistake("E0325", f"parameters take a leaf or a path, found {describe(key)}", expr.args[0].span)
    paths = [leaf.path for leaf in base.leaves]
    if path not in paths:
        near = suggest(path, paths)
        help = f"did you mean `{near}`?" if near else f"it has {', '.join(paths) or 'none'}"
        raise mistake("E0328", f"`{base.block}` has no parameter `{path}`", expr.args[0].span, help=help)
    return base.tensors[paths.index(path)]
