"""Intact instances of library blocks that one standard operator computes.

`Attention` is declined with a mask: after a row in which no key may be seen, the block gives NaN and ONNX Runtime 0.
ONNX Runtime refuses it on empty tensors: where a size may be 0 it stands in the branch of an `If`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from netdsl.backends.onnx.emitter import GraphEmitter
from netdsl.backends.onnx.loops import LowerNodes, may_be_empty
from netdsl.dims import Dim, product
from netdsl.ir import Instance, Node, Value
from netdsl.tensor_type import F16, F32, I64

ATTENTION_OPSET = 23


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One instance: its row, its nodes in order, the names of what is in scope, and how to lower nodes as they are."""

    row: int
    instance: Instance
    nodes: tuple[Node, ...]
    names: dict[Value, str]
    lower: LowerNodes

    def static(self, name: str) -> str:
        return dict(self.instance.statics)[name]


#: Enters the names of the instance's outputs; False if it declines.
Fuse = Callable[[GraphEmitter, Call], bool]


def _attend(e: GraphEmitter, call: Call) -> bool:
    """`std.attention.attend` on [B, H, N, D]."""
    inputs = call.instance.inputs
    if e.opset < ATTENTION_OPSET or len(inputs) != 3 or not _is_known(inputs):
        return False
    (result,) = call.instance.outputs
    names = tuple(call.names[v] for v in inputs)
    sizes = tuple(d for v in inputs for d in v.type.sizes)
    call.names[result] = _attention(e, call, names, sizes, result.type.sizes, heads=None)
    return True


def _projected(e: GraphEmitter, call: Call) -> bool:
    """An attention block: projections, heads side by side, and `out`; the heads are never moved."""
    children = {e.graph.instances[row].path.rsplit(".", 1)[-1]: row for row in e.children(call.row)}
    projections = ["qkv"] if "qkv" in children else ["query", "key", "value"]
    inputs = call.instance.inputs
    if e.opset < ATTENTION_OPSET or len(inputs) != (1 if len(projections) == 1 else 2) or not _is_known(inputs):
        return False
    heads = int(call.static("heads"))
    parts = [[n for n in call.nodes if is_within(e, n.instance, children[name])] for name in projections]
    for nodes in parts:
        call.lower(e, nodes, call.names, [nodes[-1].result])
    projected = [call.names[nodes[-1].result] for nodes in parts]
    width = e.graph.instances[children["out"]].inputs[0].type.sizes[2]
    if len(projected) == 1:
        projected = list(e.node("Split", projected[0], e.shape([width] * 3), outputs=3, axis=2))
    batch, rows = inputs[0].type.sizes[:2]
    columns = inputs[-1].type.sizes[1]
    joined = e.graph.instances[children["out"]].inputs[0]
    sizes = (batch, rows, columns, width)
    call.names[joined] = _attention(e, call, projected, sizes, joined.type.sizes, heads=heads)
    first = next(i for i, n in enumerate(call.nodes) if is_within(e, n.instance, children["out"]))
    call.lower(e, call.nodes[first:], call.names, call.instance.outputs)
    return True


def _attention(
    e: GraphEmitter,
    call: Call,
    operands: Sequence[str],
    sizes: Sequence[Dim],
    result: Sequence[Dim],
    *,
    heads: int | None,
) -> str:
    """`Attention` of three operands; none of `sizes` may be 0 when it runs."""
    dtype = call.instance.inputs[0].type.dtype
    attributes = {"is_causal": int(dict(call.instance.statics).get("causal") == "true")}
    if heads is not None:
        attributes |= {"q_num_heads": heads, "kv_num_heads": heads}
    doubtful = [d for d in dict.fromkeys(sizes) if may_be_empty(e, d)]
    if not doubtful:
        return e.node("Attention", *operands, **attributes)[0]
    count = product(doubtful)
    (is_empty,) = e.node("Equal", e.sizes_vector(count), e.constant([0], I64))
    with e.subgraph("then_branch") as nothing:
        e.result(nothing, e.node("Expand", e.constant(0, dtype, ()), e.shape(result))[0])
    with e.subgraph("else_branch") as something:
        e.result(something, e.node("Attention", *operands, **attributes)[0])
    bodies = {"then_branch": nothing, "else_branch": something}
    return e.node_with_bodies("If", is_empty, outputs=1, bodies=bodies)[0]


def _is_known(inputs: Sequence[Value]) -> bool:
    """ONNX Runtime computes f64 with constants of f32."""
    return all(v.type.dtype in (F32, F16) for v in inputs)


#: By qualified name of the block.
FUSED: dict[str, Fuse] = {
    "std.attention.attend": _attend,
    "std.attention.SelfAttention": _projected,
    "std.attention.CrossAttention": _projected,
}


def is_within(e: GraphEmitter, row: int, ancestor: int) -> bool:
    """Whether the instance `row` is `ancestor` or stands in it."""
    while row > ancestor:
        row = e.graph.instances[row].parent
    return row == ancestor


def fused_runs(e: GraphEmitter, nodes: Sequence[Node], wanted: Sequence[Value]) -> dict[int, list[tuple[int, int]]]:
    """For each first node of a candidate, its (row, end), outermost first.

    A candidate is an intact instance whose nodes stand together and whose inner values nothing outside reads.
    """
    spans: dict[int, tuple[int, int, int]] = {}
    chains: dict[int, tuple[int, ...]] = {}
    for index, node in enumerate(nodes):
        for row in _candidates(e, node.instance, chains):
            first, _, count = spans.get(row, (index, index, 0))
            spans[row] = first, index + 1, count + 1
    found: dict[int, list[tuple[int, int]]] = {}
    if not spans:
        return found
    last_use: dict[Value, int] = dict.fromkeys(wanted, len(nodes))
    for index, node in enumerate(nodes):
        for value in node.operands:
            last_use[value] = max(index, last_use.get(value, 0))
    for row, (first, end, count) in sorted(spans.items()):
        outputs = e.graph.instances[row].outputs
        inner = (v for node in nodes[first:end] for v in node.results if v not in outputs)
        if count == end - first and all(last_use.get(v, 0) < end for v in inner):
            found.setdefault(first, []).append((row, end))
    return found


def _candidates(e: GraphEmitter, row: int, chains: dict[int, tuple[int, ...]]) -> tuple[int, ...]:
    """Intact instances with a fused form around `row`, which may be one itself."""
    known = chains.get(row)
    if known is not None:
        return known
    if not 0 <= row < len(e.graph.instances):
        return ()
    instance = e.graph.instances[row]
    own = (row,) if instance.intact and instance.block in FUSED else ()
    chains[row] = (*_candidates(e, instance.parent, chains), *own)
    return chains[row]
