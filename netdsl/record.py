"""`dataclass` for classes that start-up depends on: the standard one, without its work when a class is made.

`dataclasses.dataclass(frozen=True, slots=True)` compiles six methods for each class, and the front end has two hundred
classes. Here `__init__` is compiled when a class makes its first object, and the other methods are closures. A type
checker sees the standard decorator, so assignments to fields of frozen classes are found there and not at run time.
`fields`, `replace` and `match` work as usual.
"""

import dataclasses
from collections.abc import Callable
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(cls=None, /, *, frozen=False, slots=False, eq=True):
        """Like `dataclasses.dataclass`, of whose options it has these three."""

        def make(cls: type) -> type:
            if cls.__doc__ is None:
                cls.__doc__ = ""  # else the standard decorator writes the signature there, which is slow
            own = cls.__dict__
            made = dataclasses.dataclass(cls, init=False, repr=False, eq=False, slots=slots)
            if "__init__" not in own:
                made.__init__ = _first_init(made)
            if "__repr__" not in own:
                made.__repr__ = _repr if frozen else _guarded_repr
            if eq:
                values = _values_of(made)
                if "__eq__" not in own:
                    made.__eq__ = _equality(values)
                if own.get("__hash__") is None:
                    made.__hash__ = (lambda self: hash(values(self))) if frozen else None
            return made

        return make if cls is None else make(cls)


def _first_init(cls: type) -> Callable[..., None]:
    """An `__init__` that compiles the real one, and gives its place to it."""

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        init = _compiled_init(cls)
        type.__setattr__(cls, "__init__", init)
        init(self, *args, **kwargs)

    return __init__


def _compiled_init(cls: Any) -> Callable[..., None]:
    """What `dataclasses.dataclass` would make: a parameter for each field, then `__post_init__`."""
    parameters, lines = [], []
    scope: dict[str, Any] = {"_unset": dataclasses.MISSING}
    for f in dataclasses.fields(cls):
        has_factory = f.default_factory is not dataclasses.MISSING
        has_default = f.default is not dataclasses.MISSING
        default = f"_default_{f.name}()" if has_factory else f"_default_{f.name}"
        scope[f"_default_{f.name}"] = f.default_factory if has_factory else f.default
        if not f.init:
            lines += [f"self.{f.name} = {default}"] if has_factory or has_default else []
        elif has_factory:
            parameters.append(f"{f.name}=_unset")
            lines.append(f"self.{f.name} = {default} if {f.name} is _unset else {f.name}")
        else:
            parameters.append(f"{f.name}={default}" if has_default else f.name)
            lines.append(f"self.{f.name} = {f.name}")
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    exec("\n ".join([f"def __init__(self, {', '.join(parameters)}):", *(lines or ["pass"])]), scope)
    init: Callable[..., None] = scope["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    return init


def _values_of(cls: Any) -> Callable[[Any], Any]:
    """The fields that are compared, of one object."""
    compared = [f.name for f in dataclasses.fields(cls) if f.compare]
    return attrgetter(*compared) if compared else lambda self: ()


def _equality(values: Callable[[Any], Any]) -> Callable[[Any, object], Any]:
    def __eq__(self: Any, other: object) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return self is other or values(self) == values(other)

    return __eq__


def _repr(self: Any) -> str:
    shown = [f"{f.name}={getattr(self, f.name)!r}" for f in dataclasses.fields(self) if f.repr]
    return f"{type(self).__qualname__}({', '.join(shown)})"


#: For objects that may contain themselves.
_guarded_repr = recursive_repr()(_repr)
