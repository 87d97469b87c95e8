"""Whatever fails, an output file is the old one or the new one, and nothing else stays behind."""

import contextlib
import errno
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import pytest

from netdsl import publish as module
from netdsl.codes_output import CODES
from netdsl.diagnostics import NetError
from netdsl.publish import publish, publish_all

OLD, NEW = b"old content", b"new content, and longer" * 1000
CALLS = ("open", "fstat", "write", "fchmod", "fsync", "replace", "lstat", "unlink", "close", "listdir")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def code_of(run: Callable[[], None]) -> str:
    with pytest.raises(NetError) as caught:
        run()
    return caught.value.diagnostics[0].code


# --- what it does ---------------------------------------------------------------------------------


def test_bytes_and_functions_are_published(tmp_path: Path) -> None:
    def write(stream: BinaryIO) -> None:
        stream.write(b"0000")
        stream.write(NEW)
        stream.seek(0)
        stream.write(b"head")

    publish(tmp_path / "a", NEW)
    publish(tmp_path / "b", write)
    publish(tmp_path / "c", b"")
    assert NEW == (tmp_path / "a").read_bytes()
    assert b"head" + NEW == (tmp_path / "b").read_bytes()
    assert b"" == (tmp_path / "c").read_bytes()
    assert ["a", "b", "c"] == names(tmp_path)


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600), (0o002, 0o664), (0, 0o666)])
def test_the_mode_of_a_new_file_follows_the_umask(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        publish(tmp_path / "a", NEW)
        assert mask == os.umask(mask)
    finally:
        os.umask(before)
    assert mode == stat.S_IMODE((tmp_path / "a").stat().st_mode)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o755])
def test_a_file_that_was_there_keeps_its_mode(tmp_path: Path, mode: int) -> None:
    (tmp_path / "a").write_bytes(OLD)
    (tmp_path / "a").chmod(mode)
    publish_all({tmp_path / "a": NEW, tmp_path / "b": NEW})
    assert mode == stat.S_IMODE((tmp_path / "a").stat().st_mode)
    assert NEW == (tmp_path / "a").read_bytes()


def test_the_file_is_private_while_it_is_written(tmp_path: Path) -> None:
    def write(stream: BinaryIO) -> None:
        (temporary,) = tmp_path.iterdir()
        assert stat.S_IMODE(temporary.stat().st_mode) == 0o600

    publish(tmp_path / "a", write)


def test_several_files_appear_in_order_after_all_are_written(tmp_path: Path) -> None:
    def write(stream: BinaryIO) -> None:
        assert not any((tmp_path / name).exists() for name in "ab")
        stream.write(NEW)

    publish_all({tmp_path / "a": OLD, tmp_path / "b": write})
    assert ["a", "b"] == names(tmp_path)


def test_a_function_that_raises_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(OLD)

    def write(stream: BinaryIO) -> None:
        stream.write(NEW)
        raise ValueError("of the caller")

    with pytest.raises(ValueError, match="of the caller"):
        publish_all({tmp_path / "a": NEW, tmp_path / "b": write})
    assert ["b"] == names(tmp_path)
    assert OLD == (tmp_path / "b").read_bytes()


# --- what it refuses ------------------------------------------------------------------------------


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(OLD)
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "dangling").symlink_to("missing")
    assert "E0703" == code_of(lambda: publish(tmp_path / "link", NEW))
    assert "E0703" == code_of(lambda: publish(tmp_path / "dangling", NEW))
    assert OLD == (tmp_path / "real").read_bytes()
    assert ["dangling", "link", "real"] == names(tmp_path)


def test_a_link_that_appears_while_writing_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(OLD)

    def write(stream: BinaryIO) -> None:
        (tmp_path / "a").symlink_to("real")
        stream.write(NEW)

    publish(tmp_path / "a", write)
    assert not (tmp_path / "a").is_symlink()
    assert OLD == (tmp_path / "real").read_bytes()


def test_folders_and_pipes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    assert "E0702" == code_of(lambda: publish(tmp_path / "folder", NEW))
    assert "E0702" == code_of(lambda: publish(tmp_path / "pipe", NEW))
    assert "E0702" == code_of(lambda: publish(Path("/"), NEW))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(NetError) as caught:
        publish(tmp_path / "no" / "a", NEW)
    (found,) = caught.value.diagnostics
    assert "E0704" == found.code
    assert f"cannot write `{tmp_path / 'no' / 'a'}`: its folder does not exist" == found.title
    (tmp_path / "file").write_bytes(OLD)
    assert "E0704" == code_of(lambda: publish(tmp_path / "file" / "a", NEW))


@pytest.mark.parametrize(
    ("number", "code", "reason"),
    [
        (errno.EACCES, "E0701", "permission denied"),
        (errno.EROFS, "E0701", "read-only file system"),
        (errno.ENOSPC, "E0705", "no space left on device"),
        (errno.ENAMETOOLONG, "E0701", "file name too long"),
    ],
)
def test_what_the_system_refuses_is_a_diagnostic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str, reason: str
) -> None:
    monkeypatch.setattr(module, "os", FaultyOs(1, number, only="open"))
    with pytest.raises(NetError) as caught:
        publish(tmp_path / "a", NEW)
    (found,) = caught.value.diagnostics
    assert (code, f"cannot write `{tmp_path / 'a'}`: {reason}") == (found.code, found.title)


def test_every_code_is_explained() -> None:
    source = Path(module.__file__).read_text("utf-8")
    assert set(re.findall(r"E07\d\d", source)) == set(CODES)


# --- faults ---------------------------------------------------------------------------------------


class FaultyOs(SimpleNamespace):
    """`os`, whose `at`-th call (of those counted) fails: with an error number, or "crash", or with a "short" write."""

    def __init__(self, at: int, fault: int | str, only: str | None = None) -> None:
        super().__init__(**{name: getattr(os, name) for name in dir(os)})
        self.at, self.fault, self.count = at, fault, 0
        for name in [only] if only else CALLS:
            setattr(self, name, self.counted(name, getattr(os, name)))

    def counted(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **options: Any) -> Any:
            self.count += 1
            if self.count == self.at:
                if self.fault == "crash":
                    os._exit(137)
                if isinstance(self.fault, int):
                    raise OSError(self.fault, os.strerror(self.fault))
                if name == "write":
                    return call(args[0], bytes(args[1])[:3])
            return call(*args, **options)

        return run


def steps(folder: Path) -> int:
    """How many system calls one publication of two files makes, one of them new."""
    counting = FaultyOs(0, "none")
    (folder / "b").write_bytes(OLD)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "os", counting)
        publish_all({folder / "a": NEW, folder / "b": NEW})
    return int(counting.count)


@pytest.fixture
def folders(tmp_path: Path) -> Callable[[int], Path]:
    def make(number: int) -> Path:
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "b").write_bytes(OLD)
        return folder

    return make


def check_whole(folder: Path) -> None:
    """Both files are whole; `a`, which goes first, is new whenever `b` is."""
    a = (folder / "a").read_bytes() if (folder / "a").exists() else None
    b = (folder / "b").read_bytes()
    assert (a, b) in [(None, OLD), (NEW, OLD), (NEW, NEW)]


def check_clean_after_next_run(folder: Path) -> None:
    publish_all({folder / "a": NEW, folder / "b": NEW})
    assert ["a", "b"] == names(folder)
    assert NEW == (folder / "a").read_bytes() == (folder / "b").read_bytes()


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EIO, errno.EACCES, "short"])
def test_every_failing_call_leaves_whole_files(
    tmp_path: Path, folders: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch, fault: int | str
) -> None:
    total = steps(tmp_path)
    assert total > 15
    for at in range(1, total + 1):
        folder = folders(at)
        monkeypatch.setattr(module, "os", FaultyOs(at, fault))
        try:
            publish_all({folder / "a": NEW, folder / "b": NEW})
        except NetError:
            assert fault != "short"
        else:
            assert NEW == (folder / "a").read_bytes() == (folder / "b").read_bytes()
        monkeypatch.setattr(module, "os", os)
        check_whole(folder)
        check_clean_after_next_run(folder)


CRASHING = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_publish
folder, at = Path(sys.argv[2]), int(sys.argv[3])
test_publish.module.os = test_publish.FaultyOs(at, "crash")
test_publish.publish_all({folder / "a": test_publish.NEW, folder / "b": test_publish.NEW})
"""


def crash(folder: Path, at: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", CRASHING, str(Path(__file__).parent), str(folder), str(at)])


def test_a_crash_at_any_call_leaves_whole_files(tmp_path: Path, folders: Callable[[int], Path]) -> None:
    total = steps(tmp_path)
    for at in range(1, total + 1):
        folder = folders(at)
        assert crash(folder, at).wait() == 137
        check_whole(folder)
        check_clean_after_next_run(folder)


def test_a_living_writer_keeps_its_temporary_file(tmp_path: Path) -> None:
    def write(stream: BinaryIO) -> None:
        publish(tmp_path / "a", OLD)
        assert 2 == len(names(tmp_path))
        stream.write(NEW)

    publish(tmp_path / "a", write)
    assert NEW == (tmp_path / "a").read_bytes()
    assert ["a"] == names(tmp_path)


KILLED = """
import sys
from pathlib import Path
from netdsl.publish import publish
number = 0
print("ready", flush=True)
while True:
    number += 1
    publish(Path(sys.argv[1]) / "a", str(number % 10).encode() * 50000)
"""


@pytest.mark.parametrize("times", [3, pytest.param(60, marks=pytest.mark.long)])
def test_a_killed_writer_tears_nothing(tmp_path: Path, times: int) -> None:
    publish(tmp_path / "a", b"0" * 50000)
    for turn in range(times):
        writers = [
            subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE) for _ in range(2)
        ]
        for writer in writers:
            assert writer.stdout
            writer.stdout.readline()
        with contextlib.suppress(subprocess.TimeoutExpired):
            writers[0].wait(0.01 + 0.007 * (turn % 10))
        for writer in writers:
            writer.kill()
            writer.communicate()
        content = (tmp_path / "a").read_bytes()
        assert 50000 == len(content)
        assert 1 == len(set(content))
        publish(tmp_path / "a", b"0" * 50000)
        assert ["a"] == names(tmp_path)
