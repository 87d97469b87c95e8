"""Keeps ONNX Runtime's fusion of `Transpose` into `MatMul` off the two forms at which 1.32 ends the process.

Both need a `Cast` between the two: one of ours, or the one to float32 that its CPU provider, having no half-precision
`MatMul`, puts there by itself.
"""

from collections.abc import Iterable, Mapping

from onnx import AttributeProto

from netdsl.backends.onnx.emitter import AttributeValue, GraphEmitter, Record, Scope
from netdsl.backends.onnx.storage import code
from netdsl.tensor_type import BF16, F16, F32

_HALVES = (code(F16), code(BF16))


def guard_products(emitter: GraphEmitter, scopes: Iterable[Scope]) -> None:
    """Let no `MatMul` read what a transpose made and a cast changed, or half-precision rows that were turned."""
    for scope in scopes:
        makers = {name: record for record in scope.records for name in record.outputs}
        kept: list[Record] = []
        for record in scope.records:
            if record.op_type == "MatMul":
                guard = _Guard(emitter, makers, record, kept)
                record.inputs = tuple(guard.operand(name) for name in record.inputs)
            kept.append(record)
        scope.records = kept


class _Guard:
    """Writes the operands of one product anew, in front of it."""

    def __init__(
        self, emitter: GraphEmitter, makers: Mapping[str, Record], reader: Record, records: list[Record]
    ) -> None:
        self._emitter, self._makers, self._reader, self._records = emitter, makers, reader, records

    def operand(self, name: str) -> str:
        last, behind = self._transposes(name)
        cast = self._makers.get(last)
        if cast is not None and cast.op_type == "Cast":
            first, before = self._transposes(cast.inputs[0])
            return self._turned(self._cast(first, _target(cast)), [*behind, *before]) if before else name
        half = self._half(last) if _turns_rows(behind) else None
        return name if half is None else self._cast(self._turned(self._cast(last, code(F32)), behind), half)

    def _cast(self, name: str, to: int) -> str:
        return self._record("Cast", name, {"to": (AttributeProto.INT, to)})

    def _turned(self, name: str, transposes: Iterable[Record]) -> str:
        """`name` transposed as by `transposes`, the last of which comes first."""
        for transpose in reversed(list(transposes)):
            name = self._record("Transpose", name, transpose.attributes)
        return name

    def _record(self, op_type: str, name: str, attributes: dict[str, tuple[int, AttributeValue]]) -> str:
        made = self._emitter.unique(f"{self._reader.name}.{op_type}")
        self._records.append(Record(op_type, (name,), (made,), attributes, made, self._reader.source))
        return made

    def _transposes(self, name: str) -> tuple[str, list[Record]]:
        """What `name` is transposed from, and the transposes, the last first."""
        found: list[Record] = []
        while (record := self._makers.get(name)) is not None and record.op_type == "Transpose":
            found.append(record)
            name = record.inputs[0]
        return name, found

    def _half(self, name: str) -> int | None:
        """The code of the half-precision dtype of `name`; untyped, it has that of what it is made of."""
        emitter = self._emitter
        while name not in emitter.types and name not in emitter.initializers:
            record = self._makers.get(name)
            if record is None or not record.inputs or record.op_type == "Cast":
                return None if record is None or not record.inputs else _half(_target(record))
            name = record.inputs[0]
        return _half(code(emitter.type_of(name).dtype))


def _half(dtype: int) -> int | None:
    return dtype if dtype in _HALVES else None


def _target(cast: Record) -> int:
    _, to = cast.attributes["to"]
    assert isinstance(to, int)
    return to


def _turns_rows(transposes: Iterable[Record]) -> bool:
    """Whether the first axis ends among the last two, and the others keep their order."""
    order: list[int] | None = None
    for transpose in transposes:
        _, perm = transpose.attributes.get("perm", (0, ()))
        assert isinstance(perm, tuple)
        if not perm:
            return False
        axes = [int(axis) for axis in perm]
        order = axes if order is None else [axes[axis] for axis in order]
    if order is None or len(order) < 3:
        return False
    rest = list(range(1, len(order)))
    return order in ([*rest[:-1], 0, rest[-1]], [*rest, 0])
