"""The patterns of `einsum`: what they mean for given operands, as labels and sizes without any names of letters."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from netdsl.dims import Dim, Facts, product
from netdsl.record import dataclass
from netdsl.tensor_type import Axis, ShapeError, TensorType, broadcast_axes, unify_axis

#: The axes of one place in a term: `a` is ("a",), `(a b)` is ("a", "b"), `1` and `()` are ().
Place = tuple[str, ...]
ELLIPSIS: Place = ("...",)
MAX_LABELS = 52

_TOKEN = re.compile(r"\s*(\.\.\.|[^\W\d]\w*|1(?!\w)|[()])")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern as written: the places of each operand, and those of the result."""

    text: str
    operands: tuple[tuple[Place, ...], ...]
    result: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Contraction:
    """A pattern applied to operands.

    Args:
        shapes: of each operand once its groups are split and its stretched axes of size 1 are gone.
        labels: of each operand's axes, aligned with its shape; one that repeats means the diagonal.
        axes:   what each label stands for.
        output: the labels of the result, before groups are merged.
        result: the axes of the result.
        merges: whether the result has other axes than `output`.
    """

    shapes: tuple[tuple[Dim, ...], ...]
    labels: tuple[tuple[str, ...], ...]
    axes: dict[str, Axis]
    output: tuple[str, ...]
    result: tuple[Axis, ...]
    merges: bool

    def size(self, labels: Sequence[str]) -> Dim:
        """The product of the sizes of `labels`."""
        return product(self.axes[label].size for label in labels)

    def steps(self) -> "Iterator[Step]":
        """The operands joined from left to right."""
        held = self.labels[0]
        for index, other in enumerate(self.labels[1:], 1):
            kept = {*self.output, *(label for later in self.labels[index + 1 :] for label in later)}
            step = Step(
                batch=_unique(label for label in held if label in other and label in kept),
                summed=_unique(label for label in held if label in other and label not in kept),
                left=_unique(label for label in held if label not in other and label in kept),
                right=_unique(label for label in other if label not in held and label in kept),
            )
            yield step
            held = step.result


@dataclass(frozen=True, slots=True)
class Step:
    """One product of two tensors, after what only one of them has and nothing later needs was summed away."""

    batch: tuple[str, ...]
    summed: tuple[str, ...]
    left: tuple[str, ...]
    right: tuple[str, ...]

    @property
    def result(self) -> tuple[str, ...]:
        return self.batch + self.left + self.right


@lru_cache(maxsize=1024)
def parse_pattern(text: str) -> Pattern:
    """The places that `text` names.

    Names of several letters are told apart by spaces. A pattern in which no term has a space or a bracket is in the
    classic form: each letter is a name (`bij,bjk->bik`).

    Raises: ShapeError: E0216.
    """
    sides = text.split("->")
    if len(sides) != 2:
        raise _wrong(text, "it needs one `->`")
    terms = [term.strip() for term in sides[0].split(",")]
    output = sides[1].strip()
    is_classic = not any(re.search(r"[\s()]", term) for term in (*terms, output))
    operands = tuple(_places(text, term, is_classic) for term in terms)
    result = _places(text, output, is_classic)
    known = {name for operand in operands for place in operand for name in place}
    for term in (*operands, result):
        if term.count(ELLIPSIS) > 1:
            raise _wrong(text, "a term has `...` twice")
    named = [name for place in result for name in place]
    for name in named:
        if name not in known:
            raise _wrong(text, f"`{name}` is on the right only")
        if named.count(name) > 1:
            raise _wrong(text, f"`{name}` is twice on the right")
    if ELLIPSIS[0] in known and ELLIPSIS not in result:
        raise _wrong(text, "`...` is missing on the right")
    return Pattern(text, operands, result)


def contract(
    pattern: Pattern, sizes: Sequence[tuple[str, Dim]], types: Sequence[TensorType], facts: Facts | None
) -> Contraction:
    """`pattern` applied to operands of `types`.

    Args:   sizes: of names inside brackets on the left; facts: None takes operands that were checked before.
    Raises: ShapeError: E0202, E0207, E0208 sizes or names that do not agree; E0205, E0216 the pattern does not fit.
    """
    if len(types) != len(pattern.operands):
        raise _wrong(pattern.text, f"it has {_count(len(pattern.operands), 'operand')}, found {len(types)}")
    given = dict(sizes)
    if len(given) < len(sizes):
        raise _wrong(pattern.text, "a size is given twice")
    reader = _Reader(pattern, given, facts)
    for index, (places, t) in enumerate(zip(pattern.operands, types, strict=True)):
        reader.operand(index, places, t)
    reader.stretch(types)
    for name in given:
        if name not in reader.axes:
            raise _wrong(pattern.text, f"it has no axis `{name}`")
    if len(reader.axes) > MAX_LABELS:
        raise _wrong(pattern.text, f"it has {len(reader.axes)} axes, more than {MAX_LABELS}")
    leading = tuple(label for label in reader.axes if label.startswith("..."))
    leading = tuple(sorted(leading, key=lambda label: -int(label[3:])))
    output: list[str] = []
    result: list[Axis] = []
    for place in pattern.result:
        if place == ELLIPSIS:
            output += leading
            result += [reader.axes[label] for label in leading]
        else:
            output += place
            result.append(_merged([reader.axes[name] for name in place]))
    merges = any(len(place) != 1 for place in pattern.result)
    return Contraction(tuple(reader.shapes), tuple(reader.labels), reader.axes, tuple(output), tuple(result), merges)


class _Reader:
    """Reads operand after operand and keeps what each label stands for."""

    def __init__(self, pattern: Pattern, given: dict[str, Dim], facts: Facts | None) -> None:
        self.pattern = pattern
        self.given = given
        self.facts = facts
        self.axes: dict[str, Axis] = {}
        self.shapes: list[tuple[Dim, ...]] = []
        self.labels: list[tuple[str, ...]] = []
        self._places: dict[str, tuple[int, int]] = {}
        self._leading: list[tuple[int, int]] = []

    def operand(self, index: int, places: tuple[Place, ...], t: TensorType) -> None:
        has_leading = ELLIPSIS in places
        fixed = len(places) - has_leading
        if t.rank < fixed or (t.rank > fixed and not has_leading):
            wanted = f"at least {fixed}" if has_leading else str(fixed)
            raise ShapeError(
                "E0205",
                f'"{self.pattern.text}" needs {wanted} axes of operand {index + 1}, found {t.rank}: {t}',
                operand=index,
            )
        shape: list[Dim] = []
        labels: list[str] = []
        at = 0
        self._leading.append((0, 0))
        for place in places:
            if place == ELLIPSIS:
                self._leading[-1] = (at, at + t.rank - fixed)
                shape += t.sizes[at : at + t.rank - fixed]
                labels += [f"...{t.rank - fixed - 1 - i}" for i in range(t.rank - fixed)]
                at += t.rank - fixed
                continue
            parts = self._split(index, at, place, t.axes[at])
            for name, axis in zip(place, parts, strict=True):
                self._meet(name, axis, (index, at))
            shape += [axis.size for axis in parts]
            labels += place
            at += 1
        self.shapes.append(tuple(shape))
        self.labels.append(tuple(labels))

    def stretch(self, types: Sequence[TensorType]) -> None:
        """Give the leading axes their broadcast sizes, and drop those that stretch from their operands."""
        leading = [t.with_axes(t.axes[start:end]) for t, (start, end) in zip(types, self._leading, strict=True)]
        rank = max((t.rank for t in leading), default=0)
        if self.facts is None:
            merged = [_widest([t.axes[i - rank + t.rank] for t in leading if i >= rank - t.rank]) for i in range(rank)]
        else:
            merged = list(broadcast_axes(leading, self.facts, what="`einsum`"))
        for position, axis in enumerate(merged):
            self.axes[f"...{rank - 1 - position}"] = axis
        for index, (labels, shape) in enumerate(zip(self.labels, self.shapes, strict=True)):
            whole = [
                at
                for at, label in enumerate(labels)
                if not (label.startswith("...") and shape[at] == 1 and self.axes[label].size != 1)
            ]
            self.labels[index] = tuple(labels[at] for at in whole)
            self.shapes[index] = tuple(shape[at] for at in whole)

    def _split(self, index: int, at: int, place: Place, axis: Axis) -> list[Axis]:
        if len(place) == 1:
            if self.given.get(place[0], axis.size) != axis.size:
                self._require(axis.size, self.given[place[0]], place[0], (index, at))
            return [axis]
        known = product(self.given[name] for name in place if name in self.given)
        unknown = [name for name in place if name not in self.given]
        if len(unknown) > 1:
            names = " and ".join(f"`{name}`" for name in unknown)
            raise _wrong(self.pattern.text, f"the sizes of {names} are not given")
        written = " ".join(place)
        if not unknown:
            self._require(axis.size, known, f"({written})" if place else "1", (index, at))
            return [Axis(None, self.given[name]) for name in place]
        whole = axis.size // known
        self._require(axis.size, known * whole, f"({written})", (index, at))
        whole = whole if self.facts is None else self.facts.simplify(whole)
        return [Axis(None, self.given.get(name, whole)) for name in place]

    def _require(self, found: Dim, wanted: Dim, what: str, place: tuple[int, int]) -> None:
        if self.facts is None or found == wanted:
            return
        equal = self.facts.prove_eq(found, wanted)
        if equal is None:
            raise ShapeError(
                "E0208",
                f"`{what}` of `einsum` needs a size of {wanted}, and nothing says that {found} is that",
                operand=place[0],
                axes=(place,),
                help=f"add `where {found} == {wanted}` to the header",
            )
        if not equal:
            raise ShapeError(
                "E0202",
                f"`{what}` of `einsum` needs a size of {wanted}, found {found}",
                operand=place[0],
                axes=(place,),
            )

    def _meet(self, name: str, axis: Axis, place: tuple[int, int]) -> None:
        known = self.axes.get(name)
        if known is None:
            self.axes[name] = axis
            self._places[name] = place
        elif self.facts is not None:
            first = self._places[name]
            self.axes[name] = unify_axis(
                known,
                axis,
                self.facts,
                what=f"`{name}` of `einsum`",
                operands=(first[0], place[0]),
                at=(first[1], place[1]),
            )
        elif axis.size.is_const:
            self.axes[name] = axis


def _places(text: str, term: str, is_classic: bool) -> tuple[Place, ...]:
    places: list[Place] = []
    group: list[str] | None = None
    at = 0
    while at < len(term):
        match = _TOKEN.match(term, at)
        if match is None:
            raise _wrong(text, f"`{term[at:].split()[0]}` is not an axis")
        token, at = match.group(1), match.end()
        if token == "(":
            if group is not None:
                raise _wrong(text, "a bracket stands in a bracket")
            group = []
        elif token == ")":
            if group is None:
                raise _wrong(text, "a `)` has no `(`")
            places.append(tuple(group))
            group = None
        elif group is not None:
            if token == "...":
                raise _wrong(text, "`...` stands in a bracket")
            group += [] if token == "1" else [token]
        elif token == "1":
            places.append(())
        elif is_classic and token != "...":
            places += [(letter,) for letter in token]
        else:
            places.append((token,))
    if group is not None:
        raise _wrong(text, "a `(` has no `)`")
    return tuple(places)


def _merged(axes: list[Axis]) -> Axis:
    return axes[0] if len(axes) == 1 else Axis(None, product(axis.size for axis in axes))


def _widest(axes: list[Axis]) -> Axis:
    return next((axis for axis in axes if axis.size != 1), axes[0])


def _unique(labels: Iterator[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(labels))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _wrong(text: str, why: str) -> ShapeError:
    return ShapeError("E0216", f'the pattern "{text}" does not fit: {why}')
