"""`netdsl run`: an ONNX model in ONNX Runtime, on arrays from files."""

import os
import re
from typing import TYPE_CHECKING, Any

import click

from netdsl.cli.command import command as make
from netdsl.cli.command import failed, named_files
from netdsl.cli.model_options import SEED
from netdsl.cli.sizes import read_sizes, size_option
from netdsl.cli.terminal import OK, Terminal, table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Outputs of at most this many elements are shown whole, and stand in the JSON document.
_SHOWN = 16
_IN_JSON = 10_000


@make("run")
@click.argument("model", metavar="MODEL.onnx")
@click.option(
    "-i",
    "--input",
    "inputs",
    metavar="NAME=X.npy",
    multiple=True,
    help="An input: a `.npy` file, a `.npz` file with the fields of a struct, or `random`.",
)
@size_option
@click.option("--seed", type=SEED, default=0, help="Of random inputs.  [default: 0]")
@click.option("--output-dir", metavar="FOLDER", help="Write each output there as NAME.npy.")
@click.option("--provider", type=click.Choice(["cpu", "cuda", "tensorrt"]), default="cpu", help="[default: cpu]")
def command(
    terminal: Terminal,
    model: str,
    inputs: tuple[str, ...],
    sizes: tuple[str, ...],
    seed: int,
    output_dir: str | None,
    provider: str,
) -> int:
    """Run an ONNX model once and show what comes out.

    Random inputs take the sizes given with `--size`, the smallest possible ones where none is given. The provider that
    was asked for is used, or the command fails with exit code 3.
    """
    given = named_files("--input", inputs, "write `--input image=x.npy`, or `image=random`")
    wanted = read_sizes(sizes)
    if model.endswith(".net"):
        raise failed(f"`{model}` is no ONNX model", f"build it first: `netdsl build {model} -o model.onnx`")

    from netdsl.cli.arrays import read_arrays
    from netdsl.cli.paths import require_file
    from netdsl.runtime import Session, random_inputs
    from netdsl.structs import fields, taken_apart

    require_file(model)
    session = Session.load(model, provider)
    ports = [port.name for port in session.inputs]
    arrays = taken_apart(ports, {name: read_arrays(path) for name, path in given.items() if path != "random"})
    drawn = [part for name, path in given.items() if path == "random" for part in (fields(name, ports) or [name])]
    arrays |= random_inputs(session, [name for name in drawn if name in ports], wanted, seed=seed)
    arrays |= {name: _nothing() for name in drawn if name not in ports}
    outputs = session.run(arrays)
    paths = _write(output_dir, outputs) if output_dir is not None else {}
    dtypes = {port.name: port.dtype for port in (*session.inputs, *session.outputs)}
    terminal.fields |= {
        "providers": list(session.providers),
        "inputs": [{"name": n, "dtype": dtypes[n], "shape": list(a.shape)} for n, a in arrays.items()],
        "outputs": [_document(name, dtypes[name], array, paths.get(name)) for name, array in outputs.items()],
    }
    terminal.talk(f"ran on {', '.join(session.providers)}")
    rows = []
    for name, array in outputs.items():
        shape = ", ".join(map(str, array.shape))
        rows.append((name, f"{dtypes[name]}[{shape}]", *_figures(array), paths.get(name, "")))
    for line in table(("output", "type", "min", "mean", "max", "file" if paths else ""), rows, right=(2, 3, 4)):
        terminal.print(line)
    for name, array in outputs.items():
        if 0 < array.size <= _SHOWN and not paths:
            terminal.print(f"\n{name} =\n{array}")
    return OK


def _nothing() -> "NDArray[np.generic]":
    import numpy as np

    return np.zeros(0)


def _write(folder: str, outputs: "dict[str, NDArray[Any]]") -> dict[str, str]:
    """Write every output; the paths by output. Names keep their letters, digits, dots and lines."""
    from pathlib import Path

    from netdsl.cli.arrays import write_npy

    paths: dict[str, str] = {}
    for index, (name, array) in enumerate(outputs.items()):
        safe = re.sub(r"[^0-9A-Za-z_.-]", "_", name).lstrip(".")[:100] or f"output_{index}"
        path = os.path.join(folder, f"{safe}.npy")
        if path in paths.values():
            path = os.path.join(folder, f"{safe}_{index}.npy")
        write_npy(Path(path), array)
        paths[name] = path
    return paths


def _statistics(array: "NDArray[Any]") -> tuple[float, float, float] | None:
    import numpy as np

    if array.size == 0 or array.dtype.kind not in "biuf":
        return None
    numbers = array.astype(np.float64)
    with np.errstate(all="ignore"):
        return float(numbers.min()), float(numbers.mean()), float(numbers.max())


def _figures(array: "NDArray[Any]") -> tuple[str, ...]:
    found = _statistics(array)
    return ("-", "-", "-") if found is None else tuple(f"{number:.6g}" for number in found)


def _document(name: str, dtype: str, array: "NDArray[Any]", path: str | None) -> dict[str, Any]:
    from math import isfinite

    found = _statistics(array)
    smallest, mean, largest = (None, None, None) if found is None else (x if isfinite(x) else None for x in found)
    return {
        "name": name,
        "dtype": dtype,
        "shape": list(array.shape),
        "min": smallest,
        "mean": mean,
        "max": largest,
        "path": path,
        "values": _values(array) if array.size <= _IN_JSON and array.dtype.kind in "biuf" else None,
    }


def _values(array: "NDArray[Any]") -> Any:
    """Nested lists; numbers that JSON has not are their names as text."""
    from math import isfinite

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(item) for item in value]
        return str(value) if isinstance(value, float) and not isfinite(value) else value

    return plain(array.tolist())
