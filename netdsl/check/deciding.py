"""`decide`, the one place where a loop chooses (rule R12), and `take_each`, what stands at its choice."""

from typing import TYPE_CHECKING

from netdsl.check.arguments import Argument, MacroCall
from netdsl.check.origins import shape_mistake
from netdsl.check.report import mistake
from netdsl.check.scope import Decision
from netdsl.check.values import CheckValue, TensorValue, TupleValue
from netdsl.dims import product
from netdsl.ops.creation import DimValue, Iota
from netdsl.ops.elementwise import Add, Mul, Neg, Sub
from netdsl.ops.indexing import Take, TakeAlong
from netdsl.ops.proofs import require_table
from netdsl.ops.reduction import ReduceMax
from netdsl.ops.shape import Reshape, Squeeze, Unsqueeze
from netdsl.ops.softmax import LogSoftmax
from netdsl.ops.sorting import ArgMax
from netdsl.ops.unary import Log
from netdsl.tensor_type import I64, Axis, ShapeError, TensorType, idx, unify_axis

if TYPE_CHECKING:
    from netdsl.check.body import Body


def decide(call: MacroCall) -> CheckValue:
    """`pick, score = decide(logits)`: an index into the last axis, and its log-probability under the logits.

    Greedy; with `noise=u`, uniform in 0 to 1 and shaped like the logits, a sample (Gumbel's way); the target where
    the loop is given one; in a loop with `beam`, what its likeliest sequence chooses.

    Raises: Mistake E0362: it stands outside of a loop's body. E0323, E0330, E0217, E0218.
    """
    body, span = call.body, call.span
    loop = body.scope.loop
    if loop is None:
        raise mistake("E0362", "`decide` stands in a loop's body only", span)
    slots = {argument.name or "logits": argument for argument in call.arguments}
    if not {"logits"} <= set(slots) <= {"logits", "noise"} or len(slots) < len(call.arguments):
        raise mistake("E0323", "`decide` is written `decide(logits)` or `decide(logits, noise=u)`", span)
    given = slots["logits"]
    logits = body.tensor(given.value, given.span, what="`decide`")
    made = len(loop.decisions)
    target = loop.targets[made] if made < len(loop.targets) else None
    scores = body.apply1(LogSoftmax(-1), (logits,), span, (given.span,))
    noise = slots["noise"].span if target is None and "noise" in slots else None
    if target is None and noise is None:
        pick = _index(body.apply1(ArgMax(-1), (logits,), span, (given.span,)), logits)
        score = body.apply1(ReduceMax((-1,)), (scores,), span)
    else:
        pick = target or _sample(call, logits, slots["noise"])
        place = body.apply1(Unsqueeze(-1), (pick,), span)
        found = body.apply1(TakeAlong(-1), (scores, place), span, (given.span, span))
        score = body.apply1(Squeeze(-1), (found,), span)
    loop.decisions.append(Decision(scores, pick, score, span, noise))
    return TupleValue((pick, score), ("pick", "score"))


def _sample(call: MacroCall, logits: TensorValue, noise: Argument) -> TensorValue:
    """An index of a choice, with the probability that the logits give it."""
    body, span = call.body, call.span
    spread = body.tensor(noise.value, noise.span, like=logits.type.dtype, what="`noise`")
    for op in (Log(), Neg(), Log()):
        spread = body.apply1(op, (spread,), span)
    noisy = body.apply1(Sub(), (logits, spread), span, (call.arguments[0].span, noise.span))
    return _index(body.apply1(ArgMax(-1), (noisy,), span), logits)


def take_each(call: MacroCall) -> CheckValue:
    """`take_each(x, i)`: of each row of x its own slice, at the index that `i` has for the row.

    Shapes: x (b.., n, c..), i (b..) -> (b.., c..).
    Raises: Mistake E0323, E0205, E0217, E0218; E0202, E0207, E0208: the rows differ.
    """
    body, span = call.body, call.span
    if len(call.arguments) != 2 or any(a.name is not None for a in call.arguments):
        raise mistake("E0323", "`take_each` is written `take_each(x, i)`", span)
    x, i = (body.tensor(a.value, a.span, what="`take_each`") for a in call.arguments)
    spans = tuple(a.span for a in call.arguments)
    try:
        rows = _rows(body, x.type, i.type)
    except ShapeError as error:
        raise shape_mistake(body, error, (x, i), span, spans) from None
    if not rows:
        return body.apply1(Take(0), (x, i), span, spans)
    size, rest = x.type.axes[len(rows)], x.type.axes[len(rows) + 1 :]
    count = product(axis.size for axis in rows)
    # The slices of all rows one after another, and where each row begins among them.
    table = body.apply1(Reshape((count * size.size, *(axis.size for axis in rest))), (x,), span)
    starts = body.apply1(Mul(), [body.apply1(op, (), span) for op in (Iota(count), DimValue(size.size))], span)
    if len(rows) > 1:
        starts = body.apply1(Reshape(tuple(axis.size for axis in rows)), (starts,), span)
    flat = TensorValue(i.value, i.type.with_dtype(i.type.dtype.storage).without_names())
    found = body.apply1(Take(0), (table, body.apply1(Add(), (flat, starts), span)), span)
    return TensorValue(found.value, found.type.with_axes((*rows, *rest)))


def _rows(body: "Body", x: TensorType, i: TensorType) -> tuple[Axis, ...]:
    """The axes that x and the indices share."""
    what = "`take_each`"
    if i.dtype.storage != I64:
        raise ShapeError("E0217", f"{what} needs indices of type idx or i64, found {i.dtype}", operand=1)
    if x.rank <= i.rank:
        raise ShapeError("E0205", f"{what} reads an axis behind those of its indices {i}, found {x}", operand=0)
    require_table(i.dtype, x.axes[i.rank], body.builder.facts, what=what, operand=1, at=i.rank)
    pairs = enumerate(zip(x.axes, i.axes, strict=False))
    return tuple(unify_axis(a, b, body.builder.facts, what=what, at=(at, at)) for at, (a, b) in pairs)


def _index(pick: TensorValue, logits: TensorValue) -> TensorValue:
    """`pick` as an index into the last axis of the logits, which may have no name."""
    return TensorValue(pick.value, pick.type.with_dtype(idx(logits.type.axes[-1])))
