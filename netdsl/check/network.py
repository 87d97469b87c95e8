"""From a network's declaration to its graph, in both modes; and the check of blocks that nothing calls."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from itertools import chain
from pathlib import Path

from netdsl import syntax as s
from netdsl.check import statics
from netdsl.check.assembled import assembled
from netdsl.check.blocks import bind_static, check_template
from netdsl.check.body import Body, DimOrigin
from netdsl.check.builder import Builder
from netdsl.check.checker import Checker
from netdsl.check.claim_names import claim_mistakes
from netdsl.check.facts import assume_where
from netdsl.check.headers import check_edge, check_network
from netdsl.check.laws import as_network
from netdsl.check.limits import Limits, Work
from netdsl.check.modules import FileScope, Library
from netdsl.check.names import check_function
from netdsl.check.ranges import range_mistakes, value_ranges
from netdsl.check.report import Mistake, Reporter, Silent, mistake, no_static, size_mistake
from netdsl.check.scope import Scope
from netdsl.check.types import dim_symbol, tensor_type, written_axes
from netdsl.check.values import POISON, BlockRef, CheckValue, DimValue, ListValue, TensorValue, TupleValue
from netdsl.collector import deep_recursion, paused_collection
from netdsl.diagnostics import NetError
from netdsl.dims import DimError, Facts
from netdsl.ir import Decisions, Graph, Value
from netdsl.record import dataclass
from netdsl.source import Source, Span
from netdsl.tensor_type import DTYPES, F32, DType


@dataclass(frozen=True, slots=True, eq=False)
class CheckedNetwork:
    """One network, checked: the graph of each mode (the same object where the mode changes nothing)."""

    decl: s.Block
    eval_graph: Graph
    train_graph: Graph
    statics: tuple[tuple[str, CheckValue], ...]


@dataclass(eq=False)
class Session:
    """The check of one file: its declarations, and checkers that share parsed files and diagnostics."""

    source: Source
    path: Path | None
    root: Path | None
    default_float: DType = F32
    limits: Limits | None = None
    #: Layers of edges tap the value of each function, as `pairs`.
    with_pairs: bool = False

    def __post_init__(self) -> None:
        self.reporter = Reporter()
        self.work = Work()
        self._used: set[int] = set()
        self.library = Library(self.reporter, self.root)
        self.file: FileScope = self.library.load(self.source, self.path)

    def checker(self, *, training: bool) -> Checker:
        checker = Checker(self.reporter, self.library, training, self.default_float, self.limits or Limits())
        checker.work, checker.with_pairs = self.work, self.with_pairs
        return checker

    @property
    def networks(self) -> dict[str, s.Block]:
        return {n: d for n, d in self.file.own.items() if isinstance(d, s.Block) and d.kind == "network"}

    @cached_property
    def subjects(self) -> dict[str, s.Block]:
        """What claims can be about: the networks, and monoids that a claim names, as networks of two elements."""
        named = {item.network for item in self.file.module.items if isinstance(item, s.Claim)}
        blocks = [d for n, d in self.file.own.items() if n in named and isinstance(d, s.Block) and d.kind == "monoid"]
        return self.networks | {d.header.name: as_network(d) for d in blocks if id(d) not in self.file.damaged}

    def raise_if_wrong(self) -> None:
        if self.reporter.diagnostics:
            raise NetError(self.reporter.diagnostics)

    @deep_recursion()
    @paused_collection()
    def network(
        self,
        name: str,
        values: Mapping[str, CheckValue] | None = None,
        decisions: Decisions | None = None,
    ) -> CheckedNetwork:
        """Check one network in both modes.

        Args:
            values:    statics by name, from `--set`.
            decisions: options of open choices by path, one for all or one for each output.
        Raises: NetError: everything that is wrong.
        """
        self.work = Work()
        self.reporter.begin()
        return self._checked(name, values or {}, decisions or {})

    def _checked(self, name: str, values: Mapping[str, CheckValue], decisions: Decisions) -> CheckedNetwork:
        decl = self.subjects[name]
        if id(decl) in self.file.damaged:
            raise NetError(self.reporter.diagnostics)
        before = len(self.reporter.diagnostics)
        evaluation = self.checker(training=False)
        checked = _network(evaluation, self.file, decl, values, decisions)
        self._used |= evaluation.used_blocks
        if checked is None or len(self.reporter.diagnostics) > before:
            raise NetError(self.reporter.diagnostics[before:] or self.reporter.diagnostics)
        graph, bound, depends = checked
        train_graph = graph
        if depends:
            training = self.checker(training=True)
            again = _network(training, self.file, decl, values, decisions)
            if again is None or len(self.reporter.diagnostics) > before:
                raise NetError(self.reporter.diagnostics[before:])
            train_graph = again[0]
            _check_modes(graph, train_graph, decl, self.reporter)
            if len(self.reporter.diagnostics) > before:
                raise NetError(self.reporter.diagnostics[before:])
        return CheckedNetwork(decl, graph, train_graph, bound)

    @deep_recursion()
    @paused_collection()
    def check_all(self, values: Mapping[str, CheckValue] | None = None) -> dict[str, CheckedNetwork]:
        """Check every network and every block that none of them uses; diagnostics stay in the reporter."""
        values = values or {}
        checked: dict[str, CheckedNetwork] = {}
        for name, decl in self.networks.items():
            if id(decl) in self.file.damaged:
                continue
            known = {p.name for p in decl.header.statics}
            with suppress(NetError):
                checked[name] = self._checked(name, {k: v for k, v in values.items() if k in known}, {})
        unnamed = self.checker(training=False)
        unnamed.used_blocks |= self._used
        sound = [own for own in self.file.own.values() if id(own) not in self.file.damaged]
        for own in sound:
            if isinstance(own, s.Const) and own.params is None:
                statics.constant_of(unnamed, self.file, own)
            elif isinstance(own, s.Const):
                check_function(statics.static_body(unnamed, self.file, {}, own.span), own)
        for own in reversed(sound):  # a block is mostly used by what stands below it
            if isinstance(own, s.Block) and own.kind != "network" and id(own) not in unnamed.used_blocks:
                check_generic(unnamed, self.file, own)
        for error in chain(range_mistakes(self.file), claim_mistakes(self.file)):
            if self.reporter.is_full:
                break
            self.reporter.add(error.diagnostic)
        self.reporter.sort(self.source)
        return checked


def _network(
    checker: Checker,
    file: FileScope,
    decl: s.Block,
    values: Mapping[str, CheckValue],
    decisions: Decisions,
) -> tuple[Graph, tuple[tuple[str, CheckValue], ...], bool] | None:
    checker.network = decl
    header = decl.header
    checker.default_float = own_float(header, checker.default_float)
    checker.memo = checker.work.memos.setdefault((checker.training, checker.default_float), {})
    body = Body(checker, Builder(Facts.EMPTY, header.name, header.span), Scope(), file, header)
    body.decisions = dict(decisions)
    ref = BlockRef(decl, file)
    before = len(checker.reporter.diagnostics)
    with checker.reporter.inside(header.name, header.name_span):
        try:
            _check_header_names(header)
            bound = _bind_statics(body, decl, values)
            ref = replace(ref, statics=bound)
            tensors = free_inputs(body, header)
            body.builder.facts = assume_where(body, header)
            check_network(body, header, tensors)
            template = check_template(ref, body, tensors, {})
            if len(checker.reporter.diagnostics) > before:
                return None
            checker.limits.check_params([p.type for p in template.params], header.name_span)
            checker.work.nodes += 0 if checker.training else template.size
            checker.limits.check_nodes(checker.work.nodes, header.name_span)
            graph = assembled(template, body, header, tensors, value_ranges(body, header))
            return graph, bound, template.depends_on_mode
        except Mistake as error:
            checker.reporter.add(error.diagnostic)
        except DimError as error:
            checker.reporter.add(size_mistake(error, header.span).diagnostic)
        except Silent:
            pass
    return None


def _bind_statics(body: Body, decl: s.Block, values: Mapping[str, CheckValue]) -> tuple[tuple[str, CheckValue], ...]:
    header = decl.header
    bound: list[tuple[str, CheckValue]] = []
    for name in values:
        if name not in (known := [p.name for p in header.statics]):
            raise no_static(header.name, name, known, header.name_span)
    for param in header.statics:
        if param.name in values:
            given = values[param.name]
            body.checker.weigh(given, param.span)
            if not _fits(given):
                raise mistake("E0321", f"`{param.name}` is given a number that does not fit in 64 bits", param.span)
            value = statics.convert(body, given, param.type, param.span, f"`{param.name}`")
        elif param.default is not None:
            value = statics.convert(
                body, body.evaluate(param.default), param.type, param.default.span, f"`{param.name}`"
            )
        else:
            raise mistake(
                "E0334",
                f"`{header.name}` needs `{param.name}`",
                param.span,
                "declared here, without a default",
                help=f"give it: `--set {param.name}=..`",
            )
        bind_static(body, param, value)
        bound.append((param.name, value))
    return tuple(bound)


def _fits(value: CheckValue) -> bool:
    if isinstance(value, (ListValue, TupleValue)):
        return all(map(_fits, value.items))
    return not isinstance(value, int) or abs(value) < 2**63


def free_inputs(body: Body, header: s.Header) -> dict[str, TensorValue]:
    """Inputs of a network, or of a generic check: names met first are free dimensions (rule R2)."""
    for param in header.params:
        for e in _size_names(param.type):
            if e.id == "_" and not body.generic:
                raise mistake("E0303", "`_` stands for an axis of a called block, and a network names its own", e.span)
            if body.scope.find(e.id) is None and body.checker.is_capital(e.id):
                value = dim_symbol(e.id)
                body.scope.bind(e.id, value, "dim", e.span)
                body.dims[e.id] = DimOrigin(value, e.span, None)
    tensors: dict[str, TensorValue] = {}
    for param in header.params:
        try:
            declared = tensor_type(body, param.type)
            tensors[param.name] = TensorValue(Value(declared.without_names(), param.name), declared)
        except Mistake as error:
            body.checker.reporter.add(error.diagnostic)
    if len(tensors) < len(header.params):
        raise Silent
    return tensors


def _check_header_names(header: s.Header) -> None:
    """Raises: Mistake E0311: two statics or inputs have one name."""
    first: dict[str, Span] = {}
    params: list[s.StaticParam | s.TensorParam] = [*header.statics, *header.params]
    for param in params:
        name = param.name.partition(".")[0]
        if first.setdefault(name, param.span) != param.span:
            others = ((first[name], "first declaration"),)
            raise mistake("E0311", f"`{name}` is declared twice", param.span, "second declaration", others=others)


def own_float(header: s.Header, default: DType) -> DType:
    """What `float` means where no argument says it: the one float type that a network's header names (rule R17)."""
    pending: list[s.TypeExpr] = [*(p.type for p in header.params), header.result]
    named: set[str] = set()
    while pending:
        written = pending.pop()
        if isinstance(written, s.TupleType):
            pending += [f.type for f in written.fields]
        else:
            named.add(written.name)
    found = {DTYPES[name] for name in named if name in DTYPES and DTYPES[name].is_float}
    return found.pop() if len(found) == 1 and "float" not in named else default


def _size_names(written: s.TypeExpr) -> Iterator[s.Name]:
    """Names that stand for sizes: those in brackets (`numel[Linear[H]]`) stand for something else."""
    pending = written_axes(written)[::-1]
    while pending:
        e = pending.pop()
        if isinstance(e, s.Name):
            yield e
        elif isinstance(e, s.Binary):
            pending += [e.right, e.left]
        elif isinstance(e, s.Paren):
            pending.append(e.inner)


def _check_modes(evaluation: Graph, training: Graph, decl: s.Block, reporter: Reporter) -> None:
    """Both modes have the same outputs and parameters (rule R16)."""
    for (name, a), (_, b) in zip(evaluation.outputs, training.outputs, strict=True):
        if a.type.without_names() != b.type.without_names():
            reporter.add(
                mistake(
                    "E0363", f"`{name}` is {a.type} in evaluation and {b.type} in training", decl.header.name_span
                ).diagnostic
            )
    first = {p.path: p for p in evaluation.params}
    second = {p.path: p for p in training.params}
    for path in sorted(first.keys() ^ second.keys()):
        mode = "training" if path in second else "evaluation"
        made = (first.get(path) or second[path]).span
        reporter.add(
            mistake(
                "E0363",
                f"the parameter `{path}` exists in {mode} only",
                decl.header.name_span,
                others=((made, "declared here"),),
                help="declare it before the `if training`",
            ).diagnostic
        )


def check_generic(checker: Checker, file: FileScope, decl: s.Block) -> None:
    """Check a block that nothing calls, with rigid symbols; only what is wrong for every size is reported (rule R8)."""
    checker.network = None
    header = decl.header
    body = Body(checker, Builder(Facts.EMPTY, header.name, header.span), Scope(), file, header, generic=True)
    body.is_edge, body.is_monoid = decl.kind == "edge", decl.kind == "monoid"
    with checker.reporter.inside(header.name, header.name_span):
        try:
            _check_header_names(header)
            if body.is_edge:
                check_edge(decl)
            _check_rigid(body, file, decl)
        except Mistake as error:
            checker.reporter.add(error.diagnostic)
        except DimError as error:
            checker.reporter.add(size_mistake(error, header.span).diagnostic)
        except Silent:
            pass


def _check_rigid(body: Body, file: FileScope, decl: s.Block) -> None:
    header = decl.header
    for param in header.statics:
        value: CheckValue = POISON
        kind = param.type.name if isinstance(param.type, s.NamedType) else ""
        if param.default is not None:
            value = statics.convert(
                body, body.evaluate(param.default), param.type, param.default.span, f"`{param.name}`"
            )
        elif kind in ("int", "dim"):
            value = DimValue(dim_symbol(param.name).dim, param.name)
        elif kind not in statics.STATIC_TYPES:
            statics.convert(body, 0, param.type, param.span, f"`{param.name}`")
        bind_static(body, param, value)
    leading = [p for p in header.params if isinstance(p.type, s.NamedType)]
    if any(isinstance(e, s.Dots) for p in leading for e in written_axes(p.type)):
        body.leading = ()
    tensors = free_inputs(body, header)
    body.builder.facts = assume_where(body, header)
    check_template(BlockRef(decl, file), body, tensors, {})
