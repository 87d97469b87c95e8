"""The program as a process: what it imports, its streams, signals, colours and internal errors."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import netdsl
from netdsl.cli import main as program
from netdsl.cli.main import COMMANDS
from tests.cli.conftest import Run
from tests.cli.nets import BAD, GOOD

Net = Callable[..., Path]
NETDSL = [sys.executable, "-m", "netdsl"]
SPECS = Path(__file__).parents[2] / "specs"
HEAVY = {"torch", "onnx", "onnxruntime", "numpy", "rich", "networkx", "safetensors", "lark"}
SLOW = {"importlib.resources", "tempfile", "zipfile", "random", "fractions", "decimal"}  # of the standard library


def process(*arguments: object, cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    call = [*NETDSL, *(str(a) for a in arguments)]
    options.setdefault("stdout", subprocess.PIPE)
    return subprocess.run(call, cwd=cwd, stderr=subprocess.PIPE, encoding="utf-8", check=False, **options)


def modules_after(code: str, cwd: Path) -> set[str]:
    """Names of all modules that a fresh interpreter holds after `code`."""
    script = f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\nprint('\\n' + ' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], cwd=cwd, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_check_imports_nothing_heavy(tmp_path: Path) -> None:
    spec = SPECS / "vision" / "vit_tiny.net"
    call = f"sys.argv = ['netdsl', 'check', {str(spec)!r}]; from netdsl.cli.main import main; main()"
    loaded = modules_after(call, tmp_path)
    assert "netdsl.check.network" in loaded
    assert set() == (HEAVY | SLOW) & loaded


def test_help_and_the_package_import_almost_nothing(tmp_path: Path) -> None:
    loaded = modules_after("sys.argv = ['netdsl', '--help']; from netdsl.cli.main import main; main()", tmp_path)
    assert set() == {m for m in loaded if m.startswith("netdsl.")} - {
        "netdsl.cli",
        "netdsl.cli.command",
        "netdsl.cli.main",
        "netdsl.cli.model_options",
        "netdsl.cli.sizes",
        "netdsl.cli.templates",
        "netdsl.cli.terminal",
        *COMMANDS.values(),
    }
    loaded = modules_after("import netdsl", tmp_path)
    assert {"netdsl"} == {m for m in loaded if m.startswith("netdsl")} and not HEAVY & loaded


def test_public_names_are_there() -> None:
    assert set(netdsl.__all__) <= set(dir(netdsl))
    for name in netdsl.__all__:
        assert getattr(netdsl, name) is not None
    with pytest.raises(AttributeError, match="no attribute `nothing`"):
        netdsl.nothing  # noqa: B018


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = process("explain", cwd=tmp_path, stdout=writer)
    finally:
        os.close(writer)
    assert (141, "") == (done.returncode, done.stderr)


@pytest.mark.parametrize("arguments", [("explain",), ("--help",), ("check", "missing.net"), ("--version",)])
def test_a_closed_stdout_is_no_error(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *NETDSL, *arguments],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr
    assert done.returncode == (2 if "check" in arguments else 0)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("arguments", [("explain",), ("explain", "--json"), ("new", "a"), ("--help",), ("--version",)])
def test_a_full_disk_is_reported(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        done = process(*arguments, cwd=tmp_path, stdout=full)
    assert 3 == done.returncode
    assert "no space left" in done.stderr.lower() and "Traceback" not in done.stderr


def test_an_interrupt_ends_it_quietly(tmp_path: Path) -> None:
    call = subprocess.Popen(
        [*NETDSL, "fmt", "-"], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    _wait_until_it_reads(call)
    call.send_signal(signal.SIGINT)
    out, err = call.communicate(timeout=60)
    assert (130, b"") == (call.returncode, out)
    assert b"Traceback" not in err and b"internal error" not in err


def _wait_until_it_reads(call: "subprocess.Popen[bytes]") -> None:
    """Write more than a pipe holds: the last bytes leave when the program has begun to read."""
    assert call.stdin is not None
    call.stdin.write(b"#" * 100_000)
    call.stdin.flush()


def test_a_terminal_without_unicode_gets_escapes(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    done = process("show", SPECS / "vision" / "vit_tiny.net", cwd=tmp_path, env=environment)
    assert 0 == done.returncode, done.stderr
    assert "\\xd7 12" in done.stdout


def test_colours_are_chosen(run: Run, net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    path = net(BAD)
    assert "\x1b[" not in run("check", path, code=1).out
    assert "\x1b[1;31merror[E0300]" in run("check", path, "--color", "always", code=1).out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in run("check", path, code=1).out
    assert "\x1b[" not in run("check", path, "--color", "never", code=1).out


def test_an_internal_error_leaves_a_report(run: Run, net: Net, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(*_: object) -> object:
        raise RuntimeError("this is a bug")

    monkeypatch.setattr("netdsl.cli.files.open_session", broken)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ran = run("check", net(GOOD), code=70)
    assert "internal error: RuntimeError" in ran.err and "this is a bug\n" not in ran.err
    (report,) = tmp_path.glob("netdsl-error-*.txt")
    assert str(report) in ran.err and 0o600 == report.stat().st_mode & 0o777
    text = report.read_text()
    assert "RuntimeError: this is a bug" in text and "command: ['check'" in text and "python 3" in text
    monkeypatch.setattr(program, "_complain", lambda text: shown.append(text))
    shown: list[str] = []
    run("check", net(GOOD), "--debug", code=70)
    assert any("Traceback" in text for text in shown)


def test_too_little_memory_is_a_limit(run: Run, net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(*_: object) -> object:
        raise MemoryError

    monkeypatch.setattr("netdsl.cli.files.open_session", greedy)
    assert "not enough memory" in run("check", net(GOOD), code=4).err


def test_wrong_calls_are_usage_errors(run: Run) -> None:
    assert "did you mean `verify`?" in run("verfy", code=2).err
    run("check", code=2)
    run("--nothing", code=2)
    run("check", "--nothing", "a.net", code=2)
    assert "Exit codes:" in run("--help", code=0).out
    assert run("--version", code=0).out.startswith("netdsl 0.")
    for name in COMMANDS:
        assert "--json" in run(name, "--help", code=0).out


@pytest.mark.parametrize("name", ["check", "fmt", "show", "build", "verify"])
@pytest.mark.parametrize("path", ["missing.net", "folder", "binary.net", "bad_utf8.net", "pipe.net", "/proc/self/mem"])
def test_every_command_names_the_file_it_cannot_read(run: Run, name: str, path: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary.net").write_bytes(os.urandom(4096) + b"\xff")
    (tmp_path / "bad_utf8.net").write_bytes(b"network \xc3\x28")
    os.mkfifo(tmp_path / "pipe.net")
    arguments = [name, path, *(["-o", "out.onnx"] if name == "build" else [])]
    ran = run(*arguments, code=2)
    assert path in ran.out + ran.err
    document = run(*arguments, "--json")
    if document.out:
        assert f"netdsl.{name}/1" == json.loads(document.out)["schema"] and 2 == document.code
