"""A random network, checked: IR text, source text, formatter, and three backends that agree."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from netdsl.api import load
from netdsl.backends.onnx.model import build_model
from netdsl.backends.onnx.tables import EMPTY_REFUSED
from netdsl.backends.reference.execute import run
from netdsl.backends.torch_fx.loops import LoopModule
from netdsl.backends.torch_fx.module import build_module
from netdsl.check.network import CheckedNetwork
from netdsl.formatter import format_source
from netdsl.ir import Graph, Node
from netdsl.ir_parser import parse_graph
from netdsl.ir_source import source_of
from netdsl.ir_text import print_graph
from netdsl.ops import indexing, segment
from netdsl.ops.creation import Dropout
from netdsl.ops.elementwise import FloorDiv, Mod
from netdsl.ops.image import GridSample
from netdsl.passes.base import EXACT
from netdsl.passes.pipeline import DEFAULT, run_pipeline, with_weights
from netdsl.passes.validation import relative_error
from netdsl.sampling import storage_dtype
from netdsl.source import Source
from netdsl.tensor_type import F64
from netdsl.tolerance import allowed_difference, largest_difference
from netdsl.verify import verify
from tests.random_networks.generate import RandomNetwork, Sample
from tests.random_networks.onnx_worker import OnnxRuntime, OnnxRuntimeFailed
from tests.random_networks.same import difference

Array = NDArray[Any]
#: How many times the estimated rounding error a backend may be off, where that is more than the table allows.
TIMES_ERROR = 4.0


@dataclass(frozen=True)
class Disagreement(Exception):
    """What went wrong, and where: `verify`, `text`, `source`, `format`, `reference`, `passes`, `torch` or `onnx`."""

    stage: str
    message: str

    def __str__(self) -> str:
        return f"{self.stage}: {self.message}"


class NotFinite(Exception):
    """The reference itself gives no finite numbers: the network is rejected."""


@dataclass(frozen=True, slots=True)
class Used:
    """What the backends made of a network: operators of ONNX, and loops that torch runs by one call."""

    onnx: frozenset[str]
    torch_cells: int


def check(network: RandomNetwork, runtime: OnnxRuntime) -> Used:
    """Raises: Disagreement; NotFinite."""
    check_graph(network.graph)
    checked = check_source(network)
    check_passes(checked)
    expected = reference(network.graph, network)
    check_pipeline(checked.eval_graph, network)
    cells = check_torch(checked.eval_graph, checked.train_graph, network, expected)
    return Used(check_onnx(checked.eval_graph, network, expected, runtime), cells)


def check_passes(checked: CheckedNetwork) -> None:
    """After each pass of every export both graphs are valid, and their text is read back."""
    for graph in {checked.eval_graph, checked.train_graph}:
        for step in DEFAULT:
            graph = _stage("text", step.run, graph).graph
            check_graph(graph)


def check_pipeline(graph: Graph, network: RandomNetwork) -> None:
    """After all passes of an export, those that need weights among them, the reference gives the same."""
    result = _stage("passes", run_pipeline, graph, network.weights, validate=False)
    check_graph(result.graph)
    bound = with_weights(graph, network.weights)
    for sample in network.samples:
        wanted, outputs = (_stage("passes", run, g, sample.inputs, {}).outputs for g in (bound, result.graph))
        for name, array in wanted.items():
            error = relative_error(array, outputs[name])
            if not error <= EXACT.rtol:
                raise Disagreement("passes", f"`{name}` at {dict(sample.sizes)} is off by {error:.3g} (relative)")


def check_graph(graph: Graph) -> None:
    """The graph is valid, and so is what its text form says, which is the same."""
    _stage("verify", verify, graph)
    text = print_graph(graph)
    again = _stage("text", parse_graph, text)
    if print_graph(again) != text:
        raise Disagreement("text", "printing the parsed text gives another text")
    if found := difference(graph, again):
        raise Disagreement("text", found)
    _stage("text", verify, again)


def check_source(network: RandomNetwork) -> CheckedNetwork:
    """The `.net` text of the network gives the same graphs in both modes, formatted or not."""
    text = _stage("source", source_of, network.training or network.graph)
    checked = _stage("source", _checked, text)
    _compare_graphs(network, checked, "source")
    formatted = _stage("format", format_source, Source("random.net", text))
    if format_source(Source("random.net", formatted)) != formatted:
        raise Disagreement("format", "formatting twice changes the text")
    if formatted != text:
        _compare_graphs(network, _stage("format", _checked, formatted), "format")
    return checked


def _checked(text: str) -> CheckedNetwork:
    return load(text)["Random"].checked


def _compare_graphs(network: RandomNetwork, checked: CheckedNetwork, stage: str) -> None:
    if found := difference(network.graph, checked.eval_graph):
        raise Disagreement(stage, found)
    wanted = network.training or network.graph
    if network.training is None and checked.train_graph is not checked.eval_graph:
        raise Disagreement(stage, "the modes differ")
    if found := difference(wanted, checked.train_graph):
        raise Disagreement(stage, f"in training: {found}")
    _stage(stage, verify, checked.eval_graph)


# --- backends ----------------------------------------------------------------------------------------------------------


def reference(graph: Graph, network: RandomNetwork) -> list[Mapping[str, Array]]:
    """Outputs of each sample.

    Raises: NotFinite.
    """
    found = []
    for sample in network.samples:
        outputs = _stage("reference", run, graph, sample.inputs, network.weights).outputs
        for name, value in graph.outputs:
            array = outputs[name]
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise NotFinite(f"`{name}` at {dict(sample.sizes)}")
            inferred = tuple(d.evaluate(sample.sizes) for d in value.type.sizes)
            if inferred != array.shape:
                raise Disagreement("reference", f"`{name}` is {value.type} = {inferred}, found {array.shape}")
        found.append(outputs)
    return found


def check_torch(graph: Graph, training: Graph, network: RandomNetwork, expected: list[Mapping[str, Array]]) -> int:
    module = _stage("torch", build_module, graph, network.weights, training_graph=training)
    module.eval()
    for sample, wanted in zip(network.samples, expected, strict=True):
        inputs = [torch.from_numpy(np.array(sample.inputs[name])) for name, _ in graph.inputs]
        with torch.no_grad():
            results = _stage("torch", module, *inputs)
        flat = results if isinstance(results, tuple) else (results,)
        outputs = [tensor.detach().numpy() for tensor in flat]
        _compare("torch", graph, sample, wanted, outputs)
    if training is not graph:
        _check_training(module.train(), training, network)
    return sum(isinstance(child, LoopModule) and child.has_cell for child in module.modules())


def _check_training(module: Any, training: Graph, network: RandomNetwork) -> None:
    """One call in training: outputs of the right shapes, and without dropout the reference's new states."""
    has_dropout = any(isinstance(n.op, Dropout) for n in training.walk())
    if has_dropout and any(_refuses_values(n) for n in training.walk()):
        return  # what dropout leaves may be such a number
    sample = network.samples[0]
    inputs = [torch.from_numpy(np.array(sample.inputs[name])) for name, _ in training.inputs]
    wanted = _stage("reference", run, training, sample.inputs, network.weights)
    results = _stage("torch", module, *inputs)
    flat = results if isinstance(results, tuple) else (results,)
    if [tuple(t.shape) for t in flat] != [a.shape for a in wanted.outputs.values()]:
        raise Disagreement("torch", f"in training: shapes {[tuple(t.shape) for t in flat]}")
    if has_dropout:
        return
    held = module.state_dict()
    for update in training.updates:
        found, expected = held[update.path].numpy(), wanted.updates[update.path]
        dtype = update.value.type.dtype
        off = largest_difference(expected, found)
        if not off <= 2 * allowed_difference(expected, dtype.name):
            raise Disagreement("torch", f"the state `{update.path}`: {dtype} is off by {off:.3g} after a step")


def _refuses_values(node: Node) -> bool:
    """Whether some whole numbers have no result: a divisor of 0, an index past the end."""
    is_quotient = isinstance(node.op, (FloorDiv, Mod)) and not node.result.type.dtype.is_float
    return is_quotient or isinstance(node.op, (*indexing.OPS, *segment.OPS))


def check_onnx(
    graph: Graph, network: RandomNetwork, expected: list[Mapping[str, Array]], runtime: OnnxRuntime
) -> frozenset[str]:
    refused = network.opset < 20 and any(
        isinstance(n.op, GridSample) and (n.result.type.dtype == F64 or n.result.type.rank == 5) for n in graph.walk()
    )
    opset = 21 if refused else network.opset
    model = _stage("onnx", build_model, graph, network.weights, opset=opset)
    _stage("onnx", onnx.checker.check_model, model, full_check=True)
    refuses_empty = any(type(node.op) in EMPTY_REFUSED for node in graph.walk())
    kept = [at for at, s in enumerate(network.samples) if not (refuses_empty and 0 in s.sizes.values())]
    try:
        results = runtime.run(model.SerializeToString(), [network.samples[at].inputs for at in kept])
    except OnnxRuntimeFailed as error:
        raise Disagreement("onnx", f"opset {opset}: {error}") from None
    for level, calls in results.items():
        for at, outputs in zip(kept, calls, strict=True):
            _compare(f"onnx ({level}, opset {opset})", graph, network.samples[at], expected[at], outputs)
    return frozenset(_operators(model.graph))


def _operators(graph: onnx.GraphProto) -> Iterator[str]:
    for node in graph.node:
        yield node.op_type
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _operators(attribute.g)


def _compare(who: str, graph: Graph, sample: Sample, expected: Mapping[str, Array], outputs: list[Array]) -> None:
    stage = who.split()[0]
    if len(outputs) != len(graph.outputs):
        raise Disagreement(stage, f"{who}: {len(outputs)} outputs, not {len(graph.outputs)}")
    for (name, value), found in zip(graph.outputs, outputs, strict=True):
        wanted, dtype = expected[name], value.type.dtype.storage
        place = f"{who}: `{name}`: {value.type} at {dict(sample.sizes)}"
        if storage_dtype(dtype.name) != found.dtype or wanted.shape != found.shape:
            raise Disagreement(stage, f"{place} is {found.dtype}{list(found.shape)}, not {list(wanted.shape)}")
        allowed = max(allowed_difference(wanted, dtype.name), TIMES_ERROR * sample.errors[name])
        off = largest_difference(wanted, found)
        if not off <= allowed:
            raise Disagreement(stage, f"{place} is off by {off:.3g}, allowed {allowed:.3g}")


def _stage(stage: str, call: Any, *args: Any, **options: Any) -> Any:
    """The call's result; whatever it raises is a disagreement at this stage."""
    try:
        return call(*args, **options)
    except Exception as error:
        raise Disagreement(stage, f"{type(error).__name__}: {error}") from error


def report(network: RandomNetwork, error: Exception) -> str:
    """The seed, the finding, and the network's text."""
    try:
        text = source_of(network.training or network.graph)
    except ValueError as problem:
        text = f"(no text: {problem})"
    return f"seed {network.seed}: {error}\n{text}"
