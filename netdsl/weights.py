"""Weights in and out: safetensors files whose keys are the parameter paths. No pickle is ever read."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netdsl.diagnostics import Diagnostic, NetError
from netdsl.did_you_mean import suggest
from netdsl.initialisers import generator, initial_value, initial_values
from netdsl.ir import Graph, Param
from netdsl.publish import publish
from netdsl.reading import open_regular

Array = NDArray[np.generic]
MAX_TENSORS = 100_000
#: Element types of the format that are read; bf16 becomes f32.
READ = ("F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "U16", "U32", "U64", "BOOL")
PICKLES = (".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt", ".joblib", ".npz", ".npy")


def resolve(graph: Graph, weights: Any, seed: int) -> dict[str, Array]:
    """Values of every parameter, state and constant of `graph` by path.

    Args:   weights: None (initial values for `seed`), a mapping, a torch module, or the path of a safetensors file.
    Raises: NetError: E0720 listing every missing, extra and wrongly shaped tensor.
    """
    if weights is None:
        return initial_values(graph.params, seed)
    if isinstance(weights, (str, Path)):
        weights = read_safetensors(Path(weights))
    elif hasattr(weights, "state_dict"):
        weights = weights.state_dict()
    return fit(graph.params, {k: as_array(v) for k, v in weights.items()}, seed)


def as_array(value: Any) -> Array:
    """A numpy array, a torch tensor or nested numbers as an array; floats that numpy lacks become f32."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if value.is_floating_point() and value.element_size() <= 2:
            value = value.float()
        value = value.numpy()
    return np.asarray(value)


def fit(params: Iterable[Param], tensors: Mapping[str, Array], seed: int) -> dict[str, Array]:
    """`tensors` as the values of `params`, nothing missing and nothing left.

    Raises: NetError: E0720.
    """
    found: dict[str, Array] = {}
    notes: list[str] = []
    expected: list[str] = []
    for param in params:
        if param.kind == "const":
            found[param.path] = np.asarray(param.data)
            continue
        expected.append(param.path)
        shape = tuple(size.value for size in param.value.type.sizes)
        if param.path not in tensors:
            near = suggest(param.path, list(tensors))
            notes.append(f"missing: `{param.path}` {list(shape)}" + (f" (there is `{near}`)" if near else ""))
            continue
        value = tensors[param.path]
        if value.shape != shape:
            notes.append(f"shape: `{param.path}` is {list(shape)}, found {list(value.shape)}")
        elif value.dtype.kind not in ("fiu" if param.value.type.dtype.is_float else "iub"):
            notes.append(f"type: `{param.path}` is {param.value.type.dtype}, found {value.dtype}")
        else:
            found[param.path] = value
    notes += [f"extra: `{name}` {list(tensors[name].shape)}" for name in tensors if name not in set(expected)]
    if notes:
        raise NetError(
            Diagnostic(
                "E0720",
                "the weights do not fit the network: "
                + ("1 tensor differs" if len(notes) == 1 else f"{len(notes)} tensors differ"),
                notes=tuple(notes),
                help="map foreign names with `--rename map.toml`",
            )
        )
    return found


def read_safetensors(path: Path) -> dict[str, Array]:
    """Every tensor of a safetensors file.

    Raises: NetError: E0721: a pickle; E0722: not a safetensors file; E0701: it cannot be read.
    """
    if path.suffix.lower() in PICKLES:
        raise NetError(
            Diagnostic(
                "E0721",
                f"`{path}` is not read: such files can run code",
                help='convert it with `safetensors.torch.save_file(state_dict, "w.safetensors")`',
            )
        )
    from safetensors import SafetensorError, safe_open

    try:
        open_regular(path).close()
        with safe_open(path, framework="numpy") as stream:
            names = list(stream.keys())
            if len(names) > MAX_TENSORS:
                raise NetError(Diagnostic("E0722", f"`{path}` holds {len(names)} tensors, more than {MAX_TENSORS}"))
            kinds = {name: stream.get_slice(name).get_dtype() for name in names}
            unknown = [f"`{n}` is {k}" for n, k in kinds.items() if k not in READ]
            if unknown:
                raise NetError(
                    Diagnostic("E0722", f"`{path}` holds element types that are not read", notes=tuple(unknown))
                )
            tensors = {n: np.asarray(stream.get_tensor(n)) for n, k in kinds.items() if k != "BF16"}
        tensors |= _bf16_tensors(path)
        return {name: tensors[name] for name in names}
    except (SafetensorError, ValueError) as error:
        raise NetError(Diagnostic("E0722", f"`{path}` is not a safetensors file: {error}")) from None
    except OSError as error:
        raise NetError(Diagnostic("E0701", f"`{path}` cannot be read: {error.strerror or error}")) from None


def _bf16_tensors(path: Path) -> dict[str, Array]:
    """The bf16 tensors of a file that was found to be sound, as f32: numpy has no bf16.

    Raises: ValueError: the header names a tensor twice, of which the format's library takes the last.
    Source: the format of safetensors: the size of the header, the header as JSON, then the data, little-endian.
    """
    found = {}
    with open_regular(path) as stream:
        size = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(size), object_pairs_hook=_once_each)
        for name, row in header.items():
            if name != "__metadata__" and row["dtype"] == "BF16":
                start, stop = row["data_offsets"]
                stream.seek(8 + size + start)
                bits = np.frombuffer(stream.read(stop - start), "<u2").astype(np.uint32) << 16
                found[name] = bits.view(np.float32).reshape(row["shape"])
    return found


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Raises: ValueError: a key stands twice."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"`{name}` stands in its header twice")
        found[name] = value
    return found


def write_safetensors(path: Path, tensors: Mapping[str, Array]) -> None:
    """Write tensors by path, atomically; the same tensors give the same bytes."""
    from safetensors.numpy import save

    publish(path, save({k: np.asarray(v, order="C") for k, v in sorted(tensors.items())}))


def random_weights(params: Iterable[Param], seed: int) -> dict[str, Array]:
    """Non-degenerate values for validation: never the initialiser's zeros and ones, variances positive.

    A swapped scale and shift, or a dropped bias, changes the outputs under these. A bound parameter keeps its data.
    """
    values: dict[str, Array] = {}
    for param in params:
        if param.data is not None:
            values[param.path] = np.asarray(param.data)
            continue
        rng = generator(seed, "validate:" + param.path)
        start = np.asarray(initial_value(param, seed), np.float64)
        if not param.value.type.dtype.is_float:
            values[param.path] = start
        elif param.init is not None and param.init.name in ("ones", "constant"):
            values[param.path] = start * rng.uniform(0.5, 1.5, start.shape) + rng.uniform(0.01, 0.1, start.shape)
        elif param.init is not None and param.init.name == "zeros":
            values[param.path] = rng.uniform(-0.5, 0.5, start.shape)
        else:
            values[param.path] = start + 0.1 * (np.std(start) or 1.0) * rng.standard_normal(start.shape)
    return values
