"""The files of the repository: sizes, places, and the settings that two files must agree on."""

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CONFIG: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
FOLDERS = ("netdsl", "grammar", "passes", "backends")
LINE_LIMIT = 400


def test_every_package_is_listed() -> None:
    """setuptools drops an unlisted sub-package from the wheel without a word."""
    setuptools = CONFIG["tool"]["setuptools"]
    found = set()
    for package, folder in setuptools["package-dir"].items():
        for init in (ROOT / folder).rglob("__init__.py"):
            found.add(".".join((package, *init.parent.relative_to(ROOT / folder).parts)))
    assert found == set(setuptools["packages"])


def test_every_folder_of_code_is_a_package() -> None:
    """A folder without `__init__.py` works as a wheel and fails as an editable install."""
    folders = {path.parent for top in FOLDERS for path in (ROOT / top).rglob("*.py")} | {ROOT / top for top in FOLDERS}
    bare = sorted(str(folder.relative_to(ROOT)) for folder in folders if not (folder / "__init__.py").exists())
    assert [] == bare


def test_no_file_is_over_the_line_limit() -> None:
    paths = [path for top in (*FOLDERS, "benchmarks") for path in (ROOT / top).rglob("*.py")]
    counts = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in paths}
    assert {} == {path: count for path, count in counts.items() if count > LINE_LIMIT}


def test_makefile_installs_the_torch_that_pyproject_names() -> None:
    (requirement,) = CONFIG["project"]["optional-dependencies"]["torch"]
    assert f"TORCH := {requirement}\n" in (ROOT / "Makefile").read_text("utf-8")


def test_bare_folder_names_are_not_importable(tmp_path: Path) -> None:
    code = "import importlib.util as u; print([n for n in ('grammar', 'passes', 'backends') if u.find_spec(n)])"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "[]\n" == done.stdout
