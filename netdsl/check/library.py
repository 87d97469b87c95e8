"""Names that are native: primitives, functions of the language, numbers."""

import math

from netdsl.check import macros_math as m
from netdsl.check import macros_records as r
from netdsl.check import macros_shape as sh
from netdsl.check.arguments import MacroCall
from netdsl.check.deciding import decide, take_each
from netdsl.check.macros_graph import graph_einsum
from netdsl.check.values import CheckValue, Macro, MacroRef, OpRef
from netdsl.ops import OPS
from netdsl.ops.creation import Iota
from netdsl.ops.indexing import OneHot
from netdsl.ops.masks import LengthMask

#: Primitives that are reached through a function or an operator instead of their own name.
_INNER = {
    "loop",
    "constant",
    "full",
    "dim_value",
    "pick",
    "slice",
    "reshape",
    "transpose",
    "broadcast",
    "iota",
    "eye",
    "pad",
    "split",
    "one_hot",
    "length_mask",
    "tri_mask",
    "dropout",
    "with_gradient",
    "variance",
    "extern_call",
    *(op.name for op in m.REDUCTIONS.values()),
}

#: Functions of a number and of a tensor alike.
_NUMBERS = (
    "sqrt",
    "exp",
    "log",
    "sin",
    "cos",
    "tan",
    "floor",
    "ceil",
    "tanh",
    "round",
    "abs",
    "log1p",
    "expm1",
    "erf",
)


def _each(call: MacroCall) -> CheckValue:
    from netdsl.check.each import each

    return each(call)


def _aggregate(call: MacroCall) -> CheckValue:
    from netdsl.check.aggregates import aggregate

    return aggregate(call)


def _edges(call: MacroCall) -> CheckValue:
    from netdsl.check.edges import edges

    return edges(call)


def _choose(call: MacroCall) -> CheckValue:
    from netdsl.check.choices import choose

    return choose(call)


def _choose_number(call: MacroCall) -> CheckValue:
    from netdsl.check.choices import choose_number

    return choose_number(call)


_MACROS = (
    *(
        Macro(n, m.reduce, f"{n}[axis=1](x)", f"`{n}` over axes; all of them by default.", ("axis", "keep"))
        for n in m.REDUCTIONS
    ),
    Macro("var", m.variance, "var[axis=1](x)", "Variance over axes, biased unless `correction=1`.", ("axis", "keep")),
    Macro("std", m.variance, "std[axis=1](x)", "Standard deviation over axes.", ("axis", "keep")),
    *(Macro(n, m.elementwise_math, f"{n}(x)", f"`{n}` of a number or of each element.", ()) for n in _NUMBERS),
    Macro("len", m.length, "len(list)", "How many items a static list has.", ()),
    Macro("enumerate", m.enumerate_, "enumerate(list)", "Pairs of turn number and item.", ()),
    Macro("reversed", m.reversed_, "reversed(list)", "The items from last to first.", ()),
    Macro("zip", m.zip_, "zip(a, b)", "Tuples of the items side by side.", ()),
    Macro("int", m.to_int, "int(x)", "A static number without its fraction.", ()),
    Macro("float", m.to_float, "float(x)", "A static number as a float.", ()),
    Macro("ceil_div", m.ceil_div, "ceil_div(a, b)", "a / b rounded up, on ints and sizes.", ()),
    Macro("ntuple", m.ntuple, "ntuple(k, 2)", "k for each of 2 axes; a list of that length stays as it is.", ()),
    *(
        Macro(n, sh.fill, f"{n}[B, 4]", "A tensor of one value; `dtype=` says of which type.", None, True)
        for n in ("zeros", "ones", "full")
    ),
    Macro("broadcast", sh.broadcast, "broadcast[B, 4](x)", "Stretched to these axes, aligned from the right.", None),
    Macro("reshape", sh.reshape, "reshape[B, -1](x)", "The same elements in other axes; one -1 is inferred.", None),
    Macro("flatten", sh.flatten, "flatten[start=1](x)", "The axes from `start` on as one.", ("start",)),
    Macro(
        "transpose",
        sh.transpose,
        "transpose[0, 2, 1](x)",
        "Axes in another order; without brackets the last two swap.",
        None,
    ),
    Macro("rearrange", sh.rearrange, 'rearrange["b (h d) -> b h d", h=4](x)', "einops patterns.", ("pattern",)),
    Macro("rename", sh.rename, "rename[N, S](x)", "The axis named N is called S from here on.", None, takes_names=True),
    Macro("pad", sh.pad, "pad[(1, 1)](x)", "Padding of the last axes, one (before, after) pair each.", None),
    Macro("split", sh.split, "split[3, axis=-1](x)", "Equal parts, or parts of given sizes.", ("parts", "axis")),
    Macro("iota", sh.with_named_axis(Iota, 0), "iota[N]", "0, 1, .. N - 1.", ("size", "dtype"), True),
    Macro("eye", sh.eye, "eye[N]", "Ones on the diagonal.", ("size", "dtype"), True),
    Macro(
        "one_hot", sh.with_named_axis(OneHot, -1), "one_hot[N](i)", "1 at the index, 0 elsewhere.", ("size", "dtype")
    ),
    Macro(
        "graph_einsum",
        graph_einsum,
        'graph_einsum["ab bc -> ac"](x)',
        "A polynomial of a matrix, given by a graph: a product of one entry for each edge, summed over inner nodes.",
        ("pattern",),
    ),
    Macro(
        "retarget",
        sh.retarget,
        "retarget[N, offset=0](i)",
        "The same numbers as indices into the axis N.",
        ("size", "offset"),
    ),
    Macro(
        "length_mask",
        sh.with_named_axis(LengthMask, -1),
        "length_mask[N](length)",
        "true before each length.",
        ("size",),
    ),
    Macro(
        "tri_mask", sh.tri_mask, "tri_mask[N, M]", "true at and below the diagonal.", ("rows", "cols", "diagonal"), True
    ),
    Macro("dropout", sh.dropout, "dropout[p](x)", "In training zeroes at random; else the identity.", ("p",)),
    Macro(
        "each",
        _each,
        "each[B, axis=0](x)",
        "A block on every slice of an axis, each with parameters of its own.",
        ("block",),
        makes_parameters=True,
    ),
    Macro(
        "choose",
        _choose,
        "choose[A, B](x)",
        "One of several blocks, or of several numbers; `mode=soft` weighs blocks until one is committed.",
        None,
        words=("per", "mode"),
        named=("per", "mode", "temperature"),
        makes_parameters=True,
        of_numbers=_choose_number,
    ),
    Macro(
        "edges",
        _edges,
        "edges[out, E](x)",
        "One function of one number per pair of input and output, summed over the inputs.",
        ("out", "edge"),
        makes_parameters=True,
    ),
    Macro(
        "aggregate",
        _aggregate,
        "aggregate[sum](x, by=i)",
        "The rows of each group combined; a list of aggregators gives their results side by side.",
        ("aggregator",),
        vocabulary="aggregators",
        makes_parameters=True,
    ),
    Macro("decide", decide, "decide(logits)", "An index that a loop chooses, and its log-probability.", ()),
    Macro("take_each", take_each, "take_each(x, i)", "Of each row of x its own slice.", ()),
    Macro("numel", r.numel, "numel[T]", "How many elements the parameters of a block have.", ("block",), True),
    Macro("leaves", r.leaves, "leaves[T]", "The parameters of a block, as a static list.", ("block",), True),
    Macro("unpack", r.unpack, "unpack[T](v)", "The last axis cut into the parameters of a block.", ("block",)),
    Macro("pack", r.pack, "pack[T](list)", "Tensors, one a leaf, as the parameters of a block.", ("block",)),
    Macro("coords", r.coords, "coords[leaf, norm=64.0]", "Where each weight of a leaf lies.", ("leaf", "norm"), True),
    Macro(
        "with_gradient",
        sh.with_gradient,
        "with_gradient(value, of=proxy)",
        "Forward the first, backward the second.",
        (),
    ),
)

BUILTINS: dict[str, CheckValue] = {
    **{name: OpRef(op, name) for name, op in OPS.items() if name not in _INNER},
    **{macro.name: MacroRef(macro) for macro in _MACROS},
    "pi": math.pi,
    "e": math.e,
    "inf": math.inf,
    "nan": math.nan,
}
