"""Functions of the language that make or move axes: their results keep the axis names that were written."""

from collections.abc import Callable, Sequence

from netdsl.check import statics
from netdsl.check.arguments import MacroCall
from netdsl.check.macros_math import known, values_of
from netdsl.check.patterns import Group, parse_pattern
from netdsl.check.report import mistake
from netdsl.check.values import CheckValue, DimValue, ListValue, TensorValue, TupleValue, describe
from netdsl.dims import product
from netdsl.ops import creation
from netdsl.ops.base import Op
from netdsl.ops.gradient import WithGradient
from netdsl.ops.indexing import Retarget
from netdsl.ops.masks import TriMask
from netdsl.ops.pieces import Pad, Split
from netdsl.ops.shape import Broadcast, Reshape, Transpose
from netdsl.source import Span
from netdsl.tensor_type import F32, Axis, DType, TensorType, idx


def one_tensor(call: MacroCall) -> tuple[TensorValue, Span]:
    (value,) = values_of(call, 1, 1)
    span = call.arguments[0].span
    return call.body.tensor(value, span, what=f"`{call.name}`"), span


def sizes_of(call: MacroCall) -> list[DimValue]:
    """The unnamed brackets as sizes with their names."""
    return [call.body.dim(v, call.span, what=f"an axis of `{call.name}`") for v in call.positional]


def named(value: TensorValue, names: Sequence[str | None]) -> TensorValue:
    """The same value, its axes named as written."""
    axes = tuple(Axis(n, a.size, a.structure) for n, a in zip(names, value.type.axes, strict=True))
    return TensorValue(value.value, value.type.with_axes(axes))


def _dtype(call: MacroCall, default: DType) -> DType:
    dtype = call.statics.get("dtype", default)
    if not isinstance(dtype, DType):
        raise mistake("E0324", f"`dtype` of `{call.name}` needs an element type, found {describe(dtype)}", call.span)
    return dtype


def fill(call: MacroCall) -> CheckValue:
    """`zeros[B, 4]`, `ones[..]`, `full[B, 4, value=0.5]`, all with `dtype=`."""
    known(call, "dtype", *(("value",) if call.name == "full" else ()))
    values_of(call, 0, 0)
    return fill_of(call)


def fill_of(call: MacroCall) -> TensorValue:
    sizes = sizes_of(call)
    value = {"zeros": 0, "ones": 1}.get(call.name, statics.plain(call.statics.get("value")))
    if not isinstance(value, (int, float)):
        raise mistake("E0334", "`full` needs `value`", call.span, help="write `full[B, 4, value=0.5]`")
    default = call.body.float_type
    dtype = _dtype(call, default)
    shape = tuple(d.dim for d in sizes)
    result = call.body.apply1(creation.Full(shape, value, dtype), (), call.span)
    return named(result, [d.name for d in sizes])


def broadcast(call: MacroCall) -> CheckValue:
    """`broadcast[B, 1, D](x)`: stretched to these axes, aligned from the right."""
    known(call)
    x, span = one_tensor(call)
    sizes = sizes_of(call)
    result = call.body.apply1(Broadcast(tuple(d.dim for d in sizes)), (x,), call.span, (span,))
    return named(result, [d.name or a.name for d, a in zip(sizes, result.type.axes, strict=True)])


def reshape(call: MacroCall) -> CheckValue:
    """`reshape[B, -1](x)`; a list of sizes serves too."""
    known(call)
    x, span = one_tensor(call)
    items = call.positional
    if len(items) == 1 and isinstance(items[0], (ListValue, TupleValue)):
        items = items[0].items
    sizes = [call.body.dim(v, call.span, what="an axis of `reshape`") for v in items]
    result = call.body.apply1(Reshape(tuple(d.dim for d in sizes)), (x,), call.span, (span,))
    return named(result, [d.name for d in sizes])


def flatten(call: MacroCall) -> CheckValue:
    """`flatten[start=1](x)`: the axes from `start` on as one; all of them by default."""
    known(call, "start")
    x, span = one_tensor(call)
    start = statics.plain(call.statics.get("start", 0))
    if not isinstance(start, int) or not -x.type.rank <= start <= max(x.type.rank - 1, 0):
        raise mistake(
            "E0206", f"`flatten` has no axis {describe(start)}: its operand has {x.type.rank} axes", call.span
        )
    start %= max(x.type.rank, 1)
    shape = (*x.type.sizes[:start], product(x.type.sizes[start:]))
    result = call.body.apply1(Reshape(shape), (x,), call.span, (span,))
    return named(result, [*(a.name for a in x.type.axes[:start]), None])


def transpose(call: MacroCall) -> CheckValue:
    """`transpose[0, 2, 1](x)`; without brackets the last two axes swap."""
    known(call)
    x, span = one_tensor(call)
    items = call.positional
    if len(items) == 1 and isinstance(items[0], (ListValue, TupleValue)):
        items = items[0].items
    perm = tuple(statics.plain(v) for v in items)
    if not perm:
        perm = (*range(x.type.rank - 2), x.type.rank - 1, x.type.rank - 2)
    order = tuple(p % x.type.rank for p in perm if isinstance(p, int))
    if len(order) != len(perm) or sorted(order) != list(range(x.type.rank)):
        raise mistake(
            "E0206",
            f"`transpose` needs each of {x.type.rank} axes once, found [{', '.join(map(str, perm))}]",
            call.span,
        )
    return call.body.apply1(Transpose(order), (x,), call.span, (span,))


def with_named_axis(make: Callable[..., Op], at: int) -> Callable[[MacroCall], CheckValue]:
    """A macro for an op `make(size, dtype=..)` whose size makes the axis at `at`, which takes the size's name."""

    def run(call: MacroCall) -> CheckValue:
        known(call, "size", "dtype")
        values = values_of(call, 0, 1)
        operands = [call.body.tensor(v, call.arguments[0].span, what=f"`{call.name}`") for v in values]
        spans = [a.span for a in call.arguments]
        size = call.body.dim(call.statics.get("size", None), call.span, what=f"the size of `{call.name}`")
        options = {"dtype": _dtype(call, F32)} if "dtype" in call.statics else {}
        result = call.body.apply1(make(size.dim, **options), operands, call.span, spans)
        names = [a.name for a in result.type.axes]
        names[at] = size.name
        return named(result, names)

    return run


def retarget(call: MacroCall) -> CheckValue:
    """`retarget[N, offset=0](i)`: indices into an axis N."""
    known(call, "size", "offset")
    x, span = one_tensor(call)
    size = call.body.dim(call.statics.get("size"), call.span, what="the size of `retarget`")
    offset = call.body.dim(call.statics.get("offset", 0), call.span, what="`offset` of `retarget`")
    result = call.body.apply1(Retarget(size.dim, offset.dim), (x,), call.span, (span,))
    return TensorValue(result.value, result.type.with_dtype(idx(Axis(size.name, size.dim))))


def tri_mask(call: MacroCall) -> CheckValue:
    """`tri_mask[N, M, diagonal=0]`: true at and below the diagonal."""
    known(call, "rows", "cols", "diagonal")
    values_of(call, 0, 0)
    rows = call.body.dim(call.statics.get("rows"), call.span, what="`rows` of `tri_mask`")
    cols = call.body.dim(call.statics.get("cols", rows), call.span, what="`cols` of `tri_mask`")
    diagonal = statics.plain(call.statics.get("diagonal", 0))
    if not isinstance(diagonal, int):
        raise mistake("E0324", f"`diagonal` needs an int, found {describe(diagonal)}", call.span)
    result = call.body.apply1(TriMask(rows.dim, cols.dim, diagonal), (), call.span)
    return named(result, [rows.name, cols.name])


def eye(call: MacroCall) -> CheckValue:
    """`eye[N]`: ones on the diagonal."""
    known(call, "size", "dtype")
    values_of(call, 0, 0)
    size = call.body.dim(call.statics.get("size"), call.span, what="the size of `eye`")
    result = call.body.apply1(creation.Eye(size.dim, _dtype(call, call.body.float_type)), (), call.span)
    return named(result, [size.name, size.name])


def pad(call: MacroCall) -> CheckValue:
    """`pad[(1, 1), (2, 2), mode="reflect", value=0](x)`: one (before, after) pair for each of the last axes."""
    known(call, "mode", "value")
    x, span = one_tensor(call)
    pairs = []
    for item in call.positional:
        sizes = item.items if isinstance(item, (TupleValue, ListValue)) else ()
        if len(sizes) != 2:
            raise mistake(
                "E0324", f"`pad` needs a pair (before, after) for each axis, found {describe(item)}", call.span
            )
        before, after = (call.body.dim(v, call.span, what="a padding").dim for v in sizes)
        pairs.append((before, after))
    value = statics.plain(call.statics.get("value", 0.0))
    if not isinstance(value, (int, float)):
        raise mistake("E0324", f"`value` of `pad` needs a number, found {describe(value)}", call.span)
    mode = call.statics.get("mode", "constant")
    if not isinstance(mode, str):
        raise mistake("E0324", f"`mode` of `pad` needs a string, found {describe(mode)}", call.span)
    op = Pad(tuple(pairs), mode, float(value))
    return call.body.apply1(op, (x,), call.span, (span,))


def split(call: MacroCall) -> CheckValue:
    """`split[3, axis=-1](x)` into equal parts, or `split[[2, 3], axis=1](x)` by sizes."""
    known(call, "parts", "axis")
    x, span = one_tensor(call)
    axis = statics.plain(call.statics.get("axis", -1))
    if not isinstance(axis, int) or not -x.type.rank <= axis < x.type.rank:
        raise mistake("E0206", f"`split` has no axis {describe(axis)}: its operand has {x.type.rank} axes", call.span)
    axis %= x.type.rank
    parts = call.statics.get("parts")
    if isinstance(parts, (ListValue, TupleValue)):
        sizes = tuple(call.body.dim(v, call.span, what="a part of `split`").dim for v in parts.items)
    else:
        count = statics.plain(parts)
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise mistake(
                "E0324", f"`split` needs a count of parts or a list of sizes, found {describe(count)}", call.span
            )
        call.body.checker.limits.check_items(count, call.span)
        size = x.type.axes[axis].size
        if call.body.builder.facts.prove_eq(size % count, 0) is not True and not call.body.generic:
            raise mistake(
                "E0208",
                f"`split` into {count} needs equal parts, and nothing says that {count} divides {size}",
                call.span,
                help=f"add `where {size} % {count} == 0` to the header",
            )
        sizes = (call.body.builder.facts.simplify(size // count),) * count
    results = call.body.apply(Split(sizes, axis), (x,), call.span, (span,))
    return TupleValue(tuple(results), (None,) * len(results))


def rearrange(call: MacroCall) -> CheckValue:
    """`rearrange["b (h d) n -> b h n d", h=4](x)`: einops patterns, as reshape, transpose, reshape.

    Source: einops.rearrange.
    """
    x, span = one_tensor(call)
    pattern = call.positional[0] if call.positional else call.statics.get("pattern")
    if not isinstance(pattern, str):
        raise mistake("E0324", f"`rearrange` needs a pattern, found {describe(pattern)}", call.span)
    left, right = parse_pattern(pattern, x.type.rank, call.span)
    given = {k: call.body.dim(v, call.span, what=f"`{k}`") for k, v in call.statics.items() if k != "pattern"}
    axes = _split_axes(call, left, x.type, given)
    flat_left = [n for g in left for n in g]
    flat_right = [n for g in right for n in g]
    current = x
    if [len(g) for g in left] != [1] * len(left):
        current = call.body.apply1(Reshape(tuple(axes[n].size for n in flat_left)), (current,), call.span, (span,))
    kept = [n for n in flat_left if n in flat_right]
    if sorted(kept) != sorted(n for n in flat_right if n in axes):
        raise AssertionError(pattern)
    order = tuple(flat_left.index(n) for n in flat_right if n in axes)
    dropped = [n for n in flat_left if n not in flat_right]
    if dropped:
        current = call.body.apply1(Reshape(tuple(axes[n].size for n in kept)), (current,), call.span)
        order = tuple(kept.index(n) for n in flat_right if n in axes)
    if order != tuple(range(len(order))):
        current = call.body.apply1(Transpose(order), (current,), call.span)
    if [len(g) for g in right] != [1] * len(right) or any(n not in axes for n in flat_right):
        shape = []
        for group in right:
            size = product(axes[n].size for n in group if n in axes)
            shape.append(call.body.builder.facts.simplify(size))
        current = call.body.apply1(Reshape(tuple(shape)), (current,), call.span)
    names = [axes[g[0]].name if len(g) == 1 and g[0] in axes else None for g in right]
    return named(current, names)


def _split_axes(call: MacroCall, left: list[Group], t: TensorType, given: dict[str, DimValue]) -> dict[str, Axis]:
    """Axis of each name on the left; one unknown name in a group follows from the group's size."""
    facts = call.body.builder.facts
    axes: dict[str, Axis] = {}
    for group, axis in zip(left, t.axes, strict=True):
        if len(group) == 1 and group[0] not in given:
            axes[group[0]] = axis
            continue
        unknown = [n for n in group if n not in given and n != "1"]
        known = [n for n in group if n in given]
        axes.update((n, Axis(given[n].name, given[n].dim)) for n in known)
        size = product(given[n].dim for n in known)
        if len(unknown) > 1:
            raise mistake(
                "E0216",
                f"the sizes of {' and '.join(f'`{n}`' for n in unknown)} are not given",
                call.span,
                help=f'give one: `rearrange["..", {unknown[0]}=..]`',
            )
        if unknown:
            divides = facts.prove_eq(axis.size % size, 0)
            if divides is False or (divides is None and not call.body.generic):
                raise mistake(
                    "E0216",
                    f"`({' '.join(group)})` splits an axis of size {axis.size}, which {size} "
                    f"{'does not divide' if divides is False else 'is not known to divide'}",
                    call.span,
                    help=None if divides is False else f"add `where {axis.size} % {size} == 0` to the header",
                )
            axes[unknown[0]] = Axis(None, facts.simplify(axis.size // size))
        elif facts.prove_eq(axis.size, size) is not True and not call.body.generic:
            raise mistake(
                "E0216", f"`({' '.join(group)})` stands for {size}, found an axis of size {axis.size}", call.span
            )
    return axes


def rename(call: MacroCall) -> CheckValue:
    """`rename[N, S](x)`: the axis named N is called S from here on (rule R3)."""
    x, span = one_tensor(call)
    old, new = (str(v) for v in call.positional) if len(call.positional) == 2 else ("", "")
    if not new:
        raise mistake("E0323", "`rename` is written `rename[N, S](x)`", call.span)
    at = [i for i, a in enumerate(x.type.axes) if a.name == old]
    if len(at) != 1:
        count = "no axis" if not at else f"{len(at)} axes"
        raise mistake("E0207", f"`rename` needs one axis named `{old}`, found {count}: {x.type}", span)
    names = [a.name for a in x.type.axes]
    names[at[0]] = new
    if call.body.scope.find(new) is None:
        call.body.scope.bind(new, DimValue(x.type.axes[at[0]].size, new), "dim", call.span)
    return named(x, names)


def dropout(call: MacroCall) -> CheckValue:
    """`dropout[p](x)`: in training zeroes with probability p and scales by 1 / (1 - p); else the identity."""
    known(call, "p")
    x, span = one_tensor(call)
    p = statics.plain(call.statics.get("p"))
    if not isinstance(p, (int, float)) or isinstance(p, bool) or not 0 <= p < 1:
        raise mistake(
            "E0324", f"`p` of `dropout` needs a number of at least 0 and below 1, found {describe(p)}", call.span
        )
    call.body.builder.depends_on_mode = True
    if not call.body.checker.training or p == 0:
        return x
    return call.body.apply1(creation.Dropout(float(p)), (x,), call.span, (span,))


def with_gradient(call: MacroCall) -> CheckValue:
    """`with_gradient(value, of=proxy)`: forward the first, backward the second."""
    known(call)
    slots = {a.name or "value": a for a in call.arguments}
    if set(slots) != {"value", "of"} or len(call.arguments) != 2:
        raise mistake("E0323", "`with_gradient` is written `with_gradient(value, of=proxy)`", call.span)
    pair = [call.body.tensor(slots[n].value, slots[n].span, what="`with_gradient`") for n in ("value", "of")]
    return call.body.apply1(WithGradient(), pair, call.span, [slots[n].span for n in ("value", "of")])
