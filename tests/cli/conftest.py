"""Runs the command line in this process, and files to run it on."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from netdsl.cli.main import cli


@dataclass(frozen=True)
class Ran:
    """What one call gave."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


Run = Callable[..., Ran]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Calls `netdsl` with the arguments, in an empty folder; no traceback may come out."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object, stdin: str | bytes | None = None, code: int | None = None) -> Ran:
        result = CliRunner().invoke(cli, [str(a) for a in arguments], input=stdin)
        ran = Ran(result.exit_code, result.stdout, result.stderr)
        assert "Traceback" not in ran.out + ran.err, ran
        assert code is None or code == ran.code, ran
        return ran

    return call


@pytest.fixture
def net(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file."""

    def write(text: str, name: str = "net.net") -> Path:
        path = tmp_path / name
        path.write_text(text, "utf-8")
        return path

    return write
