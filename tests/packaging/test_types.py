"""mypy --strict over the package as installed, not over the scattered folders."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(600)
def test_mypy_strict() -> None:
    """The folder of links stays in `build/`, so that mypy's cache is of use in the next run."""
    package = ROOT / "build" / "types" / "netdsl"
    package.mkdir(parents=True, exist_ok=True)
    for old in package.iterdir():
        old.unlink()
    for entry in (ROOT / "netdsl").iterdir():
        if entry.name != "__pycache__":
            (package / entry.name).symlink_to(entry)
    for folder in ("grammar", "passes", "backends"):
        (package / folder).symlink_to(ROOT / folder)

    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "-p", "netdsl"],
        cwd=package.parent,
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stdout + done.stderr
