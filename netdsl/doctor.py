"""What is installed here, what it can do, and what stands in the way."""

import os
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, requires, version

from netdsl.record import dataclass

REQUIRED = ("click", "lark", "networkx", "numpy", "onnx", "rich", "safetensors")
OPTIONAL = {"torch": "torch", "onnxruntime": "cpu", "onnxruntime-gpu": "gpu"}
OLDEST_PYTHON = (3, 11)


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report.

    Args:
        found: what is there.
        problem: what is wrong with it; "" where nothing is.
        fix: a command or an edit that repairs it.
    """

    name: str
    found: str
    problem: str = ""
    fix: str = ""


def examine() -> tuple[Check, ...]:
    """Every check, in the order of the report."""
    versions = {name: _version(name) for name in ("netdsl", *REQUIRED, *OPTIONAL)}
    rows = [_python(), *(_package(name, found) for name, found in versions.items())]
    wheels = _wheels(versions)
    if wheels is not None:
        rows.append(wheels)
    if versions["onnxruntime"] or versions["onnxruntime-gpu"]:
        rows.append(_attempt("onnxruntime providers", _providers, "pip install --force-reinstall 'netdsl[cpu]'"))
    if versions["torch"]:
        rows.append(_attempt("torch build", _torch_build, "pip install --force-reinstall 'netdsl[torch]'"))
    rows += [_writable("current folder", os.getcwd), _writable("temporary folder", tempfile.gettempdir)]
    return tuple(rows)


def _python() -> Check:
    found = sys.version.split()[0]
    if sys.version_info[:2] < OLDEST_PYTHON:
        return Check("python", found, "netdsl needs Python 3.11 or newer", "make an environment with a newer Python")
    return Check("python", found)


def _package(name: str, found: str | None) -> Check:
    if name in OPTIONAL:
        extra = OPTIONAL[name]
        if found is None:
            return Check(name, f"not installed; comes with `pip install 'netdsl[{extra}]'`")
    elif found is None:
        return Check(name, "not installed", f"netdsl needs {name}", "pip install --force-reinstall netdsl")
    wanted = _wanted(name)
    if wanted and not _is_within(found, wanted):
        return Check(name, found, f"netdsl needs {name} {wanted}", f"pip install '{name}{wanted}'")
    return Check(name, found)


def _wheels(versions: dict[str, str | None]) -> Check | None:
    """Both ONNX Runtime wheels hold the same package, so the one installed last has written over the other."""
    cpu, gpu = versions["onnxruntime"], versions["onnxruntime-gpu"]
    if cpu is None or gpu is None:
        return None
    return Check(
        "onnxruntime wheels",
        f"onnxruntime {cpu} and onnxruntime-gpu {gpu}",
        "both hold the package `onnxruntime`: the one installed last has written over the other",
        "pip uninstall -y onnxruntime onnxruntime-gpu && pip install 'netdsl[gpu]'",
    )


def _attempt(name: str, ask: Callable[[], str], fix: str) -> Check:
    """What `ask` finds. A binary that does not load is a finding, with the loader's reason."""
    try:
        return Check(name, ask())
    except (ImportError, OSError, AttributeError, RuntimeError) as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        return Check(name, "does not load", reason, fix)


def _providers() -> str:
    import onnxruntime

    return ", ".join(onnxruntime.get_available_providers())


def _torch_build() -> str:
    import torch

    if torch.version.cuda is None:
        return f"{torch.__version__}, for the CPU"
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no CUDA device is usable"
    return f"{torch.__version__}, for CUDA {torch.version.cuda}; {device}"


def _writable(name: str, locate: Callable[[], str]) -> Check:
    try:
        folder = locate()
    except OSError as error:
        return Check(name, "not found", (error.strerror or str(error)).lower(), "change to a folder that exists")
    if not os.access(folder, os.W_OK | os.X_OK):
        return Check(name, folder, "nothing can be written there", "name outputs in a folder that is yours")
    return Check(name, f"{folder}, writable")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _wanted(name: str) -> str:
    """The range of versions that netdsl declares for a package, such as `>=2,<3`; "" where none."""
    for line in requires("netdsl") or ():
        requirement = line.split(";")[0].strip()
        base = requirement.split("[")[0]
        for sign in "<>=!~ ":
            base = base.split(sign)[0]
        if base == name:
            parts = requirement.removeprefix(name).split("]")[-1].replace(" ", "").split(",")
            return ",".join(sorted(parts, reverse=True))
    return ""


def _is_within(found: str, wanted: str) -> bool:
    """Whether a version lies in a range of `>=` and `<` parts; pre-releases and local parts aside."""
    have = _numbers(found)
    for part in wanted.split(","):
        bound = _numbers(part.lstrip("<>=!~ "))
        if part.startswith(">=") and have < bound:
            return False
        if part.startswith("<") and not part.startswith("<=") and have >= bound:
            return False
    return True


def _numbers(text: str) -> tuple[int, ...]:
    numbers = []
    for part in text.split("+")[0].split("."):
        digits = ""
        for char in part:
            if not char.isdigit():
                break
            digits += char
        if not digits:
            break
        numbers.append(int(digits))
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
