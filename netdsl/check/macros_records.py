"""Functions of a block's parameters: `numel`, `leaves`, `unpack`, `pack`, `coords` (rule R9)."""

from netdsl.check import statics
from netdsl.check.arguments import MacroCall
from netdsl.check.macros_math import known, values_of
from netdsl.check.macros_shape import one_tensor
from netdsl.check.records import block_of, leaves_of
from netdsl.check.report import mistake
from netdsl.check.values import CheckValue, LeafValue, ListValue, RecordValue, TensorValue, TupleValue, describe
from netdsl.dims import Dim
from netdsl.ops.creation import Full, Iota
from netdsl.ops.elementwise import Cast, Div, FloorDiv, Mod
from netdsl.ops.pieces import Split, Stack
from netdsl.ops.shape import Reshape
from netdsl.tensor_type import Axis


def _leaves(call: MacroCall) -> tuple[str, tuple[LeafValue, ...]]:
    if len(call.positional) != 1:
        raise mistake("E0323", f"`{call.name}` takes one block in square brackets", call.span)
    ref = block_of(call.positional[0], call.span, f"`{call.name}`")
    return ref.name, leaves_of(call.body, ref, call.span)


def _elements(leaf: LeafValue) -> int:
    return leaf.type.numel().value


def numel(call: MacroCall) -> CheckValue:
    """`numel[T]`: how many elements the parameters of `T` have."""
    known(call, "block")
    values_of(call, 0, 0)
    return sum(_elements(leaf) for leaf in _leaves(call)[1])


def leaves(call: MacroCall) -> CheckValue:
    """`leaves[T]`: the parameters of `T`, in the order they are written in."""
    known(call, "block")
    values_of(call, 0, 0)
    return ListValue(_leaves(call)[1])


def unpack(call: MacroCall) -> CheckValue:
    """`unpack[T](v)`: the last axis of `v` cut into the parameters of `T`; the axes before it stay in front of each.

    Raises: Mistake E0202, E0208: the last axis does not have `numel[T]` elements; E0205: a scalar.
    """
    known(call, "block")
    name, found = _leaves(call)
    x, span = one_tensor(call)
    if x.type.rank == 0:
        raise mistake("E0205", "`unpack` needs an axis to cut, found a scalar", span)
    leading = x.type.axes[:-1]
    sizes = tuple(Dim.of(_elements(leaf)) for leaf in found)
    total = sum(_elements(leaf) for leaf in found)
    facts = call.body.builder.facts
    if facts.prove_eq(x.type.sizes[-1], total) is not True:
        raise mistake(
            "E0202",
            f"`unpack` needs {total} values for the parameters of `{name}`, found {x.type.sizes[-1]}",
            span,
            f"this is {x.type}",
            help=f"write `numel[{name}]` where the values are made",
        )
    parts = call.body.apply(Split(sizes, x.type.rank - 1), (x,), call.span, (span,)) if len(sizes) > 1 else (x,)
    tensors = []
    for leaf, part in zip(found, parts, strict=True) if found else ():
        shape = (*(a.size for a in leading), *leaf.type.sizes)
        cut = part if leaf.type.rank == 1 else call.body.apply1(Reshape(shape), (part,), call.span)
        tensors.append(TensorValue(cut.value, cut.type.with_axes((*leading, *leaf.type.axes))))
    return RecordValue(name, found, tuple(tensors), leading)


def pack(call: MacroCall) -> CheckValue:
    """`pack[T](list)`: tensors, one a leaf of `T` in order, as a record. Axes before the leaf's own lead the record.

    Raises: Mistake E0323: another number of tensors; E0366: one that does not fit its leaf.
    """
    known(call, "block")
    name, found = _leaves(call)
    (value,) = values_of(call, 1, 1)
    if not isinstance(value, (ListValue, TupleValue)):
        raise mistake("E0301", f"`pack` needs a list of tensors, found {describe(value)}", call.span)
    if len(value.items) != len(found):
        raise mistake("E0323", f"`{name}` has {len(found)} parameters, found {len(value.items)} tensors", call.span)
    tensors: list[TensorValue] = []
    leading: tuple[Axis, ...] = ()
    facts = call.body.builder.facts
    for leaf, item in zip(found, value.items, strict=True):
        tensor = call.body.tensor(item, call.span, like=leaf.type.dtype, what=f"`{leaf.path}`")
        extra = tensor.type.rank - leaf.type.rank
        own = tensor.type.sizes[max(extra, 0) :]
        fits = extra >= 0 and all(facts.prove_eq(a, b) is True for a, b in zip(own, leaf.type.sizes, strict=True))
        if not fits or tensor.type.dtype != leaf.type.dtype:
            raise mistake("E0366", f"`{leaf.path}` of `{name}` is {leaf.type}, found {tensor.type}", call.span)
        if tensors and [a.size for a in tensor.type.axes[:extra]] != [a.size for a in leading]:
            raise mistake("E0368", f"`{leaf.path}` has other leading axes than the tensors before it", call.span)
        leading = leading if tensors else tensor.type.axes[:extra]
        tensors.append(tensor)
    return RecordValue(name, found, tuple(tensors), leading)


def coords(call: MacroCall) -> CheckValue:
    """`coords[leaf, norm=64.0]`: where each weight of a leaf lies, one row a pair of channels.

    Shapes: (fan_out x fan_in pairs, 6): l / L, o / O, i / I, L / norm, O / norm, I / norm, for leaf l of L, channel o
            of O, channel i of I. A leaf with one axis has I = 1; the axes of a kernel share a row.
    Source: NeuMeta (Yang and Wang, 2024), coordinates of weights.
    """
    known(call, "leaf", "norm")
    values_of(call, 0, 0)
    leaf = call.statics.get("leaf")
    norm = statics.plain(call.statics.get("norm", 64.0))
    if not isinstance(leaf, LeafValue):
        raise mistake("E0324", f"`coords` needs a leaf, found {describe(leaf)}", call.span, help="see `leaves[T]`")
    if not isinstance(norm, (int, float)) or isinstance(norm, bool) or norm <= 0:
        raise mistake("E0324", f"`norm` of `coords` needs a number above 0, found {describe(norm)}", call.span)
    body, span = call.body, call.span
    shape = [size.value for size in leaf.type.sizes] or [1]
    outs, ins = shape[0], shape[1] if len(shape) > 1 else 1
    dtype = leaf.type.dtype
    rows = Dim.of(outs * ins)

    def constant(value: float) -> TensorValue:
        return body.apply1(Full((rows,), value, dtype), (), span)

    number = body.apply1(Iota(rows), (), span)
    width = body.tensor(ins, span, like=number.type.dtype)
    columns = [constant(leaf.index / leaf.count)]
    for op, size in ((FloorDiv(), outs), (Mod(), ins)):
        at = body.apply1(Cast(dtype), (body.apply1(op, (number, width), span),), span)
        columns.append(body.apply1(Div(), (at, body.tensor(size, span, like=dtype)), span))
    columns += [constant(count / norm) for count in (leaf.count, outs, ins)]
    return body.apply1(Stack(1), tuple(columns), span)
