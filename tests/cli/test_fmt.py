"""`netdsl fmt`: what it writes, shows and refuses."""

import os
from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import Run
from tests.cli.nets import BAD, GOOD

Net = Callable[..., Path]
UGLY = GOOD.replace("    x |>", "x   |>")


def test_files_are_rewritten_in_place_and_keep_their_mode(run: Run, net: Net) -> None:
    path = net(UGLY)
    path.chmod(0o600)
    ran = run("fmt", path, code=0)
    assert GOOD == path.read_text() and f"formatted {path}" in ran.err and "" == ran.out
    assert 0o600 == path.stat().st_mode & 0o777
    assert "0 changed, 1 as they should be" in run("fmt", path, code=0).err


def test_check_names_the_files_and_writes_nothing(run: Run, net: Net) -> None:
    path = net(UGLY)
    assert f"{path}\n" == run("fmt", "--check", path, code=1).out
    assert UGLY == path.read_text()
    assert "" == run("fmt", "--check", net(GOOD), code=0).out


def test_diff_shows_the_change(run: Run, net: Net) -> None:
    out = run("fmt", "--diff", net(UGLY), code=1).out
    assert "-x   |> Linear" in out and "+    x |> Linear" in out
    assert "\\ No newline at end of file" in run("fmt", "--diff", net(GOOD.rstrip()), code=1).out


def test_stdin_becomes_stdout(run: Run) -> None:
    assert GOOD == run("fmt", "-", stdin=UGLY, code=0).out
    assert GOOD == run("fmt", "-", "--json", stdin=UGLY, code=0).document["text"]
    assert "stands alone" in run("fmt", "-", "other.net", stdin=UGLY, code=2).err


def test_json_says_which_files_change(run: Run, net: Net) -> None:
    path = net(UGLY)
    document = run("fmt", "--check", "--json", path, code=1).document
    assert ("netdsl.fmt/1", False, [{"path": str(path), "is_changed": True}]) == (
        document["schema"],
        document["ok"],
        document["files"],
    )


def test_a_file_that_does_not_parse_is_left_alone(run: Run, net: Net, tmp_path: Path) -> None:
    broken = net("network {", "broken.net")
    good = net(UGLY, "good.net")
    ran = run("fmt", tmp_path, code=1)
    assert "error[E01" in ran.err and "network {" == broken.read_text() and GOOD == good.read_text()
    assert BAD == run("fmt", "-", stdin=BAD, code=0).out


def test_links_and_folders_without_files_are_refused(run: Run, net: Net, tmp_path: Path) -> None:
    target = net(UGLY)
    (tmp_path / "link.net").symlink_to(target)
    assert "E0703" in run("fmt", "link.net", code=2).err
    assert UGLY == target.read_text()
    os.mkdir("empty")
    assert "holds no" in run("fmt", "empty", code=2).err
    assert "E0701" in run("fmt", "missing.net", code=2).err
