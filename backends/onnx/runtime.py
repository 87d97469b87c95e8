"""Runs ONNX models in ONNX Runtime, on the provider that was asked for and no other."""

import contextlib
import importlib
import io
import json
import os
import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netdsl.backends.onnx.entry_checks import (
    Port,
    as_arrays,
    check_facts,
    check_indices,
    check_ranges,
    check_types,
    read_ranges,
)
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.reading import open_regular
from netdsl.structs import taken_apart

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
_EXTRAS = {"cpu": "cpu", "cuda": "gpu", "tensorrt": "gpu"}
_ERRORS = (
    "EPFail",
    "EngineError",
    "Fail",
    "InvalidArgument",
    "InvalidGraph",
    "InvalidProtobuf",
    "ModelLoadCanceled",
    "ModelLoaded",
    "ModelRequiresCompilation",
    "NoModel",
    "NoSuchFile",
    "NotFound",
    "NotImplemented",
    "RuntimeException",
)
_REPLACE = "pip uninstall -y onnxruntime onnxruntime-gpu && pip install 'netdsl[{}]'"


class Session:
    """A loaded model.

    Attributes:
        inputs, outputs: in the order of the network's header.
        providers: those that ONNX Runtime really uses, the one asked for first.
        metadata: what the exporter wrote, `netdsl.source_sha256` among it.
    """

    def __init__(self, session: Any, origin: "Path | bytes") -> None:
        self._session = session
        self._origin = origin
        self.inputs = tuple(Port.read(i.name, i.type, i.shape) for i in session.get_inputs())
        self.outputs = tuple(Port.read(o.name, o.type, o.shape) for o in session.get_outputs())
        self.providers: tuple[str, ...] = tuple(session.get_providers())
        self.metadata: dict[str, str] = dict(session.get_modelmeta().custom_metadata_map)
        self._relations = json.loads(self.metadata.get("netdsl.where", "[]"))
        self.ranges = read_ranges(self.metadata.get("netdsl.ranges", "{}"))
        self._tables = json.loads(self.metadata.get("netdsl.indices", "{}"))

    @classmethod
    def load(
        cls,
        model: "str | os.PathLike[str] | bytes",
        provider: str = "cpu",
        *,
        threads: int | None = None,
        is_optimized: bool = True,
    ) -> "Session":
        """A session for a file, or for the bytes of a model that has no file beside it.

        Args:   provider: `cpu`, `cuda` or `tensorrt`; threads: for one operator; all cores by default.
                is_optimized: let ONNX Runtime rewrite the model.
        Raises: NetError: E0802: another provider would be used; E0801: ONNX Runtime is not installed;
            E0701: the file cannot be read; E0810: it is no model that ONNX Runtime can run.
        """
        runtime = _runtime(provider)
        notes = _preload(runtime) if provider != "cpu" else ()
        if PROVIDERS[provider] not in runtime.get_available_providers():
            raise _not_used(provider, notes)
        options = runtime.SessionOptions()
        options.log_severity_level = 4
        options.inter_op_num_threads = 1
        if threads is not None:
            options.intra_op_num_threads = threads
        if not is_optimized:
            options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
        origin = model if isinstance(model, bytes) else Path(model)
        chosen = [PROVIDERS[provider]] + [PROVIDERS["cpu"]] * (provider != "cpu")
        try:
            session = runtime.InferenceSession(_readable(origin), options, providers=chosen)
        except _errors() as error:
            shown = "the model" if isinstance(origin, bytes) else f"`{origin}`"
            raise NetError(
                Diagnostic("E0810", f"{shown} cannot be run: {_reason(error)}", notes=_place(error, origin))
            ) from None
        if session.get_providers()[0] != PROVIDERS[provider]:
            raise _not_used(provider, notes)
        return cls(session, origin)

    def run(self, inputs: Mapping[str, object]) -> dict[str, NDArray[Any]]:
        """The outputs by name.

        Args:   inputs: by name; arrays of the exact element type, or lists and numbers; one object for each struct.
        Raises: NetError: E0811 to E0814: the inputs do not fit; E0815: the model failed.
        """
        arrays = as_arrays(self.inputs, taken_apart([port.name for port in self.inputs], inputs))
        sizes = check_types(self.inputs, arrays)
        check_facts(self._relations, sizes)
        check_indices(self._tables, arrays, sizes)
        check_ranges(self.ranges, arrays)
        try:
            results = self._session.run(None, {name: np.ascontiguousarray(a) for name, a in arrays.items()})
        except _errors() as error:
            raise NetError(
                Diagnostic("E0815", f"the model failed: {_reason(error)}", notes=_place(error, self._origin))
            ) from None
        return {port.name: result for port, result in zip(self.outputs, results, strict=True)}


def installed_wheels() -> dict[str, str]:
    """Versions of the wheels of ONNX Runtime that are installed. More than one is a fault: they share their files."""
    found = {}
    for name in ("onnxruntime", "onnxruntime-gpu"):
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _runtime(provider: str) -> Any:
    if provider not in PROVIDERS:
        raise ValueError(f"a provider is one of {', '.join(PROVIDERS)}, not {provider}")
    try:
        return importlib.import_module("onnxruntime")
    except ImportError as error:
        extra = _EXTRAS[provider]
        if installed_wheels():
            raise NetError(
                Diagnostic(
                    "E0801", f"ONNX Runtime does not load: {_first_line(str(error))}", help=_REPLACE.format(extra)
                )
            ) from None
        raise NetError(
            Diagnostic("E0801", "ONNX Runtime is not installed", help=f'pip install "netdsl[{extra}]"')
        ) from None


def _preload(runtime: Any) -> tuple[str, ...]:
    """Load the CUDA libraries that were installed as packages; what the loader printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        runtime.preload_dlls()
    return tuple(line for line in printed.getvalue().splitlines() if line.strip())[:4]


def _not_used(provider: str, notes: tuple[str, ...]) -> NetError:
    wheels = installed_wheels()
    found = " and ".join(f"{name} {number}" for name, number in wheels.items()) or "no wheel"
    help_ = None
    if len(wheels) > 1:
        notes = (
            "both wheels hold the package `onnxruntime`: the one installed last has written over the other",
            *notes,
        )
    if len(wheels) > 1 or "onnxruntime-gpu" not in wheels:
        help_ = _REPLACE.format(_EXTRAS[provider])
    elif provider == "tensorrt":
        help_ = "pip install 'tensorrt-cu13>=10.13,<11'"
    else:
        notes = ("it needs an NVIDIA driver of version 580 or newer, CUDA 13 and cuDNN 9", *notes)
    return NetError(
        Diagnostic("E0802", f"the provider `{provider}` is not usable here: found {found}", notes=notes, help=help_)
    )


def _readable(origin: "Path | bytes") -> "str | bytes":
    """Raises: NetError: E0701: the file cannot be read."""
    if isinstance(origin, bytes):
        return origin
    try:
        with open_regular(origin):
            return str(origin)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise NetError(Diagnostic("E0701", f"`{origin}` cannot be read: {reason}")) from None


def _errors() -> tuple[type[BaseException], ...]:
    """The exceptions of ONNX Runtime: they have no common ancestor of their own."""
    module = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    return tuple(getattr(module, name) for name in _ERRORS if hasattr(module, name))


def _reason(error: BaseException) -> str:
    """The message without the parts that speak of ONNX Runtime's own files."""
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", str(error))
    text = re.sub(
        r"^Non-zero status code returned while running (\w+) node\. Name:'[^']*' Status Message: ", r"\1: ", text
    )
    return _first_line(re.sub(r"/\S+/onnxruntime/\S+:\d+ \S[^\n]*?\) ", "", text))


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "no reason given")


def _place(error: BaseException, origin: "Path | bytes") -> tuple[str, ...]:
    """Where in the `.net` file the node that an error names was written."""
    match = re.search(r"(?:Name:'|node[ :(]+'?)([^')\s]+)", str(error), re.IGNORECASE)
    return () if match is None else _written_at(match[1], origin)


def _written_at(node: str, origin: "Path | bytes") -> tuple[str, ...]:
    onnx = importlib.import_module("onnx")
    model = (
        onnx.load_model_from_string(origin)
        if isinstance(origin, bytes)
        else onnx.load(origin, load_external_data=False)
    )
    pending = list(model.graph.node)
    while pending:
        found = pending.pop()
        if found.name == node:
            return tuple(f"`{node}` comes from {p.value}" for p in found.metadata_props if p.key == "netdsl.source")
        pending += [inner for attribute in found.attribute for inner in attribute.g.node]
    return ()
