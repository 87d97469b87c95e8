"""Imports that lead astray: out of the project, round in circles, to what is no file, or to too many files."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from netdsl.check.modules import MAX_FILES, MAX_IMPORT_DEPTH, MAX_WORDS
from netdsl.check.network import Session
from netdsl.source import Source
from tests.bad_input.checking import check

NET = "network N(x: f32[B]) -> f32[B] { x }\n"
BLOCK = "block A(x: float[..]) -> float[..] { x }\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with files, beside one that no import may read."""
    (tmp_path / "secret.net").write_text(BLOCK)
    root = tmp_path / "project"
    root.mkdir()
    (root / "a.net").write_text(BLOCK)
    return root


def codes(root: Path, text: str) -> set[str]:
    return {d.code for d in check(lambda: Session(Source("main.net", text), root / "main.net", root))}


def imported(*paths: str) -> str:
    return "".join(f'import "{path}"\n' for path in paths) + NET


OUTSIDE = (
    "../secret.net",
    "a/../../secret.net",
    "./../project/../secret.net",
    "..\\\\secret.net",
    "%2e%2e/secret.net",
    "~/secret.net",
    "~root/secret.net",
    "C:/secret.net",
    "//host/secret.net",
    "/etc/passwd",
    "/proc/self/mem.net",
    "",
    ".net",
    "..",
    "a",
    "a.net/",
    "a.net\\t",
    "x" * 5_000 + ".net",
    "../" * 2_000 + "secret.net",
)


@pytest.mark.parametrize("path", OUTSIDE, ids=range(len(OUTSIDE)))
def test_a_path_that_leads_out_is_refused(project: Path, path: str) -> None:
    assert codes(project, imported(path)) <= {"E0314", "E0317"}
    assert codes(project, imported(path))
    assert codes(project, imported(f"{project.parent}/secret.net")) == {"E0314"}


@pytest.mark.parametrize("address", ["https://example.com/a.net", "file:///etc/a.net", "hf:a.net", "git:a.net"])
def test_an_address_is_refused(project: Path, address: str) -> None:
    assert codes(project, imported(address)) == {"E0315"}


def test_links_that_lead_out_are_refused(project: Path) -> None:
    (project / "link.net").symlink_to(project.parent / "secret.net")
    (project / "folder").symlink_to(project.parent)
    (project / "zero.net").symlink_to("/dev/zero")
    assert codes(project, imported("link.net")) == {"E0314"}
    assert codes(project, imported("folder/secret.net")) == {"E0314"}
    assert codes(project, imported("zero.net")) == {"E0314"}


def _folder(path: Path) -> None:
    path.mkdir()


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def _binary(path: Path) -> None:
    path.write_bytes(bytes(range(256)))


def _long(path: Path) -> None:
    path.write_bytes(b" " * (4 * 2**20 + 1))


MADE = (os.mkfifo, _folder, _loop, _dangling, _binary, _long)


@pytest.mark.parametrize("make", MADE, ids=lambda make: make.__name__)
def test_what_is_no_text_file_is_refused(project: Path, make: Callable[[Path], None]) -> None:
    make(project / "b.net")
    assert codes(project, imported("b.net")) == {"E0317"}


def test_cycles_are_found(project: Path) -> None:
    (project / "self.net").write_text('import "self.net"\n' + BLOCK)
    (project / "one.net").write_text('import "two.net"\n' + BLOCK)
    (project / "two.net").write_text('import "./one.net"\n' + BLOCK)
    assert codes(project, imported("self.net")) == {"E0316"}
    assert codes(project, imported("one.net")) == {"E0316"}
    (project / "main.net").write_text(imported("main.net"))
    assert codes(project, imported("main.net")) == {"E0316"}


def test_one_file_under_several_names_is_one(project: Path) -> None:
    """Else its parameters and constants would be there twice."""
    (project / "sub").mkdir()
    os.link(project / "a.net", project / "hard.net")
    (project / "soft.net").symlink_to("a.net")
    text = imported("a.net", "./a.net", "sub/../a.net", "hard.net", "soft.net")
    session = Session(Source("main.net", text), project / "main.net", project)
    assert not session.reporter.diagnostics
    assert 1 == len(set(map(id, session.file.modules.values())))


def test_files_that_import_two_of_the_next_level_are_read_once_each(project: Path) -> None:
    levels = MAX_IMPORT_DEPTH - 4
    for level in range(levels):
        following = f'import "l{level + 1}.net"\nimport "r{level + 1}.net"\n' if level + 1 < levels else ""
        for side in "lr":
            (project / f"{side}{level}.net").write_text(following + BLOCK)
    assert codes(project, imported("l0.net", "r0.net")) == set()


def test_a_chain_that_is_too_long_is_refused(project: Path) -> None:
    for number in range(MAX_IMPORT_DEPTH + 2):
        (project / f"c{number}.net").write_text(f'import "c{number + 1}.net"\n' + BLOCK)
    assert codes(project, imported("c0.net")) == {"E0524"}


def test_too_many_files_are_refused(project: Path) -> None:
    for number in range(MAX_FILES + 10):
        (project / f"f{number}.net").write_text("")
    assert codes(project, imported(*(f"f{number}.net" for number in range(MAX_FILES)))) == set()
    assert codes(project, imported(*(f"f{number}.net" for number in range(MAX_FILES + 10)))) == {"E0524"}
    assert codes(project, imported(*(f"nothing{number}.net" for number in range(10_000)))) == {"E0317"}


def test_too_many_words_in_all_files_together_are_refused(project: Path) -> None:
    for number in range(4):
        (project / f"w{number}.net").write_text("".join(f"const a{i} = 1\n" for i in range(MAX_WORDS // 4 // 3)))
    assert codes(project, imported("w0.net", "w1.net", "w2.net", "w3.net")) == {"E0524"}


@pytest.mark.parametrize("text", ["", "\x00", "{", "import", 'import "', "network", '"' * 1_000, "(" * 1_000])
def test_what_is_wrong_in_an_imported_file_is_a_diagnostic(project: Path, text: str) -> None:
    (project / "b.net").write_text(text)
    assert bool(text) == bool(codes(project, 'import "b.net": B\n' + NET) - {"E0313"})
