"""Products with a basis that may be summed over its functions, one at a time, so that the basis is never held whole."""

from collections.abc import Iterable, Mapping, Sequence

from netdsl.dims import Dim
from netdsl.ir import Node, Value
from netdsl.ops import activation, comparison, elementwise, unary
from netdsl.ops.base import Op
from netdsl.ops.pieces import Stack
from netdsl.ops.polynomial import Polynomials
from netdsl.ops.product import Matmul
from netdsl.ops.shape import Reshape
from netdsl.ops.spline import BSpline
from netdsl.ops.spline_forms import choose_split_form
from netdsl.record import dataclass
from netdsl.tensor_type import F32

#: Ops that compute each element by itself, with broadcasting.
POINTWISE: frozenset[type[Op]] = frozenset(
    op for family in (elementwise, comparison, unary, activation) for op in family.OPS
)
#: Sums are written once for each function: with fewer inputs, or more outputs to each, that takes the time.
_FEWEST_INPUTS, _MOST_OUTPUTS = 16, 4
_MOST_FUNCTIONS = 64
#: Elements of an input, where they are known, below which starting the nodes takes the time.
_FEWEST_ELEMENTS = 2**13


@dataclass(frozen=True, slots=True, eq=False)
class Expansion:
    """A product of (.., functions * inputs) and (functions * inputs, outputs), the left side a basis of rows.

    Args:
        product: the `matmul`.
        basis:   (.., functions, inputs).
        nodes:   what makes the basis of rows (.., inputs), and the reshape; nothing else reads their results.
    """

    product: Node
    basis: Value
    nodes: tuple[Node, ...]

    @property
    def functions(self) -> int:
        """How many there are."""
        return self.basis.type.sizes[-2].value

    @property
    def inputs(self) -> int:
        """How many numbers a row has."""
        return self.basis.type.sizes[-1].value


def expansions(nodes: Sequence[Node], wanted: Iterable[Value]) -> tuple[Expansion, ...]:
    """Every such product in `nodes` that is faster summed. `wanted`: values that are read elsewhere."""
    makers = {value: node for node in nodes for value in node.results}
    found = [x for node in nodes if (x := _expansion(node, makers)) is not None]
    if not found:
        return ()
    readers: dict[Value, list[Node]] = {}
    for node in nodes:
        for value in node.operands:
            readers.setdefault(value, []).append(node)
    outer = set(wanted)
    while True:
        inside = {node for x in found for node in (*x.nodes, x.product)}
        products = {x.product for x in found}
        kept = [
            x
            for x in found
            if all(
                value not in outer and inside.issuperset(readers.get(value, ()))
                for node in x.nodes
                if node not in products
                for value in node.results
            )
        ]
        if len(kept) == len(found):
            return tuple(kept)
        found = kept


def _expansion(product: Node, makers: Mapping[Value, Node]) -> Expansion | None:
    if not isinstance(product.op, Matmul):
        return None
    left, right = product.operands
    flat = makers.get(left)
    if flat is None or not isinstance(flat.op, Reshape) or left.type.dtype != F32 or right.type.rank != 2:
        return None
    (basis,) = flat.operands
    if basis.type.rank < 2:
        return None
    *lead, functions, inputs = basis.type.sizes
    if not (functions.is_const and inputs.is_const and left.type.sizes == (*lead, functions * inputs)):
        return None
    if not (2 <= functions.value <= _MOST_FUNCTIONS and inputs.value >= _FEWEST_INPUTS):
        return None
    outputs = right.type.sizes[1]
    if not (outputs.is_const and outputs.value <= _MOST_OUTPUTS * inputs.value):
        return None
    elements = inputs
    for size in lead:
        elements = elements * size
    if elements.is_const and elements.value < _FEWEST_ELEMENTS:
        return None
    root = makers.get(basis)
    if root is not None and isinstance(root.op, BSpline):
        cone = [root] if root.op.axis == len(lead) and choose_split_form(root.op, basis.type.dtype) else None
    else:
        cone = _cone(basis, makers, (functions, inputs))
    if cone is None or any(node.instance != product.instance for node in cone):
        return None
    return Expansion(product, basis, (*cone, flat))


def _cone(basis: Value, makers: Mapping[Value, Node], whole: tuple[Dim, Dim]) -> list[Node] | None:
    """The nodes between rows and the basis, in order; None if one of them cannot be computed function by function."""
    found: dict[Node, None] = {}
    stack = [(basis, False)]
    while stack:
        value, is_done = stack.pop()
        node = makers.get(value)
        if node is None:
            return None
        if is_done:
            found[node] = None
        elif node not in found:
            stack.append((value, True))
            if type(node.op) in POINTWISE:
                for operand in node.operands:
                    if operand.type.sizes[-2:] == whole:
                        stack.append((operand, False))
                    elif not (is_row(operand, whole[1]) or is_column(operand, whole[0])):
                        return None
            elif not isinstance(node.op, Polynomials | Stack) or node.op.axis != value.type.rank - 2:
                return None
    return list(found)


def is_row(value: Value, inputs: Dim) -> bool:
    """Whether all functions share it: (.., 1, inputs)."""
    sizes = value.type.sizes
    return bool(sizes) and sizes[-1] == inputs and (len(sizes) == 1 or sizes[-2] == Dim.of(1))


def is_column(value: Value, functions: Dim) -> bool:
    """Whether it is one number for each function, (functions, 1), or for all."""
    sizes = value.type.sizes
    if not sizes:
        return True
    ones = all(size == Dim.of(1) for size in (*sizes[:-2], sizes[-1]))
    return ones and (len(sizes) == 1 or sizes[-2] in (functions, Dim.of(1)))
