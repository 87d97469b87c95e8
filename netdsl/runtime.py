"""ONNX Runtime behind the language's types and messages: `Session.load(path, provider).run({"image": array})`."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netdsl.backends.onnx.runtime import PROVIDERS, Session, installed_wheels
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.dims import RELATION_OPS, Dim, Facts, parse_dim
from netdsl.sampling import within

__all__ = ["PROVIDERS", "Session", "installed_wheels", "random_inputs"]

#: Exclusive bound of random integers where the model does not say which table they index.
_INTEGERS = 2
_LARGEST_BYTES = 4 * 2**30


def random_inputs(
    session: Session, names: Iterable[str], sizes: Mapping[str, int] | None = None, *, seed: int = 0
) -> dict[str, NDArray[Any]]:
    """Inputs of a model: floats from N(0, 1), indices within their tables, other integers 0 or 1, fair bools;
    within their ranges, where there are some.

    Args:   sizes: of free dimensions; those that are not given are as small as the model allows, at least 1.
    Raises: NetError: E0403: no such sizes, or an input that would be too large.
    """
    ports = {port.name: port for port in session.inputs}
    tables = json.loads(session.metadata.get("netdsl.indices", "{}"))
    known = _sizes(session, dict(sizes or {}))
    rng = np.random.default_rng(seed)
    found: dict[str, NDArray[Any]] = {}
    for name in names:
        port = ports[name]
        shape = tuple(1 if size is None else max(0, size.evaluate(known)) for size in port.sizes)
        if port.numpy_dtype is None:
            raise NetError(Diagnostic("E0812", f"`{name}` is {port}, of which no random values can be made"))
        dtype = np.dtype(port.numpy_dtype)
        elements = 1
        for size in shape:
            elements *= size
        if elements * max(8, dtype.itemsize) > _LARGEST_BYTES:
            title = f"`{name}` would have {elements:,} elements, which is too many"
            raise NetError(Diagnostic("E0403", title, help="give smaller sizes with `--size NAME=SIZE`"))
        if name in session.ranges:
            found[name] = within(rng, *session.ranges[name], shape, dtype)
        elif dtype.kind == "f":
            found[name] = rng.standard_normal(shape).astype(dtype)
        elif dtype.kind == "b":
            found[name] = rng.random(shape) < 0.5
        else:
            top = parse_dim(tables[name]).evaluate(known) if name in tables else _INTEGERS
            found[name] = rng.integers(0, max(top, 1), shape).astype(dtype)
    return found


def _sizes(session: Session, given: dict[str, int]) -> dict[str, int]:
    """A size for every symbol of the inputs' shapes."""
    symbols: dict[str, None] = {}
    for port in session.inputs:
        for size in port.sizes:
            symbols.update(dict.fromkeys(sorted(size.symbols)) if size is not None else {})
    unknown = [name for name in given if name not in symbols]
    if unknown:
        there = ", ".join(symbols) or "none"
        raise NetError(
            Diagnostic(
                "E0403", f"the model has no free dimension `{unknown[0]}`", help=f"its free dimensions are {there}"
            )
        )
    facts = _facts(session)
    sizes = {name: given.get(name, max(1, facts.bounds(Dim.of(name))[0] or 0)) for name in symbols}
    everything = sizes | {name: 1 for name in facts.symbols if name not in sizes}
    if not facts.satisfies(everything):
        needs = "; ".join(f"{left} {op} {right}" for op, left, right in facts.items)
        shown = ", ".join(f"{name} = {size}" for name, size in sizes.items())
        raise NetError(
            Diagnostic(
                "E0403", f"the model needs {needs}, found {shown}", help="give other sizes with `--size NAME=SIZE`"
            )
        )
    return everything


def _facts(session: Session) -> Facts:
    facts = Facts.EMPTY
    for text in json.loads(session.metadata.get("netdsl.where", "[]")):
        match = re.fullmatch(r"(.+?) (==|!=|<=|>=|<|>) (.+)", text)
        if match is not None:
            facts = facts.with_fact(RELATION_OPS[match[2]], parse_dim(match[1]), parse_dim(match[3]))
    return facts
