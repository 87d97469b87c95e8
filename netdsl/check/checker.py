"""The session of one check: files, memoised bodies, mode, and name look-up."""

from collections.abc import Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

from netdsl import syntax as s
from netdsl.check.builder import Template
from netdsl.check.library import BUILTINS
from netdsl.check.limits import Limits, Work
from netdsl.check.modules import PRELUDE, STD_MODULES, FileScope, Library
from netdsl.check.report import Mistake, Reporter, Silent, mistake
from netdsl.check.statics import constant_of
from netdsl.check.values import POISON, BlockRef, CheckValue, ConstFunction
from netdsl.did_you_mean import suggest
from netdsl.record import dataclass
from netdsl.source import Span
from netdsl.tensor_type import DTYPES, F32, DType

if TYPE_CHECKING:
    from netdsl.check.body import Body

#: Items of a list that are copied while one expression is evaluated.
ITEMS_A_STEP = 2


@dataclass(eq=False)
class Checker:
    """Checks bodies in one mode. `memo` maps (block, statics, input types, facts) to templates (rule R8)."""

    reporter: Reporter
    library: Library
    training: bool = False
    default_float: DType = F32
    limits: Limits = field(default_factory=Limits)
    memo: dict[Any, Template | None] = field(default_factory=dict)
    #: Results of constant functions.
    applied: dict[Any, CheckValue] = field(default_factory=dict)
    #: Code that is not run and whose names were looked up, by identity.
    looked_up: set[int] = field(default_factory=set)
    depth: int = 0
    level: int = 0
    work: Work = field(default_factory=Work)
    turns: int = 1
    used_blocks: set[int] = field(default_factory=set)
    #: How many questions for a block's parameters, without a call, are open.
    probing: int = 0
    #: Layers of edges tap the value of each function.
    with_pairs: bool = False
    #: The network being checked, for messages about its free dimensions.
    network: s.Block | None = None

    @staticmethod
    def is_capital(name: str) -> bool:
        """Whether a name can be a dimension: its first letter is a capital."""
        return name.lstrip("_")[:1].isupper()

    def enter(self, span: Span) -> None:
        """Count a step, and a level that ends with `level -= 1`.

        Raises: Mistake E0526: too many levels; E0528: too many steps.
        """
        if self.reporter.is_spent:
            raise Silent
        self.level += 1
        self.work.steps += 1
        if self.level > self.limits.levels:
            self.level -= 1
            raise mistake("E0526", f"expressions and calls nest more than {self.limits.levels:,} deep", span)
        if self.work.steps > self.limits.steps:
            self.level -= 1
            raise mistake("E0528", f"checking this file takes more than {self.limits.steps:,} steps", span)

    def weigh(self, value: CheckValue, span: Span) -> None:
        """Count the items of a list that is made, or compared, as steps.

        Raises: Mistake E0527: they are too many, or nest too deeply.
        """
        self.work.steps += self.limits.count_items(value, span) // ITEMS_A_STEP

    def look_up(self, body: "Body", name: str, span: Span) -> CheckValue:
        """What `name` stands for: the body's scope, the file, its imports, the prelude, the primitives (rule R20).

        Raises: Mistake E0300.
        """
        found = body.scope.find(name)
        if found is not None:
            if found.kind == "one_side":
                raise mistake(
                    "E0306",
                    f"`{name}` is defined on one side of an `if` only",
                    span,
                    others=((found.span, "defined here"),),
                    help="define it on both sides, or before the `if`",
                )
            return found.value
        word = self.word(body.vocabulary, name) if body.vocabulary and not body.file.knows(name) else None
        if word is not None:
            return word
        try:
            return self.global_name(body.file, name, span, body.scope.visible())
        except Mistake as error:
            if error.diagnostic.help is None and any(label == name for _, label in body.builder.used_names):
                help = f"`{name}` is a label, which names parameters; a value gets its name by `{name} = ..`"
                raise Mistake(replace(error.diagnostic, help=help)) from None
            raise

    def word(self, vocabulary: str, name: str) -> BlockRef | None:
        """A block that the module `vocabulary` of the standard library lends to some brackets."""
        module = self.library.std(vocabulary)
        item = module.own.get(name) if module is not None and not name.startswith("_") else None
        return BlockRef(item, module) if module is not None and isinstance(item, s.Block) else None

    def global_name(self, file: FileScope, name: str, span: Span, locals: Sequence[str] = ()) -> CheckValue:
        """A name outside any body. Raises: Mistake E0300, with a suggestion out of `locals` too."""
        declared = file.find(name) or self.library.prelude(name)
        if declared is not None:
            scope, item = declared
            if id(item) in scope.damaged:
                return POISON
            if isinstance(item, s.Const):
                return ConstFunction(item, scope) if item.params is not None else constant_of(self, scope, item)
            if isinstance(item, s.Recipe):
                raise mistake("E0307", f"`{name}` is a recipe, not a value", span)
            return BlockRef(item, scope)
        if name in BUILTINS:
            return BUILTINS[name]
        if name in DTYPES:
            return DTYPES[name]
        if name in file.lost:
            return POISON
        if self.reporter.is_full:
            raise _unknown(name, span, ())
        is_small = len(file.own) + len(file.imported) <= MOST_CANDIDATES
        of_file = [*file.own, *file.imported, *file.modules] if is_small else []
        native = [*self.library.prelude_names(), *BUILTINS, *DTYPES, "training"]
        for module in STD_MODULES:
            if module not in PRELUDE and name in (self.library.std(module) or file).public_names():
                raise mistake(
                    "E0300", f"nothing is named `{name}` here", span, help=f"add `import std.{module}: {name}`"
                )
        raise _unknown(name, span, ([*locals], of_file, native))

    def unknown_name(self, body: "Body", expr: s.Name) -> Mistake:
        try:
            self.global_name(body.file, expr.id, expr.span)
        except Mistake as error:
            return error
        return mistake("E0303", f"`{expr.id}` is not a size", expr.span)


def _unknown(name: str, span: Span, groups: Sequence[list[str]]) -> Mistake:
    """Of names equally near, the one of the first group is meant."""
    near = suggest(name, [candidate for group in groups for candidate in group])
    for group in groups:
        near = near or suggest(name, group)
    return mistake("E0300", f"nothing is named `{name}` here", span, help=f"did you mean `{near}`?" if near else None)


#: In a file of more names than this, none of them is suggested: comparing them all takes too long.
MOST_CANDIDATES = 2_000
