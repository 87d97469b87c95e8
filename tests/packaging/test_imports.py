"""Who may import whom: `house.md` draws it, this file enforces it. Imports inside functions count."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
FOLDERS = {"netdsl.grammar": "grammar", "netdsl.passes": "passes", "netdsl.backends": "backends", "netdsl": "netdsl"}
RUNTIMES = {"torch", "onnx", "onnxruntime"}
BARE = {"grammar", "passes", "backends"}

PARSER = {
    "netdsl.brackets",
    "netdsl.doc_comments",
    "netdsl.foreign_words",
    "netdsl.grammar",
    "netdsl.lalr",
    "netdsl.parser",
    "netdsl.recovery",
    "netdsl.syntax_errors",
    "netdsl.tokens",
    "netdsl.tree_builder",
    "netdsl.tree_json",
    "netdsl.value_builder",
}
VERIFY = {
    "netdsl.verify",
    "netdsl.edit",
    "netdsl.plugins",
    "netdsl.rename",
    "netdsl.sampling",
    "netdsl.tolerance",
    "netdsl.vectorise",
    "netdsl.weights",
}
API = {
    "netdsl.agreement",
    "netdsl.api",
    "netdsl.choices",
    "netdsl.claims",
    "netdsl.doctor",
    "netdsl.export",
    "netdsl.kan",
    "netdsl.lowerings",
    "netdsl.runtime",
    "netdsl.show",
}
PATH_ONLY = {"netdsl.codes"}  # imports `netdsl` itself for `__path__`, to find the tables of codes

# Each layer, what it holds, and the layers directly to its left. A layer may import itself and everything to its left.
LAYERS: dict[str, tuple[set[str], set[str]]] = {
    "source": (
        {
            "netdsl.source",
            "netdsl.collector",
            "netdsl.did_you_mean",
            "netdsl.layout",
            "netdsl.reading",
            "netdsl.record",
            "netdsl.structs",
        },
        set(),
    ),
    "diagnostics": ({"netdsl.diagnostics", "netdsl.codes", "netdsl.render", "netdsl.publish"}, {"source"}),
    "syntax": ({"netdsl.syntax", "netdsl.declarations"}, {"diagnostics"}),
    "parser": (PARSER, {"syntax"}),
    "formatter": ({"netdsl.formatter", "netdsl.token_cursor"}, {"parser"}),
    "dims": ({"netdsl.dims", "netdsl.dim"}, {"diagnostics"}),
    "tensor_type": ({"netdsl.tensor_type", "netdsl.tolerance_table"}, {"dims"}),
    "ops": ({"netdsl.ops"}, {"tensor_type"}),
    "ir": (
        {
            "netdsl.ir",
            "netdsl.digest",
            "netdsl.expansions",
            "netdsl.initialisers",
            "netdsl.instances",
            "netdsl.substitute",
        },
        {"ops"},
    ),
    "ir_text": ({"netdsl.ir_text", "netdsl.ir_parser", "netdsl.ir_source"}, {"ir"}),
    "verify": (VERIFY, {"ir"}),
    "check": ({"netdsl.check", "netdsl.std"}, {"parser", "ir_text", "verify"}),
    "reference": ({"netdsl.backends.reference"}, {"check"}),
    "passes": ({"netdsl.passes"}, {"reference"}),
    "backends": ({"netdsl.backends"}, {"passes"}),
    "api": (API, {"backends", "formatter"}),
    "kan": ({"netdsl.kan"}, {"api"}),
    "names": ({"netdsl"}, {"kan"}),
    "cli": ({"netdsl.cli", "netdsl.__main__"}, {"names"}),
}


class Import(NamedTuple):
    name: str
    line: int
    is_relative: bool
    is_lazy: bool


def modules() -> dict[str, Path]:
    """Every module of the package by its installed name."""
    found: dict[str, Path] = {}
    for package, folder in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            tail = parts[:-1] if parts[-1] == "__init__" else parts
            found[".".join((package, *tail))] = path
    return found


MODULES = modules()


def imports(path: Path, known: set[str]) -> Iterator[Import]:
    """All imports of one file; `from a import b` is an import of `a.b` where that is a module."""

    def visit(node: ast.AST, is_lazy: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, False, is_lazy)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield Import(inner if inner in known else node.module or "", node.lineno, node.level > 0, is_lazy)
        inside = is_lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        inside |= isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.iter_child_nodes(node):
            yield from visit(child, inside)

    return visit(ast.parse(path.read_text("utf-8"), str(path)), False)


def layer_of(module: str) -> str | None:
    """The layer with the longest matching entry; `netdsl.dim_terms` belongs to `netdsl.dim`."""
    best: tuple[int, str] | None = None
    for layer, (members, _) in LAYERS.items():
        for member in members:
            is_member = module == member or (member != "netdsl" and module.startswith((member + ".", member + "_")))
            if is_member and (best is None or len(member) > best[0]):
                best = (len(member), layer)
    return best[1] if best else None


def left_of(layer: str) -> set[str]:
    seen = {layer}
    for direct in LAYERS[layer][1]:
        seen |= left_of(direct)
    return seen


def test_every_module_has_a_layer() -> None:
    homeless = sorted(module for module in MODULES if layer_of(module) is None)
    assert [] == homeless, "say in LAYERS where these modules stand"


def test_modules_import_only_from_their_left() -> None:
    outward = [
        f"{path.relative_to(ROOT)}:{found.line} imports {found.name}"
        for module, path in MODULES.items()
        for found in imports(path, set(MODULES))
        if found.name.split(".")[0] == "netdsl" and layer_of(found.name) not in left_of(layer_of(module) or "cli")
        if not (found.name == "netdsl" and module in PATH_ONLY)
    ]
    assert [] == outward


def test_runtimes_are_imported_in_backends_only() -> None:
    """`api`, `cli` and the base of the backends may ask for one inside a function; the rest of the package never."""
    early = [
        f"{path.relative_to(ROOT)}:{found.line} imports {found.name}"
        for module, path in MODULES.items()
        if not module.startswith(("netdsl.backends.torch_fx", "netdsl.backends.onnx"))
        for found in imports(path, set(MODULES))
        if found.name.split(".")[0] in RUNTIMES
        and not (found.is_lazy and layer_of(module) in {"api", "cli", "backends"})
    ]
    assert [] == early


def test_bare_and_relative_imports_are_absent() -> None:
    """A bare `import passes` loads a second copy of the module when the repository root is on `sys.path`."""
    files = [*MODULES.values(), *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    bad = [
        f"{path.relative_to(ROOT)}:{found.line}"
        for path in files
        for found in imports(path, set())
        if found.is_relative or found.name.split(".")[0] in BARE
    ]
    assert [] == bad


def test_front_end_loads_no_runtime(tmp_path: Path) -> None:
    """`netdsl check` works, and starts fast, where neither torch nor ONNX is installed."""
    layers = left_of("check") | {"formatter"}
    front = sorted(module for module in MODULES if layer_of(module) in layers)
    code = f"import sys, {', '.join(front)}; print(sorted({RUNTIMES!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (0, "[]\n") == (done.returncode, done.stdout), done.stderr
