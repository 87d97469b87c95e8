"""Products with a basis, one function at a time: a function of all inputs stays in the cache, and the basis does not.

Each function is computed on the rows themselves, and a Gemm adds its product with its weights to the sum. What a form
of splines leaves to a matrix goes into the weights, in float64 where they are known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from netdsl.backends.onnx.emitter import GraphEmitter
from netdsl.backends.onnx.polynomial import by_degree
from netdsl.backends.onnx.shape import reshape
from netdsl.backends.onnx.spline import Matrix, split
from netdsl.backends.onnx.storage import Array
from netdsl.backends.onnx.tables import TABLE
from netdsl.dims import Dim, product
from netdsl.expansions import Expansion, expansions, is_row
from netdsl.ir import Node, Value
from netdsl.ops.pieces import Stack
from netdsl.ops.polynomial import Polynomials
from netdsl.ops.shape import Reshape, Transpose, Unsqueeze
from netdsl.ops.spline import BSpline
from netdsl.ops.spline_forms import choose_split_form
from netdsl.tensor_type import F32, I64, TensorType


@dataclass(frozen=True, slots=True, eq=False)
class Expansions:
    """Those of a run of nodes.

    Args: products: by the node of each; inner: what is computed with them; makers: of all values of the run.
    """

    products: Mapping[Node, Expansion]
    inner: frozenset[Node]
    makers: Mapping[Value, Node]


def expansions_of(nodes: Sequence[Node], wanted: Sequence[Value]) -> Expansions:
    """Every product in `nodes` that is summed over functions. `wanted`: what is read outside."""
    found = expansions(nodes, wanted)
    products = {x.product: x for x in found}
    inner = frozenset(node for x in found for node in x.nodes)
    return Expansions(products, inner, {v: node for node in nodes for v in node.results} if found else {})


def lower_expansion(e: GraphEmitter, node: Node, found: Expansions, names: Mapping[Value, str]) -> str:
    """The name of the result of the product `node`."""
    work = _Sum(e, found.products[node], found.makers, names)
    root = found.makers[work.basis]
    matrix: Matrix | None = None
    is_one = False
    if isinstance(root.op, BSpline):
        form = choose_split_form(root.op, root.result.type.dtype)
        assert form is not None, f"{root.op!r} is computed whole"
        parts, matrix = split(e, root.op, names[root.operands[0]], form.name)
    else:
        parts = work.functions(work.basis)
        is_one = isinstance(root.op, Polynomials)
    return work.total(parts, matrix, is_one=is_one)


class _Sum:
    """One expansion, its functions and its weights."""

    def __init__(
        self, e: GraphEmitter, found: Expansion, makers: Mapping[Value, Node], names: Mapping[Value, str]
    ) -> None:
        self._e, self._makers, self._names = e, makers, names
        self._product, self.basis = found.product, found.basis
        self._lead = found.basis.type.sizes[:-2]
        self._count, self._inputs = Dim.of(found.functions), Dim.of(found.inputs)
        self._known: dict[Value, list[str]] = {}

    # --- functions ---

    def functions(self, value: Value) -> list[str]:
        """Each function of `value` (.., functions, inputs), a tensor (.., inputs)."""
        known = self._known.get(value)
        if known is None:
            known = self._known[value] = self._functions(self._makers[value])
        return known

    def _functions(self, node: Node) -> list[str]:
        if isinstance(node.op, Stack):
            return [self._names[v] for v in node.operands]
        if isinstance(node.op, Polynomials):
            return by_degree(self._e, node, self._names[node.operands[0]])
        cut = replace(
            node,
            operands=tuple(Value(self._cut(v)) for v in node.operands),
            results=(Value(self._cut(node.result)),),
        )
        operands = [self._operand(v) for v in node.operands]
        lower = TABLE[type(node.op)]
        return [lower(self._e, cut, tuple(names[at] for names in operands))[0] for at in range(self._count.value)]

    def _operand(self, value: Value) -> list[str]:
        """What each function reads of an operand of an elementwise op."""
        t, count = value.type, self._count.value
        if t.sizes[-2:] == self.basis.type.sizes[-2:]:
            return self.functions(value)
        if t.rank < 2:
            return [self._names[value]] * count
        if not is_row(value, self._inputs) and t.sizes[-2] == self._count:
            index = (self._e.constant(at, I64, ()) for at in range(count))
            return [self._e.node("Gather", self._names[value], one, axis=t.rank - 2)[0] for one in index]
        maker = self._makers.get(value)
        if maker is not None and isinstance(maker.op, Unsqueeze) and maker.op.axis == t.rank - 2:
            return [self._names[maker.operands[0]]] * count
        return list(self._e.node("Squeeze", self._names[value], self._e.constant([t.rank - 2], I64))) * count

    def _cut(self, value: Value) -> TensorType:
        t = value.type
        return t if t.rank < 2 else t.with_axes((*t.axes[:-2], t.axes[-1]))

    # --- weights ---

    def total(self, parts: Sequence[str], matrix: Matrix | None, *, is_one: bool) -> str:
        """The sum of products. `is_one`: the first function is 1 everywhere."""
        weights = self._weights(matrix, is_one=is_one)
        rows, result = product(self._lead), self._product.result.type.sizes
        total = weights[0] if is_one else ""
        for part, weight in list(zip(parts, weights, strict=True))[is_one:]:
            values = reshape(self._e, part, (*self._lead, self._inputs), (rows, self._inputs))
            total = self._e.node(*(("Gemm", values, weight, total) if total else ("MatMul", values, weight)))[0]
        return reshape(self._e, total, (rows, result[-1]), result)

    def _weights(self, matrix: Matrix | None, *, is_one: bool) -> list[str]:
        """Those of each function, (inputs, outputs); of the one that is 1, their sum (outputs)."""
        e, value = self._e, self._product.operands[1]
        known = self._initializer(value)
        count = matrix.shape[1] if matrix is not None else self._count.value
        if known is None:
            return self._computed(value, matrix, is_one=is_one)
        source, array = known
        whole = np.asarray(array, np.float64).reshape(self._count.value, self._inputs.value, -1)
        if matrix is not None:
            whole = np.tensordot(matrix.T, whole, 1)
        parts = [whole[0].sum(0) if is_one and at == 0 else whole[at] for at in range(count)]
        key = (self._names[value], b"" if matrix is None else matrix.tobytes(), is_one)
        return [e.derived(source, str(at), part, key) for at, part in enumerate(parts)]

    def _computed(self, value: Value, matrix: Matrix | None, *, is_one: bool) -> list[str]:
        e, outputs = self._e, self._product.result.type.sizes[-1]
        name, flat = self._names[value], value.type.sizes
        if matrix is not None:
            wide = (self._count, self._inputs * outputs)
            name = e.node("MatMul", e.constant(matrix.T, F32), reshape(e, name, flat, wide))[0]
            flat = wide
        name = reshape(e, name, flat, (self._count, self._inputs, outputs))
        found = [e.node("Gather", name, e.constant(at, I64, ()), axis=0)[0] for at in range(self._count.value)]
        if is_one:
            found[0] = e.node("ReduceSum", found[0], e.constant([0], I64), keepdims=0)[0]
        return found

    def _initializer(self, value: Value) -> tuple[str, Array] | None:
        """The initializer that a value is another layout of, and its values in that layout."""
        tensor = self._e.initializers.get(self._names[value])
        if tensor is not None:
            return tensor.name, tensor.source
        node = self._makers.get(value)
        below = self._initializer(node.operands[0]) if node is not None and isinstance(node.op, _LAYOUTS) else None
        if node is None or below is None:
            return None
        if isinstance(node.op, Transpose):
            return below[0], below[1].transpose(node.op.perm)
        return below[0], below[1].reshape([size.value for size in value.type.sizes])


_LAYOUTS = (Transpose, Reshape, Unsqueeze)
