"""`netdsl.record.dataclass` makes what the standard decorator makes."""

import copy
import dataclasses
import pickle
from collections.abc import Callable
from dataclasses import field, fields, replace
from typing import Any, ClassVar

import pytest

from netdsl import record

Decorator = Callable[..., Any]
BOTH = pytest.mark.parametrize("dataclass", [dataclasses.dataclass, record.dataclass], ids=["standard", "record"])


def point(dataclass: Decorator) -> Any:
    @dataclass(frozen=True, slots=True)
    class Point:
        x: int
        y: "int | None" = None
        tags: tuple[str, ...] = field(default_factory=tuple)
        cache: dict[str, int] = field(default_factory=dict, init=False, compare=False, repr=False)
        name: ClassVar[str] = "point"

    return Point


@record.dataclass(frozen=True, slots=True)
class Plain:
    x: int
    y: int = 2


@BOTH
def test_objects_are_made_by_place_and_by_name(dataclass: Decorator) -> None:
    made = point(dataclass)(1, tags=("a",))
    assert (1, None, ("a",), {}) == (made.x, made.y, made.tags, made.cache)
    assert made.cache is not point(dataclass)(1).cache


@BOTH
@pytest.mark.parametrize(
    "call", [lambda c: c(), lambda c: c(1, 2, (), {}), lambda c: c(1, x=1), lambda c: c(1, cache={})]
)
def test_arguments_that_do_not_fit_are_refused(dataclass: Decorator, call: Callable[[Any], Any]) -> None:
    cls = point(dataclass)
    for _ in range(2):  # the first object is made in another way
        with pytest.raises(TypeError):
            call(cls)
        cls(1)


@BOTH
def test_equality_and_hash_are_by_value(dataclass: Decorator) -> None:
    cls = point(dataclass)
    a, b = cls(1, 2), cls(1, 2)
    a.cache["seen"] = 1
    assert a == b and hash(a) == hash(b) and {a: "here"}[b] == "here"
    assert a != cls(1, 3) and a != (1, 2, ()) and a != point(dataclass)(1, 2)


@BOTH
def test_an_object_prints_as_its_call(dataclass: Decorator) -> None:
    assert repr(point(dataclass)(1, 2)).endswith("Point(x=1, y=2, tags=())")


@BOTH
def test_fields_replace_and_match_work(dataclass: Decorator) -> None:
    cls = point(dataclass)
    assert ["x", "y", "tags", "cache"] == [f.name for f in fields(cls)]
    assert cls(3, 2) == replace(cls(1, 2), x=3)
    match cls(1, 2):
        case cls(x, y):
            assert (1, 2) == (x, y)
    with pytest.raises(AttributeError):
        copy.copy(cls(1)).other  # noqa: B018
    assert not hasattr(cls(1), "__dict__")


@BOTH
def test_fields_are_checked_and_filled_after_they_are_set(dataclass: Decorator) -> None:
    @dataclass(eq=False)
    class Total:
        parts: list[int]
        total: int = field(init=False)

        def __post_init__(self) -> None:
            self.total = sum(self.parts)

    assert 6 == Total([1, 2, 3]).total
    assert Total([1]) != Total([1])


@BOTH
def test_a_class_that_can_change_has_no_hash(dataclass: Decorator) -> None:
    @dataclass(slots=True)
    class Counter:
        count: int = 0

    counter = Counter()
    counter.count += 1
    assert Counter(1) == counter
    with pytest.raises(TypeError):
        hash(counter)


@BOTH
def test_a_class_without_fields_has_one_value(dataclass: Decorator) -> None:
    @dataclass(frozen=True, slots=True)
    class Empty:
        pass

    assert Empty() == Empty() and hash(Empty()) == hash(Empty())


@BOTH
def test_heirs_add_fields_or_none(dataclass: Decorator) -> None:
    base = point(dataclass)

    class Named(base):  # type: ignore[misc, valid-type]
        __slots__ = ()

    @dataclass(frozen=True, slots=True)
    class Deep(base):  # type: ignore[misc, valid-type]
        z: int = 0

    assert (1, Named) == (Named(1).x, type(Named(1)))
    assert (1, 5) == (Deep(1, z=5).x, Deep(1, z=5).z)
    assert Named(1) != base(1) and Named(1) == Named(1)


@BOTH
def test_own_methods_are_kept(dataclass: Decorator) -> None:
    @dataclass(frozen=True, slots=True)
    class Folded:
        text: str

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Folded) and self.text.lower() == other.text.lower()

        def __hash__(self) -> int:
            return hash(self.text.lower())

        def __repr__(self) -> str:
            return self.text

    assert Folded("A") == Folded("a") and hash(Folded("A")) == hash(Folded("a"))
    assert "A" == repr(Folded("A"))


@BOTH
def test_an_object_that_holds_itself_prints(dataclass: Decorator) -> None:
    @dataclass(eq=False)
    class Knot:
        held: list[Any]

    knot = Knot([])
    knot.held.append(knot)
    assert repr(knot).endswith("Knot(held=[...])")


def test_records_are_copied_and_pickled() -> None:
    for made in (copy.copy(Plain(1)), copy.deepcopy(Plain(1)), pickle.loads(pickle.dumps(Plain(1)))):
        assert Plain(1) == made
