"""Batch norms and constant scales and shifts of each channel become part of the layer before them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from netdsl.dims import Dim
from netdsl.edit import GraphEdit, edit
from netdsl.ir import Graph, Node, Value
from netdsl.ops.base import Op
from netdsl.ops.convolution import Conv, ConvTranspose
from netdsl.ops.creation import Constant
from netdsl.ops.elementwise import Add, Div, Mul, Neg, Sub
from netdsl.ops.normalisation import BatchNorm
from netdsl.ops.product import Matmul
from netdsl.ops.shape import Broadcast, Reshape, Transpose
from netdsl.ops.unary import Reciprocal, Rsqrt
from netdsl.passes.base import EXACT, Guarantee, PassResult, Skip
from netdsl.passes.evaluation import is_computable

#: What follows a layer: the op and its operands besides the value.
_Key: TypeAlias = tuple[tuple[Op, tuple[Value, ...]], ...]
_ONE = Dim.of(1)


@dataclass(frozen=True)
class FoldBatchNorm:
    """Merge `batch_norm`, and constant scales and shifts of each channel, into the convolution or product before them.

    batch_norm(conv(x, w, b)) is conv(x, w * s, (b - mean) * s + bias) with s = weight / sqrt(var + eps). The weight may
    be a parameter or any other value; what is made of parameters alone is folded once they are bound. It declines
    where the result in between is an output or has other readers, and where something else reads the weight.
    """

    name: ClassVar[str] = "fold-batch-norm"
    guarantee: ClassVar[Guarantee] = EXACT

    def run(self, graph: Graph) -> PassResult:
        with edit(graph) as e:
            finder = _Finder(graph, e)
            chains = finder.chains()
            skips = finder.skipped(chains)
            made: dict[object, tuple[Value, Value | None]] = {}
            for chain in chains:
                _fold(e, chain, made)
        return PassResult(e.graph if chains else graph, len(chains), tuple(skips))


@dataclass(frozen=True, slots=True)
class _Chain:
    """A layer and the nodes after it that act on each channel alone.

    Args:
        weight:  as it is stored: for a product, before a transpose.
        channel: the axis of the layer's result.
    """

    layer: Node
    weight: Value
    channel: int
    tail: tuple[Node, ...] = ()
    key: _Key = field(default=())

    @property
    def is_product(self) -> bool:
        return isinstance(self.layer.op, Matmul)

    @property
    def has_scale(self) -> bool:
        return any(not isinstance(node.op, (Add, Sub)) for node in self.tail)

    @property
    def is_worthwhile(self) -> bool:
        """One sum after a product is its bias already."""
        return len(self.tail) > (self.is_product and not self.has_scale)


class _Finder:
    """What can be merged with what."""

    def __init__(self, graph: Graph, e: GraphEdit) -> None:
        self.graph = graph
        self.uses = e.uses
        self.makers = {value: node for node in graph.nodes for value in node.results}
        self.results = {v for _, v in graph.outputs} | {u.value for u in graph.updates}
        self.given = {tap.value for tap in graph.taps if tap.is_weight}
        self.fixed = {param.value for param in graph.params}
        for node in graph.nodes:
            if all(value in self.fixed for value in node.operands) and is_computable(node):
                self.fixed.update(node.results)

    def chains(self) -> list[_Chain]:
        """Layers with something to merge; those that share a weight have the same after them."""
        found = [self._followed(layer) for node in self.graph.nodes if (layer := self._layer(node)) is not None]
        keys = {chain.layer: chain.key for chain in found}
        return [
            chain
            for chain in found
            if chain.is_worthwhile and all(keys.get(reader) == chain.key for reader in self._readers(chain.weight))
        ]

    def skipped(self, chains: Sequence[_Chain]) -> list[Skip]:
        """Why each batch norm that stays does."""
        merged = {node for chain in chains for node in chain.tail}
        return [
            Skip(node, self._reason(node.operands[0]))
            for node in self.graph.nodes
            if isinstance(node.op, BatchNorm) and node not in merged
        ]

    def _reason(self, value: Value) -> str:
        before = self.makers.get(value)
        if before is None:
            return "it follows an input"
        if not self._is_between(value):
            return f"the result of `{before.op.name}` is read elsewhere too"
        if self._layer(before) is None:
            return f"it follows `{before.op.name}`, which is no layer"
        return f"the weight of `{before.op.name}` is read elsewhere too, or its channels lie on another axis"

    def _layer(self, node: Node) -> _Chain | None:
        if isinstance(node.op, (Conv, ConvTranspose)):
            return _Chain(node, node.operands[1], 1)
        if not isinstance(node.op, Matmul):
            return None
        weight = self._stored(node.operands[1])
        if weight.type.rank != 2 or not (weight in self.fixed or weight in self.given):
            return None
        return _Chain(node, weight, node.result.type.rank - 1)

    def _stored(self, value: Value) -> Value:
        """The matrix that `value` is the transpose of, or itself."""
        maker = self.makers.get(value)
        return maker.operands[0] if maker is not None and _is_turned(maker) else value

    def _readers(self, weight: Value) -> list[Node]:
        """Nodes that read the weight, transposed or not."""
        direct = self.uses(weight)
        turned = [reader for node in direct if _is_turned(node) for reader in self.uses(node.result)]
        return [node for node in direct if not _is_turned(node)] + turned

    def _followed(self, chain: _Chain) -> _Chain:
        value, tail, key = chain.layer.result, [], []
        while self._is_between(value):
            (node,) = self.uses(value)
            others = self._others(node, value, chain.channel)
            if others is None:
                break
            tail.append(node)
            key.append((node.op, others))
            value = node.result
        return _Chain(chain.layer, chain.weight, chain.channel, tuple(tail), tuple(key))

    def _is_between(self, value: Value) -> bool:
        return value not in self.results and len(self.uses(value)) == 1

    def _others(self, node: Node, value: Value, channel: int) -> tuple[Value, ...] | None:
        """Operands besides `value` of a node that only scales and shifts its channels."""
        if isinstance(node.op, BatchNorm):
            return node.operands[1:] if node.operands[0] is value and channel == 1 else None
        if not isinstance(node.op, (Add, Sub, Mul, Div)):
            return None
        at = node.operands.index(value)
        other = node.operands[1 - at]
        if other not in self.fixed or (at == 1 and isinstance(node.op, (Sub, Div))):
            return None
        if node.result.type.sizes != value.type.sizes:
            return None
        place = channel - value.type.rank + other.type.rank
        return (other,) if all(size == 1 for at, size in enumerate(other.type.sizes) if at != place) else None


def _is_turned(node: Node) -> bool:
    return isinstance(node.op, Transpose) and node.op.perm == (1, 0)


def _fold(e: GraphEdit, chain: _Chain, made: dict[object, tuple[Value, Value | None]]) -> None:
    """The layer with another weight and bias in the place of the last node of its tail."""
    layer, end = chain.layer, chain.tail[-1]
    write = _Writer(e, chain)
    bias = layer.operands[2] if len(layer.operands) == 3 else None
    key = (layer.op, chain.weight, chain.weight is layer.operands[1], bias, chain.key)
    if key not in made:
        scale, shift = write.affine(bias)
        made[key] = (layer.operands[1] if scale is None else write.scaled_weight(scale)), shift
    weight, shift = made[key]
    op, operands = layer.op, [layer.operands[0], weight]
    if shift is not None and chain.is_product:
        op, operands = Add(), [write(layer.op, *operands), shift]
    elif shift is not None:
        operands.append(shift)
    spans = tuple(dict.fromkeys(span for node in (layer, *chain.tail) for span in node.spans))
    e.replace_node(end, op, operands, spans=spans, instance=layer.instance)
    for node in (layer, *chain.tail[:-1]):
        e.erase(node)


class _Writer:
    """Writes nodes ahead of the end of a chain, in the layer's instance."""

    def __init__(self, e: GraphEdit, chain: _Chain) -> None:
        self._edit = e
        self._chain = chain
        self._channels = chain.layer.result.type.sizes[chain.channel]

    def __call__(self, op: Op, *operands: Value) -> Value:
        chain = self._chain
        return self._edit.insert_before(chain.tail[-1], op, operands, instance=chain.layer.instance).result

    def affine(self, bias: Value | None) -> tuple[Value | None, Value | None]:
        """What the tail multiplies the layer's result by, and what it adds to it with the bias, a number a channel."""
        scale, shift = None, bias
        for op, others in self._chain.key:
            if isinstance(op, BatchNorm):
                mean, var, weight, offset = others
                eps = self(Constant((op.eps,), (), var.type.dtype))
                factor = self(Mul(), weight, self(Rsqrt(), self(Add(), var, eps)))
                scale = factor if scale is None else self(Mul(), scale, factor)
                if shift is None:
                    shift = self(Sub(), offset, self(Mul(), mean, factor))
                else:
                    shift = self(Add(), self(Mul(), self(Sub(), shift, mean), factor), offset)
                continue
            (other,) = others
            vector = self(Reshape((other.type.numel(),)), other)
            if isinstance(op, (Mul, Div)):
                shift = shift and self(op, shift, vector)
                scale = self(op, scale, vector) if scale else self._only(op, vector)
            else:
                shift = self(op, shift, vector) if shift else self._only(op, vector)
        if shift is not None and shift.type.sizes != (self._channels,):
            shift = self(Broadcast((self._channels,)), shift)
        return scale, shift

    def _only(self, op: Op, vector: Value) -> Value:
        """What is left of a sum or product whose first term is nothing."""
        if isinstance(op, Sub):
            return self(Neg(), vector)
        return self(Reciprocal(), vector) if isinstance(op, Div) else vector

    def scaled_weight(self, scale: Value) -> Value:
        """The layer's weight times `scale`, laid out as it was."""
        op, weight = self._chain.layer.op, self._chain.weight
        is_turned = weight is not self._chain.layer.operands[1]
        is_single = scale.type.sizes != (self._channels,)
        if isinstance(op, ConvTranspose) and op.groups > 1 and not is_single:
            groups, (rows, columns, *kernel) = op.groups, weight.type.sizes
            parts = self(Reshape((Dim.of(groups), rows // groups, columns, *kernel)), weight)
            factor = self(Reshape((Dim.of(groups), _ONE, columns, *(_ONE for _ in kernel))), scale)
            return self(Reshape(weight.type.sizes), self(Mul(), parts, factor))
        channel = 0 if isinstance(op, Conv) or is_turned else 1
        shape = [_ONE] * weight.type.rank
        shape[channel] = scale.type.sizes[0]
        scaled = self(Mul(), weight, self(Reshape(tuple(shape)), scale))
        return self(Transpose((1, 0)), scaled) if is_turned else scaled
