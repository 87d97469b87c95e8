"""`netdsl check`: exit codes, findings, JSON, and everything that can be wrong with a path."""

import os
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from netdsl.check.limits import Limits
from tests.cli.conftest import Run
from tests.cli.nets import BAD, GOOD, TWO

Net = Callable[..., Path]


def test_a_good_file_has_no_findings(run: Run, net: Net) -> None:
    ran = run("check", net(GOOD), code=0)
    assert ("", "checked 1 network in 1 file: no errors\n") == (ran.out, ran.err)
    assert "" == run("check", "-q", net(GOOD), code=0).err


def test_findings_go_to_stdout_and_exit_1(run: Run, net: Net) -> None:
    ran = run("check", net(BAD), code=1)
    assert "error[E0300]" in ran.out and "did you mean `Linear`?" in ran.out and "1 error in 1 file" in ran.out
    assert "" == ran.err


def test_a_folder_stands_for_its_files(run: Run, net: Net, tmp_path: Path) -> None:
    (tmp_path / "a" / ".hidden").mkdir(parents=True)
    net(GOOD, "a/one.net"), net(TWO, "a/two.net"), net(BAD, "a/.hidden/three.net")
    assert "checked 3 networks in 2 files" in run("check", "a", code=0).err


def test_stdin_is_a_dash(run: Run) -> None:
    assert "checked 1 network" in run("check", "-", stdin=GOOD, code=0).err
    assert "<stdin>:2:10" in run("check", "-", stdin=BAD, code=1).out
    assert "not UTF-8 (byte 1)" in run("check", "-", stdin=b"#\xff", code=2).out


def test_json_names_networks_and_findings(run: Run, net: Net) -> None:
    document = run("check", net(GOOD), "--json", code=0).document
    assert ("netdsl.check/1", True, 0, []) == tuple(document[k] for k in ("schema", "ok", "exit_code", "diagnostics"))
    (network,) = document["files"][0]["networks"]
    assert "Line" == network["name"] and [{"name": "x", "type": "f32[B, 3]"}] == network["inputs"]
    document = run("check", net(BAD), "--json", code=1).document
    assert [("E0300", 2)] == [(d["code"], d["line"]) for d in document["diagnostics"]] and not document["ok"]


def test_statics_are_set(run: Run, net: Net) -> None:
    document = run("check", net(GOOD), "--set", "width=5", "--json", code=0).document
    assert "f32[B, 5]" == document["files"][0]["networks"][0]["outputs"][0]["type"]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("width", "is not NAME=VALUE"),
        ("=3", "is not NAME=VALUE"),
        ("wdith=3", "did you mean `width`?"),
        ("width=2.5", "takes an int, found `2.5`"),
        ("width=true", "takes an int, found `true`"),
        ('width="2"', 'takes an int, found `"2"`'),
        ("width=[2]", "line 2 declares `width: int = 2`"),
        ("width=", "--set width="),
        ("width=(", "--set width=("),
        ("width=1 2", "--set width=1 2"),
        ("width=foo", "a value is a number"),
        ("width=__import__('os')", "--set"),
    ],
)
def test_a_wrong_setting_is_a_usage_error(run: Run, net: Net, setting: str, message: str) -> None:
    ran = run("check", net(GOOD), "--set", setting, code=2)
    assert message in ran.err and "" == ran.out


def test_a_setting_given_twice_is_a_usage_error(run: Run, net: Net) -> None:
    assert "given twice" in run("check", net(GOOD), "--set", "width=1", "--set", "width=2", code=2).err


def test_a_limit_that_is_reached_exits_4(run: Run, net: Net) -> None:
    assert "more than 1 nodes" in run("check", net(GOOD), "--max-nodes", "1", code=4).out


def test_every_limit_has_a_flag(run: Run, net: Net) -> None:
    """But `levels`, which Python's own stack bounds."""
    shown = run("check", "--help", code=0).out
    for limit in fields(Limits):
        assert limit.name == "levels" or f"--max-{limit.name.replace('_', '-')}" in shown
    run("check", net(GOOD), "--max-tensor-elements", 10**15, "--max-depth", 200, code=0)
    run("check", net(GOOD), "--max-depth", 10**6, code=2)


def test_paths_that_are_no_files_are_usage_errors(run: Run, net: Net, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe.net")
    (tmp_path / "loop.net").symlink_to("loop.net")
    (tmp_path / "binary.net").write_bytes(bytes(range(256)) * 10)
    net(GOOD)
    assert "no such file" in run("check", "missing.net", code=2).out
    assert "holds no `.net` file" in run("check", "empty", code=2).err
    assert "not a regular file" in run("check", "pipe.net", code=2).out
    assert "cannot be read" in run("check", "loop.net", code=2).out
    assert "not UTF-8" in run("check", "binary.net", code=2).out
    assert "cannot be read" in run("check", "net.net/inside.net", code=2).out
    assert "cannot be read" in run("check", "x" * 5000 + ".net", code=2).out


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_a_usage_error(run: Run, net: Net) -> None:
    path = net(GOOD)
    path.chmod(0)
    assert "permission denied" in run("check", path, code=2).out


def test_one_missing_file_does_not_hide_the_findings_of_another(run: Run, net: Net) -> None:
    out = run("check", net(BAD), "missing.net", code=2).out
    assert "E0701" in out and "E0300" in out


def test_control_characters_are_shown_as_escapes(run: Run, net: Net) -> None:
    out = run("check", net("# \x1b[31m\nnetwork \x1b[2J {"), code=1).out
    assert "\x1b" not in out
