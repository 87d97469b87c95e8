"""`netdsl explain`, `doctor` and `new`."""

import json
from pathlib import Path

import pytest

from netdsl import doctor
from netdsl.cli.templates import TEMPLATES
from netdsl.codes import all_codes
from tests.cli.conftest import Run


def test_every_code_is_listed_and_explained(run: Run) -> None:
    listed = run("explain", code=0).out
    codes = all_codes()
    assert [f"{c}  {e.title}" for c, e in codes.items()] == listed.splitlines()
    for code in codes:
        assert run("explain", code, code=0).out.startswith(f"{code}: ")


def test_an_explanation_shows_its_examples(run: Run) -> None:
    code = next(c for c, e in all_codes().items() if e.failing and e.fixed)
    assert "This fails:\n\n    " in run("explain", code, code=0).out
    document = run("explain", code.lower(), "--json", code=0).document
    assert ("netdsl.explain/1", code) == (document["schema"], document["code"])
    assert all_codes()[code].failing == document["failing"]
    assert code == run("explain", code[1:], "--json", code=0).document["code"]
    assert list(all_codes()) == [row["code"] for row in run("explain", "--json", code=0).document["codes"]]


def test_an_unknown_code_is_a_usage_error(run: Run) -> None:
    assert "there is no code `E9999`" in run("explain", "E9999", code=2).err
    assert "did you mean" in run("explain", "X0701", code=2).err


def test_a_healthy_environment_has_no_problems(run: Run) -> None:
    assert "no problems" in run("doctor", code=0).out
    document = run("doctor", "--json", code=0).document
    names = [row["name"] for row in document["checks"]]
    assert "netdsl.doctor/1" == document["schema"]
    assert {"python", "netdsl", "torch", "onnxruntime", "onnxruntime providers", "torch build"} <= set(names)


def test_two_onnx_runtime_wheels_are_a_problem(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    true_version = doctor.version
    monkeypatch.setattr(doctor, "version", lambda name: "1.31.1" if name == "onnxruntime-gpu" else true_version(name))
    out = run("doctor", code=3).out
    assert "fix: pip uninstall -y onnxruntime onnxruntime-gpu && pip install 'netdsl[gpu]'" in out
    document = run("doctor", "--json", code=3).document
    assert ["onnxruntime wheels"] == [c["name"] for c in document["checks"] if c["problem"]]


@pytest.mark.parametrize(
    ("found", "is_problem"), [("1.99", True), ("2.0.0", False), ("2.9.1+cpu", False), ("3.0", True)]
)
def test_a_version_outside_the_range_is_a_problem(
    run: Run, monkeypatch: pytest.MonkeyPatch, found: str, is_problem: bool
) -> None:
    true_version = doctor.version
    monkeypatch.setattr(doctor, "version", lambda name: found if name == "numpy" else true_version(name))
    ran = run("doctor", "--json", code=3 if is_problem else 0)
    problems = [c for c in ran.document["checks"] if c["problem"]]
    assert is_problem == bool(problems)
    assert all("pip install 'numpy>=2,<3'" == c["fix"] for c in problems)


def test_a_missing_package_is_a_problem_and_a_missing_extra_is_not(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    true_version = doctor.version

    def version(name: str) -> str:
        if name in ("torch", "onnxruntime"):
            raise doctor.PackageNotFoundError(name)
        return true_version(name)

    monkeypatch.setattr(doctor, "version", version)
    assert "pip install 'netdsl[torch]'" in run("doctor", code=0).out
    monkeypatch.setattr(doctor, "REQUIRED", ("no-such-package",))
    assert "netdsl needs no-such-package" in run("doctor", code=3).out


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_checks_is_formatted_and_keeps_its_claims(run: Run, template: str) -> None:
    assert "my-tiny_net.net\n" == run("new", "my-tiny_net", "--template", template, code=0).out
    assert "network MyTinyNet" in Path("my-tiny_net.net").read_text()
    run("check", "my-tiny_net.net", code=0)
    run("fmt", "--check", "my-tiny_net.net", code=0)
    assert "FAIL" not in run("verify", "my-tiny_net.net", code=0).out


def test_a_file_that_exists_is_left_alone(run: Run) -> None:
    Path("a.net").write_text("mine")
    Path("link.net").symlink_to("nowhere.net")
    assert "E0707" in run("new", "a", code=2).err
    assert "E0707" in run("new", "link.net", code=2).err
    assert "mine" == Path("a.net").read_text() and not Path("nowhere.net").exists()


def test_names_that_cannot_be_used(run: Run) -> None:
    assert "E0704" in run("new", "missing/a", code=2).err
    assert "begin the name with a letter" in run("new", "3d", code=2).err
    run("new", "a", "--template", "nope", code=2)
    document = run("new", "b", "--json", code=0).document
    assert ("netdsl.new/1", "b.net", "B", "mlp") == tuple(
        document[k] for k in ("schema", "path", "network", "template")
    )
    assert json.dumps(document)
