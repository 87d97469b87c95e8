"""Random graphs of ops that move elements: parameters reshaped, joined, cut and multiplied, in sizes with many factors."""

import random
from collections.abc import Callable

from netdsl.dims import Dim, Facts
from netdsl.ir import Graph, Init, Node, Param, Value
from netdsl.ops.base import Op
from netdsl.ops.elementwise import Add, Mul
from netdsl.ops.pieces import Concat, Pad, Pick, Slice, Split
from netdsl.ops.product import Einsum, Matmul
from netdsl.ops.reduction import ReduceMax, ReduceSum
from netdsl.ops.shape import Reshape, Transpose
from netdsl.ops.unary import Sin
from netdsl.tensor_type import F64, Axis, TensorType
from tests.random_networks.generate import rooted

SIZES = (2, 3, 4, 6, 8, 12, 24)


class MovedAxes:
    """Makes the graph of a seed; `graph.params` have normal values."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._nodes: list[Node] = []
        self._params: list[Param] = []
        self._pool = [self._param(self._shape()) for _ in range(3)]
        steps: tuple[Callable[[Value], Value | None], ...] = (
            self._reshape,
            self._reshape,
            self._transpose,
            self._concat,
            self._split,
            self._slice,
            self._pad,
            self._matmul,
            self._merge,
            self._add,
            self._add,
            self._add,
            self._reduce,
        )
        while len(self._nodes) < 14:
            made = self._rng.choice(steps)(self._rng.choice(self._pool))
            if made is not None:
                self._pool.append(made)
        read = {value for node in self._nodes for value in node.operands}
        outputs = [self._read(value) for value in self._pool if value not in read]
        named = tuple((f"y{at}", value) for at, value in enumerate(outputs))
        self.graph = rooted(Graph("Moved", (), named, tuple(self._params), tuple(self._nodes)))

    def _shape(self) -> list[int]:
        return [self._rng.choice(SIZES) for _ in range(self._rng.choice((1, 2, 2)))]

    def _param(self, shape: list[int]) -> Value:
        value = Value(TensorType(F64, tuple(Axis(None, Dim.of(size)) for size in shape)))
        self._params.append(
            Param(f"p{len(self._params)}", "param", value, Init("normal", (("mean", 0.0), ("std", 1.0))))
        )
        return value

    def _apply(self, op: Op, *operands: Value) -> tuple[Value, ...]:
        types = tuple(value.type for value in operands)
        op = op.normalised(types)
        self._nodes.append(Node(op, operands, tuple(map(Value, op.infer(types, Facts.EMPTY)))))
        return self._nodes[-1].results

    def _read(self, x: Value) -> Value:
        """The sum of a nonlinear function of products with a parameter."""
        (product,) = self._apply(Mul(), x, self._param(_shape(x)))
        (result,) = self._apply(ReduceSum(), self._apply(Sin(), product)[0])
        return result

    def _reshape(self, x: Value) -> Value | None:
        left, shape = _count(x), []
        while left > 1 and len(shape) < 3:
            shape.append(self._rng.choice([size for size in range(2, left + 1) if left % size == 0]))
            left //= shape[-1]
        return self._apply(Reshape(tuple(map(Dim.of, (*shape, left) if left > 1 else shape))), x)[0]

    def _transpose(self, x: Value) -> Value | None:
        order = self._rng.sample(range(x.type.rank), x.type.rank)
        return self._apply(Transpose(tuple(order)), x)[0]

    def _concat(self, x: Value) -> Value | None:
        at = self._axis(x)
        if at is None or _count(x) > 300:
            return None
        shape = _shape(x)
        fitting = [v for v in self._pool if v.type.rank == x.type.rank and _but(_shape(v), at) == _but(shape, at)]
        others = [self._rng.choice(fitting), self._param([*shape[:at], self._rng.choice(SIZES), *shape[at + 1 :]])]
        return self._apply(Concat(at), *self._rng.sample([x, *others], 3))[0]

    def _split(self, x: Value) -> Value | None:
        at = self._axis(x)
        if at is None:
            return None
        size = _shape(x)[at]
        count = self._rng.choice([n for n in range(2, size + 1) if size % n == 0])
        parts = self._apply(Split((Dim.of(size // count),) * count, at), x)
        self._pool += parts[:3]
        return self._apply(Mul(), parts[0], parts[-1])[0]

    def _slice(self, x: Value) -> Value | None:
        at = self._axis(x)
        if at is None:
            return None
        size = _shape(x)[at]
        start = self._rng.randrange(size - 1)
        if self._rng.random() < 0.3:
            return self._apply(Pick(at, Dim.of(start)), x)[0]
        return self._apply(Slice(at, Dim.of(start), Dim.of(self._rng.randint(start + 2, size))), x)[0]

    def _pad(self, x: Value) -> Value | None:
        if not x.type.rank:
            return None
        return self._apply(Pad(((Dim.of(self._rng.randint(0, 3)), Dim.of(self._rng.randint(0, 3))),)), x)[0]

    def _matmul(self, x: Value) -> Value | None:
        return (
            self._apply(Matmul(), x, self._param([_shape(x)[-1], self._rng.choice(SIZES)]))[0] if x.type.rank else None
        )

    def _merge(self, x: Value) -> Value | None:
        """Two axes become one, the second outside."""
        return self._apply(Einsum("a b -> (b a)"), x)[0] if x.type.rank == 2 else None

    def _add(self, x: Value) -> Value | None:
        """To another value of its shape, or of the shape of its last axis."""
        shape = _shape(x)
        fitting = [v for v in self._pool if v is not x and v.type.rank and _shape(v) in (shape, shape[-1:])]
        return self._apply(Add(), x, self._rng.choice(fitting))[0] if fitting else None

    def _reduce(self, x: Value) -> Value | None:
        at = self._axis(x)
        return None if at is None or x.type.rank < 2 else self._apply(ReduceMax((at,)), x)[0]

    def _axis(self, x: Value) -> int | None:
        """One of several places."""
        long = [at for at, size in enumerate(_shape(x)) if size > 1]
        return self._rng.choice(long) if long else None


def _shape(x: Value) -> list[int]:
    return [size.value for size in x.type.sizes]


def _count(x: Value) -> int:
    return x.type.numel().value


def _but(shape: list[int], at: int) -> list[int]:
    return shape[:at] + shape[at + 1 :]
