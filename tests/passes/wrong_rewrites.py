"""Seeded wrong rewrites: each breaks its EXACT promise in one way, and the validator must find it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

from netdsl.edit import edit
from netdsl.ir import Graph, Node
from netdsl.ops.convolution import Conv
from netdsl.ops.elementwise import Add, Sub
from netdsl.ops.normalisation import BatchNorm
from netdsl.ops.pieces import Split
from netdsl.ops.product import Matmul
from netdsl.ops.softmax import Softmax
from netdsl.passes.base import EXACT, Guarantee, PassResult


@dataclass(frozen=True)
class Wrong:
    """Applies one wrong change to the first node it fits."""

    rewrite: Callable[[Graph], Graph | None]
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
