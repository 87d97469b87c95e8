"""From records to protobuf, and from there to bytes, without copying weights."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import BinaryIO, cast

import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto, ValueInfoProto

from netdsl.backends.onnx.emitter import GraphEmitter, Record, Scope
from netdsl.backends.onnx.storage import Initializer, code, scratch_for
from netdsl.tensor_type import TensorType

#: The lowest IR version that may hold an opset.
IR_VERSIONS = {18: 8, 19: 9, 20: 9, 21: 10, 22: 10, 23: 11}

#: A model whose tensors take more than this keeps them in a file beside it.
EXTERNAL_BYTES = 1 << 30
#: Smaller tensors stay in the model even then. Offsets are aligned so that the file can be mapped on every system.
ALIGNMENT = 64 * 1024

_INT, _FLOAT, _STRING, _GRAPH = AttributeProto.INT, AttributeProto.FLOAT, AttributeProto.STRING, AttributeProto.GRAPH
_INTS, _FLOATS = AttributeProto.INTS, AttributeProto.FLOATS


@dataclass(frozen=True, slots=True, eq=False)
class OnnxModel:
    """A model with its tensors beside it, so that none is copied before it is written.

    Args:
        frame: everything but the tensors.
        initializers: in the order in which the file lists them.
    """

    frame: ModelProto
    initializers: tuple[Initializer, ...]

    @property
    def size_bytes(self) -> int:
        """What the tensors take."""
        return sum(t.size_bytes for t in self.initializers)

    def proto(self) -> ModelProto:
        """The whole model in one protobuf message; tensors are copied into it."""
        model = ModelProto()
        model.CopyFrom(self.frame)
        scratch = scratch_for(self.initializers)
        for tensor in self.initializers:
            proto = model.graph.initializer.add()
            _describe_tensor(proto, tensor)
            proto.raw_data = tensor.raw(scratch).tobytes()
        return model


@dataclass(frozen=True, slots=True, eq=False)
class Chunks:
    """The bytes of one file, in pieces that are made when they are read; it can be read again.

    A piece is valid until the next one is read.
    """

    size_bytes: int
    pieces: "tuple[bytes | Initializer, ...]" = field(repr=False)

    def __iter__(self) -> "Iterator[bytes | memoryview]":
        scratch = scratch_for(piece for piece in self.pieces if isinstance(piece, Initializer))
        for piece in self.pieces:
            yield piece if isinstance(piece, bytes) else piece.raw(scratch)

    def write(self, file: BinaryIO) -> None:
        """Write the bytes, for `netdsl.publish`."""
        for piece in self:
            file.write(piece)

    def to_bytes(self) -> bytes:
        file = BytesIO()
        file.seek(max(self.size_bytes - 1, 0))
        file.write(bytes(1))  # The whole buffer at once: growing it step by step copies it.
        file.seek(0)
        self.write(file)
        return file.getvalue()


def to_bytes(model: OnnxModel) -> bytes:
    """The model as one file, equal for equal models.

    Raises: ValueError: it takes 2 GiB or more, which protobuf cannot hold.
    """
    whole = _file(model, {})
    if whole.size_bytes >= 1 << 31:
        raise ValueError(f"a model of {whole.size_bytes} bytes does not fit in one file: use `to_files`")
    return whole.to_bytes()


def to_files(model: OnnxModel, filename: str, *, external_bytes: int = EXTERNAL_BYTES) -> dict[str, Chunks]:
    """The files of the model by name, to be written beside each other: the model, and `<name>.data` if it is large.

    Args: filename: of the model, without a folder; external_bytes: put tensors in a second file above this size.
    """
    if model.size_bytes <= external_bytes:
        return {filename: _file(model, {})}
    location = re.sub(r"\.onnx$", "", filename) + ".data"
    places: dict[str, tuple[str, int]] = {}
    pieces: list[bytes | Initializer] = []
    end = 0
    for tensor in model.initializers:
        if tensor.size_bytes < ALIGNMENT:
            continue
        padding = -end % ALIGNMENT
        if padding:
            pieces.append(bytes(padding))
        places[tensor.name] = (location, end + padding)
        pieces.append(tensor)
        end += padding + tensor.size_bytes
    return {location: Chunks(end, tuple(pieces)), filename: _file(model, places)}


def assemble(emitter: GraphEmitter, metadata: Mapping[str, str], producer_version: str) -> OnnxModel:
    """The model that the emitter's records describe."""
    model = ModelProto(ir_version=IR_VERSIONS[emitter.opset], producer_name="netdsl", producer_version=producer_version)
    model.opset_import.add(domain="", version=emitter.opset)
    for key in sorted(metadata):
        model.metadata_props.add(key=key, value=metadata[key])
    _write_graph(emitter, emitter.root, model.graph)
    return OnnxModel(model, tuple(emitter.initializers.values()))


def _write_graph(emitter: GraphEmitter, scope: Scope, graph: GraphProto) -> None:
    graph.name = scope.name
    renamed, types = emitter.renamed, emitter.types
    listed = set(scope.inputs).union(scope.outputs)
    for record in scope.records:
        _write_node(emitter, record, graph.node.add())
        for name in record.outputs:
            if name in types and name not in listed:
                _write_type(graph.value_info.add(), renamed.get(name, name), types[name])
    for name in scope.inputs:
        _write_type(graph.input.add(), name, types.get(name))
    for name in scope.outputs:
        _write_type(graph.output.add(), renamed.get(name, name), types.get(name))


def _write_node(emitter: GraphEmitter, record: Record, node: NodeProto) -> None:
    renamed = emitter.renamed
    node.input.extend([renamed.get(name, name) for name in record.inputs])
    node.output.extend([renamed.get(name, name) for name in record.outputs])
    node.name = record.name
    node.op_type = record.op_type
    for key, (kind, value) in record.attributes.items():
        attribute = node.attribute.add()
        attribute.name = key
        attribute.type = kind
        if kind == _INT:
            attribute.i = cast(int, value)
        elif kind == _FLOAT:
            attribute.f = cast(float, value)
        elif kind == _STRING:
            attribute.s = cast(str, value).encode()
        elif kind == _GRAPH:
            _write_graph(emitter, cast(Scope, value), attribute.g)
        elif kind == _INTS:
            attribute.ints.extend(cast("tuple[int, ...]", value))
        elif kind == _FLOATS:
            attribute.floats.extend(cast("tuple[float, ...]", value))
        else:
            attribute.strings.extend(text.encode() for text in cast("tuple[str, ...]", value))
    if record.source:
        node.metadata_props.append(StringStringEntryProto(key="netdsl.source", value=record.source))


def _write_type(info: ValueInfoProto, name: str, t: TensorType | None) -> None:
    """A value with its type; a type that is not given is left for ONNX to infer."""
    info.name = name
    if t is None:
        return
    tensor = info.type.tensor_type
    tensor.elem_type = code(t.dtype)
    tensor.shape.SetInParent()
    for axis in t.axes:
        dim = tensor.shape.dim.add()
        if axis.size.is_const:
            dim.dim_value = axis.size.value
        else:
            dim.dim_param = str(axis.size)


def _describe_tensor(proto: TensorProto, tensor: Initializer) -> None:
    proto.name = tensor.name
    proto.data_type = code(tensor.dtype)
    proto.dims.extend(tensor.shape)


def _file(model: OnnxModel, places: Mapping[str, tuple[str, int]]) -> Chunks:
    """The serialized model: its frame, cut open where the tensors belong.

    Fields stand in the order of their numbers, as protobuf writes them.
    """
    graph = model.frame.graph
    before = GraphProto(node=graph.node, name=graph.name)
    after = GraphProto(input=graph.input, output=graph.output, value_info=graph.value_info)
    inside: list[bytes | Initializer] = [_serialize(before)]
    for tensor in model.initializers:
        inside.extend(_tensor_pieces(tensor, places.get(tensor.name)))
    inside.append(_serialize(after))
    frame = model.frame
    head = ModelProto(
        ir_version=frame.ir_version, producer_name=frame.producer_name, producer_version=frame.producer_version
    )
    tail = ModelProto(opset_import=frame.opset_import, metadata_props=frame.metadata_props)
    pieces = [_serialize(head), _tag(ModelProto, "graph", _total(inside)), *inside, _serialize(tail)]
    return Chunks(_total(pieces), _joined(pieces))


def _tensor_pieces(tensor: Initializer, place: tuple[str, int] | None) -> "list[bytes | Initializer]":
    proto = TensorProto()
    _describe_tensor(proto, tensor)
    content: list[bytes | Initializer] = []
    if place is not None:
        location, offset = place
        for key, value in (("location", location), ("offset", str(offset)), ("length", str(tensor.size_bytes))):
            proto.external_data.add(key=key, value=value)
        proto.data_location = TensorProto.EXTERNAL
    else:
        content = [_tag(TensorProto, "raw_data", tensor.size_bytes), tensor]
    content.insert(0, _serialize(proto))
    return [_tag(GraphProto, "initializer", _total(content)), *content]


def _serialize(message: "onnx.ModelProto | onnx.GraphProto | onnx.TensorProto") -> bytes:
    return bytes(message.SerializeToString(deterministic=True))


def _tag(message: "type[ModelProto | GraphProto | TensorProto]", field_name: str, size_bytes: int) -> bytes:
    """The head of a length-delimited field."""
    number = message.DESCRIPTOR.fields_by_name[field_name].number
    return _varint(number << 3 | 2) + _varint(size_bytes)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _total(pieces: "Sequence[bytes | Initializer]") -> int:
    return sum(len(piece) if isinstance(piece, bytes) else piece.size_bytes for piece in pieces)


def _joined(pieces: "Sequence[bytes | Initializer]") -> "tuple[bytes | Initializer, ...]":
    """The same bytes with neighbouring small pieces in one."""
    merged: list[bytes | Initializer] = []
    run: list[bytes] = []
    for piece in pieces:
        if isinstance(piece, bytes):
            run.append(piece)
            continue
        if run:
            merged.append(b"".join(run))
            run = []
        merged.append(piece)
    return (*merged, b"".join(run))
