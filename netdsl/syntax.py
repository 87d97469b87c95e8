"""The syntax tree: what a `.net` text says, before any name is looked up."""

from typing import Literal as OneOf
from typing import Union

from netdsl.declarations import Block as Block
from netdsl.declarations import Claim as Claim
from netdsl.declarations import Extern as Extern
from netdsl.declarations import Fact as Fact
from netdsl.declarations import Header as Header
from netdsl.declarations import Import as Import
from netdsl.declarations import Recipe as Recipe
from netdsl.declarations import StaticParam as StaticParam
from netdsl.declarations import TensorParam as TensorParam
from netdsl.record import dataclass
from netdsl.source import Source, Span

# --- expressions ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Name:
    span: Span
    id: str


@dataclass(frozen=True, slots=True)
class Literal:
    """`1` int, `1.0` float, `true` bool, `"s"` str, `none` None; the Python type tells which.

    `text` is the spelling (`5_717_416`), kept for printing.
    """

    span: Span
    value: int | float | bool | str | None
    text: str


@dataclass(frozen=True, slots=True)
class Paren:
    """`(inner)`: kept, because `(a + b) |> f` and `a + b |> f` differ."""

    span: Span
    inner: "Expr"


@dataclass(frozen=True, slots=True)
class Arg:
    """One argument: positional, `name=value`, or `**value` (`splat`)."""

    span: Span
    name: str | None
    value: "Expr"
    splat: bool = False


@dataclass(frozen=True, slots=True)
class TupleExpr:
    """`(a, b)` or `(h=a, c=b)`."""

    span: Span
    items: tuple[Arg, ...]


@dataclass(frozen=True, slots=True)
class ListExpr:
    span: Span
    items: tuple["Expr", ...]


@dataclass(frozen=True, slots=True)
class Unary:
    """`-x`, `~x`."""

    span: Span
    op: OneOf["-", "~"]
    operand: "Expr"


@dataclass(frozen=True, slots=True)
class Binary:
    """Arithmetic `+ - * / // % @ **`, logic `& |`, comparison `== != < <= > >=` (they do not chain)."""

    span: Span
    op: str
    left: "Expr"
    right: "Expr"
    op_span: Span


@dataclass(frozen=True, slots=True)
class Call:
    """`f(args)`: tensors flow in."""

    span: Span
    func: "Expr"
    args: tuple[Arg, ...]


@dataclass(frozen=True, slots=True)
class Index:
    """`f[args]`: static application when `base` is a block or an op, indexing otherwise."""

    span: Span
    base: "Expr"
    args: tuple[Arg, ...]


@dataclass(frozen=True, slots=True)
class Attribute:
    span: Span
    base: "Expr"
    name: str
    name_span: Span


@dataclass(frozen=True, slots=True)
class Pipe:
    """`left |> right`."""

    span: Span
    left: "Expr"
    right: "Expr"


@dataclass(frozen=True, slots=True)
class Labelled:
    """`operand as name`: names the call's parameters and makes its value a tap."""

    span: Span
    operand: "Expr"
    name: str
    name_span: Span


@dataclass(frozen=True, slots=True)
class Slice:
    """`start:stop:step` inside an index."""

    span: Span
    start: Union["Expr", None]
    stop: Union["Expr", None]
    step: Union["Expr", None]


@dataclass(frozen=True, slots=True)
class Range:
    """`start..stop`, stop excluded in loops, included in `where` and claims."""

    span: Span
    start: "Expr"
    stop: "Expr"


@dataclass(frozen=True, slots=True)
class Dots:
    """`..`: any number of leading dimensions."""

    span: Span


@dataclass(frozen=True, slots=True)
class IfExpr:
    """`if cond { a } else { b }` as a value or as a statement; both sides are bodies."""

    span: Span
    condition: "Expr"
    then: "Body"
    otherwise: Union["Body", None]


@dataclass(frozen=True, slots=True)
class Loop:
    """`scan CELL over SEQ from CARRIES`, `scan SEQ from CARRIES {body}`, `decode`, `fixed_point`.

    `over` is the sequence (or the count), with its options still in its index: `x[axis=1, length=n]`.
    """

    span: Span
    kind: OneOf["scan", "decode", "fixed_point"]
    cell: Union["Expr", None]
    over: "Expr"
    start: "Expr"
    until: Union["Expr", None]
    given: Union["Expr", None]
    body: Union["Body", None]


Atom = Name | Literal | Paren | TupleExpr | ListExpr | Range | Slice | Dots
Operation = Unary | Binary | Call | Index | Attribute | Pipe | Labelled
Expr = Atom | Operation | IfExpr | Loop

# --- types ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NamedType:
    """`f32[B, N]`, `idx[N][B]`, `params[T][B]`, `int`, `block`: a name and its bracket groups, in order."""

    span: Span
    name: str
    groups: tuple[tuple[Expr, ...], ...]


@dataclass(frozen=True, slots=True)
class Field:
    span: Span
    name: str | None
    type: "TypeExpr"


@dataclass(frozen=True, slots=True)
class TupleType:
    """`(a: T, b: U)`."""

    span: Span
    fields: tuple[Field, ...]


TypeExpr = NamedType | TupleType

# --- statements ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Target:
    span: Span
    name: str
    type: TypeExpr | None


@dataclass(frozen=True, slots=True)
class Assign:
    span: Span
    targets: tuple[Target, ...]
    value: Expr


@dataclass(frozen=True, slots=True)
class ParamDecl:
    """`param name: type per out ~ init`; `state` in place of `param` declares running statistics."""

    span: Span
    kind: OneOf["param", "state"]
    name: str
    name_span: Span
    type: TypeExpr
    per: str | None
    init: Expr | None


@dataclass(frozen=True, slots=True)
class Update:
    """`update s = e`: the state's value for the next call, in training only."""

    span: Span
    name: str
    name_span: Span
    value: Expr


@dataclass(frozen=True, slots=True)
class Const:
    """`const NAME = e`, or `const f(a: int): int = e` (`params` is None for a table)."""

    span: Span
    name: str
    name_span: Span
    params: tuple["StaticParam", ...] | None
    type: TypeExpr | None
    value: Expr
    doc: str | None = None


@dataclass(frozen=True, slots=True)
class Let:
    span: Span
    name: str
    name_span: Span
    value: Expr


@dataclass(frozen=True, slots=True)
class Repeat:
    span: Span
    count: Expr
    label: str | None
    body: "Body"


@dataclass(frozen=True, slots=True)
class LoopTarget:
    """`i`, or the nested tuple `(a, b)` (then `name` is None)."""

    span: Span
    name: str | None
    items: tuple["LoopTarget", ...] = ()


@dataclass(frozen=True, slots=True)
class For:
    """`for a, b in iterable as label {..}`, unrolled; `target` holds several targets as one tuple."""

    span: Span
    target: LoopTarget
    iterable: Expr
    label: str | None
    body: "Body"


@dataclass(frozen=True, slots=True)
class Yield:
    span: Span
    values: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Identity:
    """`identity: e` of a monoid."""

    span: Span
    value: Expr


@dataclass(frozen=True, slots=True)
class ExprStatement:
    span: Span
    value: Expr


Statement = Assign | ParamDecl | Update | Const | Let | Repeat | For | Yield | Identity | ExprStatement


@dataclass(frozen=True, slots=True)
class Body:
    """`{ statements }`; an `if` statement is an `ExprStatement` of an `IfExpr`."""

    span: Span
    statements: tuple[Statement, ...]


# --- declarations --------------------------------------------------------------------------------

Item = Import | Extern | Block | Const | Claim | Recipe


@dataclass(frozen=True, slots=True)
class Module:
    """One parsed file. `doc` is the leading `##` comment that belongs to no item."""

    span: Span
    source: Source
    items: tuple[Item, ...]
    doc: str | None = None
