"""Rename maps: weights that come from elsewhere, by rules in TOML, applied both ways.

A rule has `to` (our path) and `from` (theirs), each a string, or a list on one side. `{name}` captures one element of a
path, `*` any text; both sides hold the same captures, and as many `*`. The first rule that matches a name is used; a
name that no rule matches stays. `transpose`, `reshape`, `concat` and `split` say how the data changes on the way in,
`sizes` how large the parts of `concat` or `split` are where they are not alike:

    [[rule]]
    from = ["layer.{i}.query.weight", "layer.{i}.key.weight", "layer.{i}.value.weight"]
    to = "blocks.{i}.attention.qkv.weight"
    concat = 0

    [[rule]]
    from = "h.{i}.mlp.c_fc.weight"
    to = "blocks.{i}.mlp.up.weight"
    transpose = true

    [[rule]]
    from = "module.*"
    to = "*"

    [[rule]]
    ignore = "*.position_ids"
"""

import itertools
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netdsl.diagnostics import Diagnostic, NetError
from netdsl.did_you_mean import suggest
from netdsl.reading import open_regular
from netdsl.record import dataclass

Array = NDArray[np.generic]
KEYS = ("from", "to", "ignore", "transpose", "reshape", "source_shape", "concat", "split", "sizes")
#: A pattern with more of them could take long to match.
MAX_STARS, MAX_CAPTURES = 3, 8
MAX_BYTES = 4 * 2**20
MAX_FINDINGS = 50
_WILD = re.compile(r"(\{[A-Za-z]\w*\}|\*)")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `source` and `target` hold one pattern, but for `concat` (several sources) and `split` (targets).

    Args:
        transpose: the order of axes on the way in, or None; (1, 0) for `true`.
        shape, source_shape: the shapes of `reshape`, ours and theirs.
        sizes: of the parts of `concat` or `split` along its axis; None where they are alike.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    transpose: tuple[int, ...] | None = None
    shape: tuple[int, ...] | None = None
    source_shape: tuple[int, ...] | None = None
    concat: int | None = None
    split: int | None = None
    sizes: tuple[int, ...] | None = None
    is_inverse: bool = False


@dataclass(frozen=True, slots=True)
class RenameMap:
    """Rules in order; the first that matches a name is used."""

    rules: tuple[Rule, ...]
    ignored: tuple[str, ...]

    def load(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        """Their tensors under our paths.

        Raises: NetError: E0723: a tensor that its rule cannot change so, or two that would have one path.
        """
        return _apply(self.rules, self.ignored, tensors)

    def save(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        """Our tensors under their names: the inverse of `load`, ignored tensors aside.

        Raises: NetError: E0723.
        """
        return _apply(tuple(_inverse(r) for r in self.rules), (), tensors)


def read_map(path: Path) -> RenameMap:
    """Raises: NetError: E0701: it cannot be read; E0723: not TOML, or a rule that is not understood."""
    try:
        with open_regular(path) as stream:
            data = stream.read(MAX_BYTES + 1)
        text = data.decode("utf-8")
    except OSError as error:
        raise NetError(Diagnostic("E0701", f"`{path}` cannot be read: {error.strerror or error}")) from None
    except UnicodeDecodeError:
        raise NetError(Diagnostic("E0723", f"`{path}` is not TOML: it is not UTF-8 text")) from None
    if len(data) > MAX_BYTES:
        raise NetError(Diagnostic("E0723", f"`{path}` is larger than {MAX_BYTES // 2**20} MiB"))
    return parse_map(text, str(path))


def parse_map(text: str, name: str = "<map>") -> RenameMap:
    """A map from its TOML text. Raises: NetError: E0723, one for each rule that is not understood."""
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise NetError(Diagnostic("E0723", f"`{name}` is not TOML: {error}")) from None
    for key in data:
        if key != "rule":
            raise NetError(
                Diagnostic("E0723", f"`{name}` has no use for `{key}`", help="a map is a list of `[[rule]]` tables")
            )
    rows = data.get("rule", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise NetError(Diagnostic("E0723", f"`rule` of `{name}` is not a list of tables", help="write `[[rule]]`"))
    rules: list[Rule] = []
    ignored: list[str] = []
    findings: list[Diagnostic] = []
    for number, row in enumerate(rows, 1):
        try:
            if "ignore" in row:
                ignored += _ignored(row)
            else:
                rules.append(_rule(row))
        except ValueError as error:
            findings.append(Diagnostic("E0723", f"rule {number} of `{name}` {error}"))
            if len(findings) == MAX_FINDINGS:
                break
    if findings:
        raise NetError(findings)
    return RenameMap(tuple(rules), tuple(ignored))


# --- from TOML -------------------------------------------------------------------------------------


def _ignored(row: Mapping[str, Any]) -> tuple[str, ...]:
    if len(row) > 1:
        raise ValueError("has `ignore` beside other keys")
    return _patterns(row, "ignore")


def _rule(row: Mapping[str, Any]) -> Rule:
    for key in row:
        if key not in KEYS:
            near = suggest(key, KEYS)
            raise ValueError(
                f"has no key `{key}`; " + (f"did you mean `{near}`?" if near else f"keys are {', '.join(KEYS)}")
            )
    if "from" not in row or "to" not in row:
        raise ValueError("needs `from` and `to`, or `ignore`")
    source, target = _patterns(row, "from"), _patterns(row, "to")
    if len(source) > 1 and len(target) > 1:
        raise ValueError("has several sources and several targets")
    if (len(source) > 1) != ("concat" in row):
        raise ValueError(
            "joins several sources: give `concat` its axis" if len(source) > 1 else "has `concat` and one source"
        )
    if (len(target) > 1) != ("split" in row):
        raise ValueError(
            "makes several targets: give `split` its axis" if len(target) > 1 else "has `split` and one target"
        )
    _check_captures((*source, *target))
    sizes = _numbers(row, "sizes", least=0)
    if sizes is not None and len(sizes) != max(len(source), len(target)):
        raise ValueError(f"has {max(len(source), len(target))} parts, and {len(sizes)} `sizes`")
    shape, source_shape = _numbers(row, "reshape", least=-1), _numbers(row, "source_shape", least=-1)
    if (shape is None) != (source_shape is None):
        raise ValueError("needs both `reshape` and `source_shape`, so that it can be undone")
    axes = {key: _axis(row, key) for key in ("concat", "split")}
    return Rule(source, target, _transpose(row), shape, source_shape, axes["concat"], axes["split"], sizes)


def _patterns(row: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = row[key]
    found = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else ()
    if not found or not all(isinstance(p, str) and p for p in found):
        raise ValueError(f"has `{key}` that is neither a name nor a list of names")
    for text in found:
        parts = _WILD.split(text)
        if any("{" in p or "}" in p for p in parts[::2]):
            raise ValueError(f'has braces in "{text}" that hold no name')
        if any(not p for p in parts[2:-1:2]):
            raise ValueError(f'has two captures in "{text}" with nothing between them')
        if parts[1::2].count("*") > MAX_STARS or len(parts[1::2]) > MAX_CAPTURES:
            raise ValueError(f'has more than {MAX_STARS} `*` or {MAX_CAPTURES} captures in "{text}"')
    return found


def _check_captures(patterns: Iterable[str]) -> None:
    names = {frozenset(_WILD.findall(p)) - {"*"} for p in patterns}
    stars = {p.count("*") for p in patterns}
    if len(names) > 1:
        raise ValueError("captures different names in `from` and `to`")
    if len(stars) > 1:
        raise ValueError("has another count of `*` in `from` and `to`")


def _axis(row: Mapping[str, Any], key: str) -> int | None:
    value = row.get(key)
    if value is None:
        return None
    if type(value) is not int:
        raise ValueError(f"needs an axis for `{key}`, found {value!r}")
    return value


def _numbers(row: Mapping[str, Any], key: str, *, least: int) -> tuple[int, ...] | None:
    value = row.get(key)
    if value is None:
        return None
    if not isinstance(value, list) or not all(type(n) is int and n >= least for n in value):
        raise ValueError(f"needs a list of sizes for `{key}`, found {value!r}")
    return tuple(value)


def _transpose(row: Mapping[str, Any]) -> tuple[int, ...] | None:
    value = row.get("transpose", False)
    if isinstance(value, bool):
        return (1, 0) if value else None
    order = _numbers(row, "transpose", least=0)
    if order is None or sorted(order) != list(range(len(order))):
        raise ValueError(f"needs `transpose` to be true or to name each axis once, found {value!r}")
    return order


# --- applied ---------------------------------------------------------------------------------------


def _inverse(rule: Rule) -> Rule:
    order = None
    if rule.transpose is not None:
        order = tuple(rule.transpose.index(i) for i in range(len(rule.transpose)))
    return Rule(
        rule.target, rule.source, order, rule.source_shape, rule.shape, rule.split, rule.concat, rule.sizes, True
    )


def _pattern(text: str) -> re.Pattern[str]:
    seen: set[str] = set()
    regex = ""
    stars = itertools.count()
    for part in _WILD.split(text):
        if part == "*":
            regex += f"(?P<_star{next(stars)}>.*)"
        elif part.startswith("{"):
            name = part[1:-1]
            regex += f"(?P={name})" if name in seen else f"(?P<{name}>[^.]+)"
            seen.add(name)
        else:
            regex += re.escape(part)
    return re.compile(regex + r"\Z", re.DOTALL)


def _fill(text: str, captured: Mapping[str, str]) -> str:
    stars = itertools.count()
    return _WILD.sub(lambda m: captured[f"_star{next(stars)}" if m[0] == "*" else m[0][1:-1]], text)


def _apply(rules: tuple[Rule, ...], ignored: tuple[str, ...], tensors: Mapping[str, Array]) -> dict[str, Array]:
    skip = [_pattern(p) for p in ignored]
    compiled = [(rule, [_pattern(p) for p in rule.source]) for rule in rules]
    made: list[tuple[str, Array]] = []
    used: set[str] = set()
    findings: list[Diagnostic] = []
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
            try:
                made += zip(targets, _convert(rule, [tensors[x] for x in sources]), strict=True)
            except ValueError as error:
                found = " and ".join(f"`{x}` {list(tensors[x].shape)}" for x in sources)
                findings.append(Diagnostic("E0723", f"{found} cannot become {_named(targets)}: {error}"))
            break
        else:
            made.append((name, tensors[name]))
    twice = [name for name, count in Counter(name for name, _ in made).items() if count > 1]
    findings += [Diagnostic("E0723", f"two tensors would be `{name}`") for name in twice]
    if findings:
        raise NetError(findings)
    return dict(made)


def _named(names: Sequence[str]) -> str:
    return " and ".join(f"`{name}`" for name in names)


def _convert(rule: Rule, values: list[Array]) -> list[Array]:
    """Forward: transpose, reshape, concat or split. Inverse: concat or split, reshape, transpose.

    Raises: ValueError: the shapes do not allow it.
    """
    if not rule.is_inverse:
        values = [_reshaped(rule, _transposed(rule, v)) for v in values]
    if rule.concat is not None:
        values = [_joined(values, rule.concat, rule.sizes)]
    if rule.split is not None:
        (value,) = values
        values = _parts(value, len(rule.target), rule.split, rule.sizes)
    if rule.is_inverse:
        values = [_transposed(rule, _reshaped(rule, v)) for v in values]
    return values


def _joined(values: Sequence[Array], axis: int, sizes: tuple[int, ...] | None) -> Array:
    if any(not -v.ndim <= axis < v.ndim for v in values):
        raise ValueError(f"there is no axis {axis}")
    found = tuple(v.shape[axis] for v in values)
    if sizes is None and len(set(found)) > 1:
        raise ValueError(f"the parts are {list(found)} along axis {axis}; give `sizes`, so that it can be undone")
    if sizes is not None and sizes != found:
        raise ValueError(f"the parts are {list(found)} along axis {axis}, and `sizes` says {list(sizes)}")
    return np.concatenate(values, axis)


def _parts(value: Array, count: int, axis: int, sizes: tuple[int, ...] | None) -> list[Array]:
    if not -value.ndim <= axis < value.ndim:
        raise ValueError(f"there is no axis {axis}")
    size = value.shape[axis]
    if sizes is None:
        if size % count:
            raise ValueError(f"{count} does not divide {size}, the size of axis {axis}")
        sizes = (size // count,) * count
    if sum(sizes) != size:
        raise ValueError(f"the sizes {list(sizes)} do not add up to {size}, the size of axis {axis}")
    return np.split(value, list(itertools.accumulate(sizes))[:-1], axis)


def _transposed(rule: Rule, value: Array) -> Array:
    if rule.transpose is None:
        return value
    if len(rule.transpose) != value.ndim:
        raise ValueError(f"`transpose` orders {len(rule.transpose)} axes")
    return value.transpose(rule.transpose)


def _reshaped(rule: Rule, value: Array) -> Array:
    if rule.shape is None:
        return value
    try:
        return value.reshape(rule.shape)
    except ValueError:
        raise ValueError(f"{value.size} elements do not fill {list(rule.shape)}") from None
