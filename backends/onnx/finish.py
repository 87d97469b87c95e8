"""What is done once all records are there: layouts folded into initializers, dead nodes dropped, outputs named."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import compress

import numpy as np

from netdsl.backends.onnx.emitter import GraphEmitter, Record, Scope
from netdsl.backends.onnx.storage import Array
from netdsl.backends.onnx.turned_products import guard_products

#: A tensor above this is not stored twice when something reads it in its own layout too (a tied embedding).
_COPIED_BYTES = 64 * 1024


def finish(emitter: GraphEmitter, outputs: Sequence[tuple[str, str]]) -> None:
    """Make the model's outputs (name, value) and leave only what they need."""
    for name, value in outputs:
        _name_output(emitter, name, value)
    _fold_layouts(emitter)
    guard_products(emitter, _scopes(emitter.root))
    live = _drop_dead(emitter)
    for name in [n for n in emitter.initializers if n not in live]:
        del emitter.initializers[name]


def walk(scope: Scope) -> Iterator[tuple[Scope, Record]]:
    """Every record of a scope and of the scopes in it."""
    for record in scope.records:
        yield scope, record
        for inner in record.scopes():
            yield from walk(inner)


def _name_output(emitter: GraphEmitter, name: str, value: str) -> None:
    root = emitter.root
    is_named = name == value and value in root.inputs
    if not is_named:
        taken = value in root.inputs or value in emitter.initializers or value in root.outputs
        if taken:
            t = emitter.type_of(value)
            (value,) = emitter.copy(value)
            emitter.types[value] = t
        emitter.renamed[value] = name
    root.outputs.append(value)


def _fold_layouts(emitter: GraphEmitter) -> None:
    """Replace each `Transpose`, `Reshape`, `Unsqueeze` or `Squeeze` of an initializer by an initializer."""
    readers: dict[str, int] = {}
    for scope, record in walk(emitter.root):
        for name in record.inputs:
            if name in emitter.initializers and not _is_layout_of(record, name):
                readers[name] = readers.get(name, 0) + 1
        for name in scope.outputs:
            readers[name] = readers.get(name, 0) + 1
    replaced: dict[str, str] = {}
    for scope in list(_scopes(emitter.root)):
        kept = []
        for record in scope.records:
            if replaced:
                record.inputs = tuple(replaced.get(name, name) for name in record.inputs)
            folded = _folded(emitter, record, readers)
            if folded is None or record.outputs[0] in scope.outputs:
                kept.append(record)
            else:
                replaced[record.outputs[0]] = folded
        scope.records = kept


def _scopes(scope: Scope) -> Iterator[Scope]:
    yield scope
    for record in scope.records:
        for inner in record.scopes():
            yield from _scopes(inner)


def _is_layout_of(record: Record, name: str) -> bool:
    return record.op_type in _LAYOUTS and record.inputs[0] == name


def _folded(emitter: GraphEmitter, record: Record, readers: Mapping[str, int]) -> str | None:
    """Name of the initializer that stands for the result, if there is one to be."""
    layout = _LAYOUTS.get(record.op_type)
    source = emitter.initializers.get(record.inputs[0]) if layout is not None else None
    if layout is None or source is None or (readers.get(source.name, 0) and source.size_bytes > _COPIED_BYTES):
        return None
    operands = [emitter.initializers.get(name) for name in record.inputs[1:]]
    if any(operand is None for operand in operands):
        return None
    view = layout(record, source.source, [[int(i) for i in o.source] for o in operands if o is not None])
    if view is None:
        return None
    name = emitter.unique(f"{source.name}.{record.op_type.lower()}d")
    emitter.initializer(name, source.dtype, view)
    return name


def _transpose(record: Record, array: Array, operands: Sequence[Sequence[int]]) -> Array | None:
    _, perm = record.attributes.get("perm", (0, tuple(reversed(range(array.ndim)))))
    assert isinstance(perm, tuple)
    return array.transpose([int(axis) for axis in perm])


def _reshape(record: Record, array: Array, operands: Sequence[Sequence[int]]) -> Array | None:
    (shape,) = operands
    keeps_zero = record.attributes.get("allowzero", (0, 0))[1] == 1
    return array.reshape([array.shape[i] if n == 0 and not keeps_zero else n for i, n in enumerate(shape)])


def _unsqueeze(record: Record, array: Array, operands: Sequence[Sequence[int]]) -> Array | None:
    (axes,) = operands
    return np.expand_dims(array, tuple(axes))


def _squeeze(record: Record, array: Array, operands: Sequence[Sequence[int]]) -> Array | None:
    return np.squeeze(array, tuple(operands[0]) if operands else None)


_LAYOUTS: dict[str, Callable[[Record, Array, Sequence[Sequence[int]]], Array | None]] = {
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
}


def _drop_dead(emitter: GraphEmitter) -> set[str]:
    """Keep the records that outputs need; returns every name that is read."""
    live: set[str] = set()
    _keep_live(emitter.root, live)
    return live


def _keep_live(scope: Scope, live: set[str]) -> None:
    live.update(scope.outputs)
    kept = []
    for record in reversed(scope.records):
        if any(name in live for name in record.outputs):
            kept.append(record)
            live.update(record.inputs)
            if record.op_type == "If":
                _drop_dead_outputs(record, live)
            for inner in record.scopes():
                _keep_live(inner, live)
    kept.reverse()
    scope.records = kept


def _drop_dead_outputs(record: Record, live: set[str]) -> None:
    """Let both branches of an `If` give only what is read."""
    is_live = [name in live for name in record.outputs]
    record.outputs = tuple(compress(record.outputs, is_live))
    for scope in record.scopes():
        scope.outputs = list(compress(scope.outputs, is_live))
