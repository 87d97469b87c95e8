"""Pictures of learned functions."""

from collections.abc import Sequence
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import numpy as np

from netdsl.api import Network
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.kan.layers import EdgeLayer, Floats, Inputs, Weights, edge_layers, layer_at, layer_inputs
from netdsl.kan.refinement import breaks
from netdsl.publish import publish

#: Suffixes of files.
FORMATS = (".svg", ".png")
_POINTS = 200
_MOST_PANELS = 400


def plot(
    net: Network,
    weights: Weights,
    path: str | Path,
    *,
    layer: str,
    x: Inputs | None = None,
    edges: Sequence[tuple[int, int]] | None = None,
) -> None:
    """Draw the functions of one layer of edges, one panel each: a row for each output, a column for each input.

    Each is drawn over the range of the data `x` that reaches it; without data over the range of its splines' knots, or
    from -1 to 1.

    Args:
        path:  an `.svg` or `.png` file, written atomically.
        edges: (output, input) of those that are drawn, in one row; all of them by default.
    Raises: NetError: E0605: there is no such layer; E0801: Matplotlib is not installed; E0702: the file cannot be
            written. ValueError: another suffix, an edge that is not there, or more than 400 panels.
    """
    target = Path(path)
    if target.suffix not in FORMATS:
        raise ValueError(f"pictures are written as {' or '.join(FORMATS)}, found `{target.name}`")
    if find_spec("matplotlib") is None:
        raise NetError(
            Diagnostic("E0801", "plots need Matplotlib, which is not installed", help="`pip install 'netdsl[plot]'`")
        )
    values = net.weights(weights)
    found = layer_at(edge_layers(net), layer)
    shown = [(out, at) for out in range(found.outputs) for at in range(found.inputs)] if edges is None else list(edges)
    if not all(0 <= out < found.outputs and 0 <= at < found.inputs for out, at in shown):
        raise ValueError(f"`{layer}` has {found.outputs} outputs and {found.inputs} inputs, so not all of {shown}")
    if not 0 < len(shown) <= _MOST_PANELS:
        raise ValueError(f"a picture has 1 to {_MOST_PANELS} panels, found {len(shown)}: choose some by `edges`")
    low, high = _range(found, values, layer_inputs(net, values, x)[layer] if x is not None else None)
    points = np.linspace(low, high, _POINTS)
    chunks = range(0, _POINTS, found.chunk())
    curves = np.concatenate([found.functions(values, points[at : at + found.chunk()]) for at in chunks])
    shape = (found.outputs, found.inputs) if edges is None else (1, len(shown))
    publish(target, _drawn(points, curves, shown, shape, target.suffix[1:], layer))


def _range(layer: EdgeLayer, weights: Weights, reaching: Floats | None) -> tuple[Floats, Floats]:
    """The ends of what is drawn, for each input."""
    if reaching is not None and len(reaching):
        return reaching.min(axis=0), reaching.max(axis=0)
    knots = breaks(layer, weights)
    if knots:
        return np.min([row[:, 0] for row in knots], axis=0), np.max([row[:, -1] for row in knots], axis=0)
    return np.full(layer.inputs, -1.0), np.full(layer.inputs, 1.0)


def _drawn(
    points: Floats, curves: Floats, shown: Sequence[tuple[int, int]], shape: tuple[int, int], format: str, title: str
) -> bytes:
    """The bytes of the picture; the same functions give the same bytes."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    rows, columns = shape
    with rc_context({"svg.hashsalt": "netdsl"}):
        figure = Figure(figsize=(1.6 * columns + 0.6, 1.4 * rows + 0.6), layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for panel, (out, at) in zip(panels, shown, strict=True):
            panel.plot(points[:, at], curves[:, out, at], linewidth=1.2)
            panel.set_title(f"{at} → {out}", fontsize=7)
            panel.tick_params(labelsize=6)
        figure.suptitle(title, fontsize=9)
        stream = BytesIO()
        metadata = {"Date": None} if format == "svg" else {"Software": None}
        figure.savefig(stream, format=format, metadata=metadata)
    return stream.getvalue()
