"""Rename maps: weights that come from elsewhere, by rules in TOML, applied both ways.

A rule has `to` (our path) and `from` (theirs), each a string, or a list on one side. `{name}` captures one path element,
`*` any text. `transpose`, `reshape`, `concat` and `split` say how the data changes on the way in:

    [[rule]]
    from = ["layer.{i}.query.weight", "layer.{i}.key.weight", "layer.{i}.value.weight"]
    to = "blocks.{i}.attention.qkv.weight"
    concat = 0

    [[rule]]
    from = "h.{i}.mlp.c_fc.weight"
    to = "blocks.{i}.mlp.up.weight"
    transpose = true

    [[rule]]
    ignore = "*.position_ids"
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netdsl.diagnostics import Diagnostic, NetError
from netdsl.record import dataclass

Array = NDArray[np.generic]
KEYS = {"from", "to", "ignore", "transpose", "reshape", "source_shape", "concat", "split"}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `source` and `target` hold one pattern, but for `concat` (several sources) and `split` (targets).

    Args:
        transpose: the order of axes on the way in, or None; (1, 0) for `true`.
        shape, source_shape: the shapes of `reshape`, ours and theirs.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    transpose: tuple[int, ...] | None = None
    shape: tuple[int, ...] | None = None
    source_shape: tuple[int, ...] | None = None
    concat: int | None = None
    split: int | None = None
    is_inverse: bool = False


@dataclass(frozen=True, slots=True)
class RenameMap:
    """Rules in order; the first that matches a name is used."""

    rules: tuple[Rule, ...]
    ignored: tuple[str, ...]

    def load(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        """Their tensors under our paths; a name that no rule matches keeps it."""
        return _apply(self.rules, self.ignored, tensors)

    def save(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        """Our tensors under their names: the inverse of `load`, ignored tensors aside."""
        return _apply(tuple(_inverse(r) for r in self.rules), (), tensors)


def read_map(path: Path) -> RenameMap:
    """Raises: NetError: E0723: not TOML, or a rule that is not understood."""
    try:
        return parse_map(path.read_text("utf-8"), str(path))
    except OSError as error:
        raise NetError(Diagnostic("E0701", f"`{path}` cannot be read: {error.strerror or error}")) from None


def parse_map(text: str, name: str = "<map>") -> RenameMap:
    """A map from its TOML text. Raises: NetError: E0723."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise NetError(Diagnostic("E0723", f"`{name}` is not TOML: {error}")) from None
    rules: list[Rule] = []
    ignored: list[str] = []
    findings: list[Diagnostic] = []
    for number, row in enumerate(data.get("rule", []), 1):
        try:
            if "ignore" in row:
                ignored += [row["ignore"]] if isinstance(row["ignore"], str) else list(row["ignore"])
            else:
                rules.append(_rule(row))
        except ValueError as error:
            findings.append(Diagnostic("E0723", f"rule {number} of `{name}` {error}"))
    if findings:
        raise NetError(findings)
    return RenameMap(tuple(rules), tuple(ignored))


def _rule(row: Mapping[str, Any]) -> Rule:
    unknown = set(row) - KEYS
    if unknown:
        raise ValueError(f"has no key `{sorted(unknown)[0]}`; keys are {', '.join(sorted(KEYS))}")
    if "from" not in row or "to" not in row:
        raise ValueError("needs `from` and `to`, or `ignore`")
    source = (row["from"],) if isinstance(row["from"], str) else tuple(row["from"])
    target = (row["to"],) if isinstance(row["to"], str) else tuple(row["to"])
    if len(source) > 1 and "concat" not in row:
        raise ValueError("has several sources and no `concat` axis")
    if len(target) > 1 and "split" not in row:
        raise ValueError("has several targets and no `split` axis")
    if len(source) > 1 and len(target) > 1:
        raise ValueError("has several sources and several targets")
    names = {frozenset(re.findall(r"\{(\w+)\}", p)) for p in (*source, *target)}
    if len(names) > 1:
        raise ValueError("captures different names in `from` and `to`")
    order = row.get("transpose")
    transpose = None if order in (None, False) else (1, 0) if order is True else tuple(order)
    reshape = row.get("reshape")
    origin = row.get("source_shape")
    if reshape is not None and origin is None:
        raise ValueError("has `reshape` without `source_shape`, so it could not be undone")
    return Rule(
        source,
        target,
        transpose,
        tuple(reshape) if reshape else None,
        tuple(origin) if origin else None,
        row.get("concat"),
        row.get("split"),
    )


def _inverse(rule: Rule) -> Rule:
    order = None
    if rule.transpose is not None:
        order = tuple(rule.transpose.index(i) for i in range(len(rule.transpose)))
    return Rule(rule.target, rule.source, order, rule.source_shape, rule.shape, rule.split, rule.concat, True)


def _pattern(text: str) -> re.Pattern[str]:
    parts = re.split(r"(\{\w+\}|\*)", text)
    seen: set[str] = set()
    regex = ""
    for part in parts:
        if part == "*":
            regex += ".*"
        elif part.startswith("{"):
            name = part[1:-1]
            regex += f"(?P={name})" if name in seen else f"(?P<{name}>[^.]+)"
            seen.add(name)
        else:
            regex += re.escape(part)
    return re.compile(regex + r"\Z")


def _fill(text: str, captured: Mapping[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda m: captured[m.group(1)], text)


def _apply(rules: tuple[Rule, ...], ignored: tuple[str, ...], tensors: Mapping[str, Array]) -> dict[str, Array]:
    skip = [_pattern(p) for p in ignored]
    compiled = [(rule, [_pattern(p) for p in rule.source]) for rule in rules]
    result: dict[str, Array] = {}
    used: set[str] = set()
    for name in tensors:
        if name in used or any(p.match(name) for p in skip):
            continue
        for rule, patterns in compiled:
            match = next((m for m in (p.match(name) for p in patterns) if m), None)
            if match is None:
                continue
            sources = [_fill(p, match.groupdict()) for p in rule.source]
            if any(x not in tensors for x in sources):
                continue
            used.update(sources)
            targets = [_fill(p, match.groupdict()) for p in rule.target]
            result.update(zip(targets, _convert(rule, [tensors[x] for x in sources]), strict=True))
            break
        else:
            result[name] = tensors[name]
    return result


def _convert(rule: Rule, values: list[Array]) -> list[Array]:
    """Forward: transpose, reshape, concat or split. Inverse: concat or split, reshape, transpose."""
    if not rule.is_inverse:
        values = [_reshaped(rule, _transposed(rule, v)) for v in values]
    if rule.concat is not None:
        values = [np.concatenate(values, rule.concat)]
    if rule.split is not None:
        count = len(rule.target)
        (value,) = values
        if value.shape[rule.split] % count:
            raise NetError(
                Diagnostic("E0723", f"`{rule.source[0]}` cannot be split into {count} equal parts: {list(value.shape)}")
            )
        values = list(np.split(value, count, rule.split))
    if rule.is_inverse:
        values = [_transposed(rule, _reshaped(rule, v)) for v in values]
    return values


def _transposed(rule: Rule, value: Array) -> Array:
    return value if rule.transpose is None else value.transpose(rule.transpose)


def _reshaped(rule: Rule, value: Array) -> Array:
    return value if rule.shape is None else value.reshape(rule.shape)
