"""Files and what they declare: imports, the prelude, the standard library (rule R20)."""

import hashlib
import json
import os
import pkgutil
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import field, replace
from pathlib import Path

from netdsl import syntax as s
from netdsl.check.report import Reporter
from netdsl.check.struct_types import flat_header
from netdsl.check.values import CheckValue
from netdsl.diagnostics import Diagnostic, Label
from netdsl.did_you_mean import suggest
from netdsl.parser import parse_partial
from netdsl.reading import open_regular
from netdsl.record import dataclass
from netdsl.source import Source, Span
from netdsl.tree_json import load_module

#: Modules of the standard library whose public names are visible without an import.
PRELUDE = ("layers", "convolution", "normalisation", "recurrent", "functions")
STD_MODULES = (
    *PRELUDE,
    "aggregators",
    "attention",
    "edges",
    "graph",
    "hyper",
    "hypergraph",
    "memory",
    "monoids",
    "pointer",
)
MAX_FILES = 1_000
MAX_IMPORT_DEPTH = 32
MAX_FILE_BYTES = 4 * 2**20
#: In all imported files together.
MAX_WORDS = 200_000

Declaration = s.Block | s.Extern | s.Const | s.Recipe


@dataclass(eq=False)
class FileScope:
    """One file: its own names, then its imports, then the prelude."""

    name: str
    source: Source
    module: s.Module
    is_std: bool
    own: dict[str, Declaration] = field(default_factory=dict)
    imported: "dict[str, tuple[FileScope, str]]" = field(default_factory=dict)
    modules: "dict[str, FileScope]" = field(default_factory=dict)
    constants: dict[str, CheckValue] = field(default_factory=dict)
    #: Constants whose value is being computed.
    pending: set[str] = field(default_factory=set)
    #: Declarations that hold a syntax error, by identity: they are known, and not checked.
    damaged: set[int] = field(default_factory=set)
    #: The words of declarations that could not be read at all, and may have declared any of them.
    lost: set[str] = field(default_factory=set)

    def knows(self, name: str) -> bool:
        return name in self.own or name in self.imported or name in self.lost

    def find(self, name: str) -> "tuple[FileScope, Declaration] | None":
        if name in self.own:
            return self, self.own[name]
        if name in self.imported:
            scope, original = self.imported[name]
            return scope, scope.own[original]
        return None

    def public_names(self) -> list[str]:
        return [n for n in self.own if not n.startswith("_")]


class Library:
    """Loads files once each. Import roots: the project folder of the first file, and the standard library."""

    def __init__(self, reporter: Reporter, root: Path | None) -> None:
        self.reporter = reporter
        self.root = root
        self._files: dict[tuple[int, int], FileScope] = {}
        self._std: dict[str, FileScope] = {}
        self._loading: list[str] = []
        self._prelude: dict[str, str] | None = None
        #: Words and signs of the imported files.
        self._words = 0

    # --- the standard library ---

    def std(self, name: str) -> FileScope | None:
        """The module `std.NAME`, from its shipped tree where that is up to date."""
        if name not in STD_MODULES:
            return None
        if name not in self._std:
            text = _shipped(f"{name}.net")
            source = Source(f"std/{name}.net", text)
            snapshot = _snapshot(name, text)
            module = load_module(snapshot, source) if snapshot is not None else _parse_std(source)
            scope = FileScope(f"std.{name}", source, module, True)
            self._std[name] = scope
            self.reporter.shipped.add(id(source))
            self._declare(scope)
        return self._std[name]

    def prelude(self, name: str) -> tuple[FileScope, Declaration] | None:
        """A name of the prelude; loads only the module that holds it."""
        if self._prelude is None:
            self._prelude = prelude_index()
        module = self._prelude.get(name)
        scope = self.std(module) if module else None
        return scope.find(name) if scope is not None else None

    def prelude_names(self) -> list[str]:
        if self._prelude is None:
            self._prelude = prelude_index()
        return list(self._prelude)

    # --- files ---

    def load(self, source: Source, path: Path | None) -> FileScope:
        """Parse and declare a file; its diagnostics go to the reporter."""
        module, diagnostics = parse_partial(source)
        for diagnostic in diagnostics:
            self.reporter.add(diagnostic)
        scope = FileScope(source.path, source, module, False)
        _note_damage(scope, diagnostics)
        if path is not None:
            self._loading.append(str(path))
        try:
            self._declare(scope, path)
        finally:
            if path is not None:
                self._loading.pop()
        return scope

    def _declare(self, scope: FileScope, path: Path | None = None) -> None:
        for item in scope.module.items:
            match item:
                case s.Import():
                    if item.is_file:
                        self._import_file(scope, item, path)
                    else:
                        self._import_std(scope, item)
                case s.Block() | s.Extern():
                    self._own(scope, item.header.name, item, item.header.name_span)
                case s.Const() | s.Recipe():
                    self._own(scope, item.name, item, item.name_span)
                case _:
                    pass

    def _own(self, scope: FileScope, name: str, item: Declaration, span: Span) -> None:
        if name in scope.own:
            first = scope.own[name]
            where = first.header.name_span if isinstance(first, (s.Block, s.Extern)) else first.name_span
            self.reporter.add(
                Diagnostic(
                    "E0311",
                    f"`{name}` is declared twice",
                    Label(span, "second declaration"),
                    (Label(where, "first declaration"),),
                )
            )
            return
        if isinstance(item, (s.Block, s.Extern)):
            flat = flat_header(item.header)
            if flat is not item.header:
                is_damaged = id(item) in scope.damaged
                item = replace(item, header=flat)
                scope.damaged |= {id(item)} if is_damaged else set()
        scope.own[name] = item

    def _import_std(self, scope: FileScope, item: s.Import) -> None:
        parts = item.path.split(".")
        target = self.std(parts[1]) if len(parts) == 2 and parts[0] == "std" else None
        if target is None:
            near = suggest(item.path, [f"std.{m}" for m in STD_MODULES])
            self.reporter.add(
                Diagnostic(
                    "E0312",
                    f"there is no module `{item.path}`",
                    Label(item.path_span),
                    help=f"did you mean `{near}`?"
                    if near
                    else 'a file is imported by its path: `import "name.net": Block`',
                )
            )
            scope.lost.update(name.id for name in item.names)
            return
        self._bind(scope, item, target, parts[-1])

    def _bind(self, scope: FileScope, item: s.Import, target: FileScope, module_name: str) -> None:
        if not item.names:
            scope.modules[module_name] = target
        for name in item.names:
            if name.id in target.lost:
                scope.lost.add(name.id)
                continue
            if name.id not in target.own or name.id.startswith("_"):
                near = suggest(name.id, target.public_names())
                private = name.id in target.own
                self.reporter.add(
                    Diagnostic(
                        "E0313",
                        f"`{item.path}` has no {'public ' if private else ''}name `{name.id}`",
                        Label(name.span),
                        help=f"did you mean `{near}`?" if near and not private else None,
                    )
                )
                scope.lost.update((name.id, near or name.id))
                continue
            scope.imported[name.id] = (target, name.id)

    def _import_file(self, scope: FileScope, item: s.Import, importer: Path | None) -> None:
        def refuse(code: str, title: str, help: str | None = None) -> None:
            self.reporter.add(Diagnostic(code, title, Label(item.path_span), help=help))
            scope.lost.update(name.id for name in item.names or ())

        text = item.path
        if "://" in text or text.startswith(("hf:", "git:")):
            return refuse("E0315", f"imports name files, not addresses: `{text}`")
        if any(c in text for c in "\\%~\0:") or text.startswith("/") or not text.endswith(".net"):
            return refuse(
                "E0314", f'"{text}" is not a relative path of a `.net` file', 'write it like "blocks/mine.net"'
            )
        if importer is None or self.root is None:
            return refuse("E0314", "text without a file cannot import files", "load the network from a file")
        path = Path(os.path.normpath(importer.parent / text))
        resolved = Path(os.path.realpath(path))
        if not path.is_relative_to(self.root) or not resolved.is_relative_to(self.root):
            return refuse("E0314", f'"{text}" lies outside the project folder')
        if len(self._files) >= MAX_FILES or len(self._loading) >= MAX_IMPORT_DEPTH:
            return refuse("E0524", f"imports go past the limits: {MAX_FILES} files, {MAX_IMPORT_DEPTH} deep")
        if str(resolved) in self._loading:
            chain = " -> ".join(Path(p).name for p in [*self._loading, str(resolved)])
            return refuse("E0316", f"imports form a cycle: {chain}")
        opened = read_text(resolved)
        if isinstance(opened, str):
            return refuse("E0317", f'"{text}" cannot be read: {opened}')
        content, identity = opened
        target = self._files.get(identity)
        if target is None:
            self._words += len(_WORD_OR_SIGN.findall(content))
            if self._words > MAX_WORDS:
                return refuse("E0524", f"the imported files have more than {MAX_WORDS:,} words and signs together")
            shown = (
                os.path.relpath(resolved, self.root)
                if scope.source.path.startswith("<")
                else str(Path(scope.source.path).parent / text)
            )
            target = self.load(Source(os.path.normpath(shown), content), resolved)
            self._files[identity] = target
        self._bind(scope, item, target, Path(text).stem)


def _note_damage(scope: FileScope, diagnostics: Sequence[Diagnostic]) -> None:
    """Say which declarations of a file are not to be trusted after its syntax errors."""
    text = scope.source.text
    items = scope.module.items
    starts = [item.span.start for item in items]
    for diagnostic in diagnostics:
        if diagnostic.primary is None:
            continue
        place = diagnostic.primary.span.start
        at = bisect_right(starts, place) - 1
        if at >= 0 and place <= items[at].span.end:
            scope.damaged.add(id(items[at]))
        end = starts[at + 1] if at + 1 < len(items) else len(text)
        scope.lost.update(_WORD.findall(text, items[at].span.end if at >= 0 else 0, end))


_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORD_OR_SIGN = re.compile(r"\w+|[^\w\s]")


def read_text(path: Path) -> tuple[str, tuple[int, int]] | str:
    """A regular file's text and identity, read from one descriptor that follows no link; or why not."""
    try:
        with open_regular(path, follows_links=False) as stream:
            info = os.fstat(stream.fileno())
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        return (error.strerror or str(error)).lower()
    if len(data) > MAX_FILE_BYTES:
        return f"it is larger than {MAX_FILE_BYTES} bytes"
    try:
        return data.decode("utf-8"), (info.st_dev, info.st_ino)
    except UnicodeDecodeError as error:
        return f"it is not UTF-8 (byte {error.start})"


def project_root(path: Path) -> Path:
    """The nearest folder above `path` that marks a project, else the file's own folder."""
    folder = Path(os.path.realpath(path)).parent
    for candidate in (folder, *folder.parents):
        if any((candidate / mark).exists() for mark in ("netdsl.toml", "pyproject.toml", ".git")):
            return candidate
    return folder


def _shipped(name: str) -> str:
    """The text of a file of the standard library. `importlib.resources` would load many modules for that.

    Raises: FileNotFoundError.
    """
    data = pkgutil.get_data("netdsl.std", name)
    assert data is not None, "the loader of the package reads no files"
    return data.decode("utf-8")


def _snapshot(name: str, text: str) -> object | None:
    try:
        stored = json.loads(_shipped(f"snapshot/{name}.json"))
    except (FileNotFoundError, ValueError):
        return None
    return stored["tree"] if stored["sha256"] == hashlib.sha256(text.encode()).hexdigest() else None


def _parse_std(source: Source) -> s.Module:
    module, diagnostics = parse_partial(source)
    assert not diagnostics, f"{source.path}: {diagnostics[0]}"
    return module


def prelude_index() -> dict[str, str]:
    """Public name -> module, for every module of the prelude, as shipped."""
    try:
        index: dict[str, str] = json.loads(_shipped("snapshot/index.json"))
    except FileNotFoundError:
        index = build_prelude_index()
    return index


def build_prelude_index() -> dict[str, str]:
    """The prelude's index from the sources of the standard library."""
    index: dict[str, str] = {}
    for name in PRELUDE:
        source = Source(f"std/{name}.net", _shipped(f"{name}.net"))
        for item in _parse_std(source).items:
            public = item.header.name if isinstance(item, s.Block) else item.name if isinstance(item, s.Const) else "_"
            if not public.startswith("_"):
                assert public not in index, f"`{public}` stands in two modules of the prelude"
                index[public] = name
    return index
