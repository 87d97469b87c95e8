"""Seeded wrong rewrites: each breaks its EXACT promise in one way, and the validator must find it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

from netdsl.dims import Dim
from netdsl.edit import edit
from netdsl.ir import Graph, Node, Value
from netdsl.ops.base import Op
from netdsl.ops.convolution import Conv
from netdsl.ops.creation import Constant
from netdsl.ops.elementwise import Add, Mul, Sub
from netdsl.ops.normalisation import BatchNorm
from netdsl.ops.pieces import Split
from netdsl.ops.product import Matmul
from netdsl.ops.shape import Reshape
from netdsl.ops.softmax import Softmax
from netdsl.ops.unary import Rsqrt
from netdsl.passes.base import EXACT, Guarantee, PassResult

Rewrite = Callable[[Graph], Graph | None]


@dataclass(frozen=True)
class Wrong:
    """Applies one wrong change to the first node it fits."""

    rewrite: Rewrite
    name: ClassVar[str] = "wrong"
    guarantee: ClassVar[Guarantee] = EXACT

    def run(self, graph: Graph) -> PassResult:
        changed = self.rewrite(graph)
        assert changed is not None, "the rewrite found nothing to change"
        return PassResult(changed, 1)


def _first(graph: Graph, op: type) -> Node | None:
    return next((n for n in graph.nodes if isinstance(n.op, op)), None)


def swapped_scale_and_shift(graph: Graph) -> Graph | None:
    """batch_norm(x, mean, var, weight, bias) with weight and bias exchanged."""
    node = _first(graph, BatchNorm)
    if node is None:
        return None
    x, mean, var, weight, bias = node.operands
    with edit(graph) as e:
        e.replace_node(node, node.op, (x, mean, var, bias, weight))
    return e.graph


def dropped_running_mean(graph: Graph) -> Graph | None:
    """batch_norm that reads its bias as its mean: the same while both are zero."""
    node = _first(graph, BatchNorm)
    if node is None:
        return None
    x, _, var, weight, bias = node.operands
    with edit(graph) as e:
        e.replace_node(node, node.op, (x, bias, var, weight, bias))
    return e.graph


def dropped_residual(graph: Graph) -> Graph | None:
    """x + f(x) becomes f(x) + f(x)."""
    node = next((n for n in graph.nodes if isinstance(n.op, Add) and n.operands[0].type == n.operands[1].type), None)
    if node is None:
        return None
    with edit(graph) as e:
        e.replace_node(node, node.op, (node.operands[1], node.operands[1]))
    return e.graph


def reordered_parts(graph: Graph) -> Graph | None:
    """Queries and keys of a split change places."""
    node = _first(graph, Split)
    if node is None:
        return None
    first, second, *_ = node.results
    with edit(graph) as e:
        e.replace_value(first, second)
    return e.graph


def softmax_over_the_other_axis(graph: Graph) -> Graph | None:
    """Softmax over queries in place of keys; both have the same size."""
    node = _first(graph, Softmax)
    if node is None:
        return None
    assert isinstance(node.op, Softmax)
    with edit(graph) as e:
        e.replace_node(node, Softmax(node.op.axis - 1), node.operands)
    return e.graph


def subtraction_for_addition(graph: Graph) -> Graph | None:
    """A bias is subtracted: the same while it is zero."""
    node = next((n for n in graph.nodes if isinstance(n.op, Add) and n.operands[1].type.rank == 1), None)
    if node is None:
        return None
    with edit(graph) as e:
        e.replace_node(node, Sub(), node.operands)
    return e.graph


def stride_in_the_padding(graph: Graph) -> Graph | None:
    """A convolution whose padding moves from both sides to one."""
    node = _first(graph, Conv)
    if node is None:
        return None
    assert isinstance(node.op, Conv)
    with edit(graph) as e:
        e.replace_node(node, replace(node.op, padding=(2, 0, 1, 1)), node.operands)
    return e.graph


def product_of_another_value(graph: Graph) -> Graph | None:
    """A matrix product reads the value before the normalisation."""
    entry = graph.inputs[0][1].type.without_names()
    products = [n for n in graph.nodes if isinstance(n.op, Matmul) and n.operands[0].type == entry]
    if not products:
        return None
    with edit(graph) as e:
        e.replace_node(products[0], products[0].op, (graph.inputs[0][1], products[0].operands[1]))
    return e.graph


def norm_folded_without_its_mean(graph: Graph) -> Graph | None:
    """A batch norm becomes part of a convolution, as if its mean were 0."""
    return _folded(graph, has_mean=False)


def norm_folded_without_the_layers_bias(graph: Graph) -> Graph | None:
    """The bias of the convolution is lost."""
    return _folded(graph, has_bias=False)


def norm_folded_without_eps(graph: Graph) -> Graph | None:
    """The variance is taken as it is: almost the same where it is large."""
    return _folded(graph, has_eps=False)


def norm_folded_along_the_input_channels(graph: Graph) -> Graph | None:
    """The scale multiplies the columns of the kernel: well typed where there are as many inputs as outputs."""
    return _folded(graph, channel=1)


def norm_folded_past_a_second_reader(graph: Graph) -> Graph | None:
    """What else reads the convolution reads the normalised value."""
    return _folded(graph, is_shared=True)


def _folded(
    graph: Graph,
    *,
    has_mean: bool = True,
    has_bias: bool = True,
    has_eps: bool = True,
    channel: int = 0,
    is_shared: bool = False,
) -> Graph | None:
    norm, conv = _first(graph, BatchNorm), _first(graph, Conv)
    if norm is None or conv is None:
        return None
    assert isinstance(norm.op, BatchNorm)
    with edit(graph) as e:

        def put(op: Op, *operands: Value) -> Value:
            return e.insert_before(norm, op, operands).result

        _, mean, var, weight, bias = norm.operands
        x, kernel, own = conv.operands
        eps = put(Constant((norm.op.eps if has_eps else 0.0,), (), var.type.dtype))
        scale = put(Mul(), weight, put(Rsqrt(), put(Add(), var, eps)))
        shape = [Dim.of(1)] * 4
        shape[channel] = scale.type.sizes[0]
        centred = put(Sub(), own, mean) if has_mean and has_bias else own
        shift = put(Mul(), centred, scale) if has_bias else put(Mul(), put(Sub(), mean, put(Add(), mean, mean)), scale)
        kernel = put(Mul(), kernel, put(Reshape(tuple(shape)), scale))
        e.replace_node(norm, conv.op, (x, kernel, put(Add(), shift, bias)))
        if is_shared:
            e.replace_value(conv.result, norm.result)
    return e.graph
