"""The declarations of a file: their headers, and what stands behind them."""

from typing import TYPE_CHECKING
from typing import Literal as OneOf

from netdsl.record import dataclass
from netdsl.source import Span

if TYPE_CHECKING:
    from netdsl import syntax as s


@dataclass(frozen=True, slots=True)
class StaticParam:
    """`name: type = default` in square brackets."""

    span: Span
    name: str
    type: "s.TypeExpr"
    default: "s.Expr | None"


@dataclass(frozen=True, slots=True)
class TensorParam:
    """`name: type = default` in round brackets."""

    span: Span
    name: str
    type: "s.TypeExpr"
    default: "s.Expr | None"


@dataclass(frozen=True, slots=True)
class Fact:
    """A `where` clause: a comparison, or `value in low..high` (both ends included)."""

    span: Span
    value: "s.Expr"
    low: "s.Expr | None" = None
    high: "s.Expr | None" = None


@dataclass(frozen=True, slots=True)
class Header:
    """`Name[statics](params) -> name: result where facts`."""

    span: Span
    name: str
    name_span: Span
    statics: tuple[StaticParam, ...]
    params: tuple[TensorParam, ...]
    result_name: str | None
    result: "s.TypeExpr"
    where: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """A `block`, `network`, `edge` or `monoid`. `doc` joins its `##` lines."""

    span: Span
    kind: OneOf["block", "network", "edge", "monoid"]
    header: Header
    body: "s.Body"
    doc: str | None = None


@dataclass(frozen=True, slots=True)
class Extern:
    """`extern Name[..](..) -> T = "plugin:function"`."""

    span: Span
    header: Header
    plugin: str
    plugin_span: Span
    doc: str | None = None


@dataclass(frozen=True, slots=True)
class Import:
    """`import std.attention: X, Y`, `import std.attention`, `import "blocks.net": X`.

    `path` is the dotted name, or the file path as written (`is_file`); `names` is empty for the module form.
    """

    span: Span
    path: str
    path_span: Span
    is_file: bool
    names: "tuple[s.Name, ...]"


@dataclass(frozen=True, slots=True)
class Claim:
    """`claim Net[args]: expr`."""

    span: Span
    network: str
    network_span: Span
    args: "tuple[s.Arg, ...]"
    value: "s.Expr"


@dataclass(frozen=True, slots=True)
class Recipe:
    """`recipe name(inputs) = expr`."""

    span: Span
    name: str
    name_span: Span
    params: tuple[TensorParam, ...]
    value: "s.Expr"
    doc: str | None = None
