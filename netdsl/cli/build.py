"""`netdsl build`: a network as an ONNX file, and its weights as a safetensors file."""

import os
from typing import TYPE_CHECKING, Any

import click

from netdsl.cli.command import command as make
from netdsl.cli.command import failed, named_files
from netdsl.cli.model_options import (
    SEED,
    allow_plugins,
    limits,
    model_options,
    one_network,
    plugin_option,
    read_settings,
)
from netdsl.cli.sizes import complete_sizes, read_sizes, size_option
from netdsl.cli.terminal import OK, Terminal, size_text, table

if TYPE_CHECKING:
    from netdsl.api import Network, Report

OPSETS = (18, 23)


@make("build")
@click.argument("file", metavar="FILE")
@click.option("-n", "--network", "name", help="The network to build, where the file has several.")
@click.option("-o", "--output", metavar="OUT.onnx", help="The ONNX file to write.")
@model_options
@plugin_option
@click.option(
    "--tap", "taps", metavar="PATTERN", multiple=True, help="Labelled values as further outputs; may be repeated."
)
@click.option("--seed", type=SEED, default=0, help="Of the initial weights.  [default: 0]")
@click.option("--weights", metavar="W.safetensors", help="Weights to use instead of initial ones.")
@click.option("--rename", metavar="MAP.toml", help="How the tensors of `--weights` are called here.")
@click.option("--save-weights", metavar="W.safetensors", help="Write the weights, too.")
@click.option("--opset", type=click.IntRange(*OPSETS), default=21, help="Of ONNX, 18 to 23.  [default: 21]")
@click.option("--bind", "bound", multiple=True, metavar="INPUT=X.npy", help="Fix an input: its generator is folded.")
@size_option
@click.option("--commit", is_flag=True, help="Decide each open choice by its scores in the weights.")
@click.option("--choose", "choices", multiple=True, metavar="PATH=OPTION", help="Make a choice; may be repeated.")
@click.option("--no-validate", is_flag=True, help="Trust the passes: do not run both sides of each on samples.")
def command(
    terminal: Terminal,
    file: str,
    name: str | None,
    output: str | None,
    settings: tuple[str, ...],
    plugins: tuple[str, ...],
    taps: tuple[str, ...],
    seed: int,
    weights: str | None,
    rename: str | None,
    save_weights: str | None,
    opset: int,
    bound: tuple[str, ...],
    sizes: tuple[str, ...],
    commit: bool,
    choices: tuple[str, ...],
    no_validate: bool,
    **max_: int | None,
) -> int:
    """Write a network of FILE as an ONNX file. The same file, seed and options give the same bytes."""
    from netdsl.cli.files import open_session

    allow_plugins(plugins)

    if output is None and save_weights is None:
        raise failed("nothing is to be written", "name it: `-o OUT.onnx`, or `--save-weights W.safetensors`")
    if rename is not None and weights is None:
        raise failed("`--rename` needs `--weights`", "add `--weights W.safetensors`")
    _keep_apart([file, weights, rename], [output, save_weights])
    network = one_network(open_session(file, limits(max_)), name, read_settings(settings))
    network = (network.choose(_choices(choices)) if choices else network).tap(*taps)
    values = _weights(network, weights, rename, seed)
    if commit:
        network, values = network.commit(values)
    if save_weights is not None:
        size_bytes = _save(save_weights, values, network)
        terminal.fields["weights"] = {"path": save_weights, "size_bytes": size_bytes}
    if output is not None:
        from pathlib import Path

        fixed = read_sizes(sizes)
        complete_sizes(network.graph, fixed)
        report = network.onnx(
            Path(output), weights=values, opset=opset, validate=not no_validate, bind=_bound(bound), sizes=fixed
        )
        terminal.fields |= _document(network, report, opset)
        for line in _pass_table(report):
            terminal.print(line)
        terminal.print(f"{output}: {size_text(report.size_bytes)}, {report.nodes} nodes, opset {opset}")
    if save_weights is not None:
        terminal.print(f"{save_weights}: {size_text(size_bytes)}, {len(values)} tensors")
    return OK


def _choices(texts: tuple[str, ...]) -> dict[str, str]:
    """The options of `--choose PATH=OPTION`, by path."""
    found: dict[str, str] = {}
    for text in texts:
        path, equals, option = text.partition("=")
        if not equals or not path or not option:
            raise failed(f"`--choose {text}` is not PATH=OPTION", "write it like `--choose layers.0.choose=64`")
        if path in found:
            raise failed(f"`--choose {path}` is given twice", "leave one out")
        found[path] = option
    return found


def _bound(texts: tuple[str, ...]) -> dict[str, Any]:
    """The arrays of `--bind NAME=X.npy`, and the structs of `--bind NAME=X.npz`."""
    from netdsl.cli.arrays import read_arrays

    given = named_files("--bind", texts, "write it like `--bind image=x.npy`")
    return {name: read_arrays(path) for name, path in given.items()}


def _keep_apart(inputs: list[str | None], outputs: list[str | None]) -> None:
    """Raises: UsageError: an output would replace an input or the other output."""
    named = [path for path in inputs if path is not None]
    for output in outputs:
        if output is None:
            continue
        if any(_is_same(output, other) for other in named):
            raise failed(f"`{output}` would be replaced", "name another file for the output")
        named.append(output)


def _is_same(a: str, b: str) -> bool:
    return os.path.realpath(a) == os.path.realpath(b) or (
        os.path.exists(a) and os.path.exists(b) and os.path.samefile(a, b)
    )


def _weights(network: "Network", weights: str | None, rename: str | None, seed: int) -> dict[str, Any]:
    from pathlib import Path

    if weights is None:
        return network.weights(seed=seed)
    from netdsl.cli.paths import require_file
    from netdsl.weights import read_safetensors

    require_file(weights)
    tensors = read_safetensors(Path(weights))
    if rename is not None:
        from netdsl.rename import read_map

        require_file(rename)
        tensors = read_map(Path(rename)).load(tensors)
    return network.weights(tensors, seed=seed)


def _save(path: str, values: dict[str, Any], network: "Network") -> int:
    from pathlib import Path

    from netdsl.weights import write_safetensors

    kinds = {param.path: param.kind for param in network.graph.params}
    write_safetensors(Path(path), {name: value for name, value in values.items() if kinds[name] != "const"})
    return os.stat(path).st_size


def _document(network: "Network", report: "Report", opset: int) -> dict[str, Any]:
    return {
        "network": network.name,
        "path": str(report.path),
        "size_bytes": report.size_bytes,
        "nodes": report.nodes,
        "opset": opset,
        "outputs": [output for output, _ in network.graph.outputs],
        "passes": [
            {
                "name": row.name,
                "guarantee": row.guarantee,
                "fired": row.fired,
                "nodes_before": row.nodes_before,
                "nodes_after": row.nodes_after,
                "seconds": row.seconds,
                "largest_error": row.largest_error,
            }
            for row in report.rows
        ],
    }


def _pass_table(report: "Report") -> list[str]:
    rows = [
        (
            row.name,
            row.guarantee,
            str(row.fired),
            f"{row.nodes_before} → {row.nodes_after}",
            f"{1000 * row.seconds:.1f} ms",
            "not validated" if row.largest_error is None else f"{row.largest_error:.1e}",
        )
        for row in report.rows
    ]
    return (
        table(("pass", "guarantee", "fired", "nodes", "time", "largest error"), rows, right=(2, 3, 4)) if rows else []
    )
