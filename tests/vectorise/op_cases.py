"""The cases of tests/ops, recorded: each call of `check_op` there is an op with operands and sizes."""

import importlib
import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

from _pytest.mark import ParameterSet

from netdsl.dims import Facts
from netdsl.ops.base import Op
from netdsl.tensor_type import DType, TensorType
from tests.ops.harness import Operand, Sampler

OPS_TESTS = Path(__file__).parents[1] / "ops"


@dataclass(frozen=True, eq=False)
class OpCase:
    """What `check_op` was called with."""

    op: Op
    types: tuple[TensorType, ...]
    samplers: tuple[Sampler | None, ...]
    sizes: Mapping[str, Sequence[int]] | None
    facts: Facts
    empty: bool
    gradients: bool
    backends: tuple[str, ...]
    tolerance: Mapping[DType, tuple[float, float]]

    @property
    def key(self) -> tuple[object, ...]:
        return self.op, self.types, self.facts, self.sizes is None

    def __str__(self) -> str:
        return f"{self.op!r}({', '.join(map(str, self.types))})"


@cache
def recorded() -> tuple[OpCase, ...]:
    """Every distinct case, in the order of the files."""
    found: dict[object, OpCase] = {}
    for path in sorted(OPS_TESTS.glob("test_*.py")):
        module = importlib.import_module(f"tests.ops.{path.stem}")
        if not hasattr(module, "check_op"):
            continue

        def record(
            op: Op,
            *operands: Operand,
            sizes: Mapping[str, Sequence[int]] | None = None,
            facts: Facts = Facts.EMPTY,
            empty: bool = True,
            gradients: bool = False,
            backends: Sequence[str] = ("torch", "onnx"),
            tolerance: Mapping[DType, tuple[float, float]] | None = None,
            **_: object,
        ) -> None:
            types = tuple(o if isinstance(o, TensorType) else o[0] for o in operands)
            samplers = tuple(None if isinstance(o, TensorType) else o[1] for o in operands)
            case = OpCase(
                op.normalised(types), types, samplers, sizes, facts, empty, gradients, tuple(backends), tolerance or {}
            )
            found.setdefault(case.key, case)

        with mock.patch.object(module, "check_op", record):
            for name, function in inspect.getmembers(module, inspect.isfunction):
                if name.startswith("test_") and "check_op" in _names(function):
                    for arguments in _parametrised(function):
                        function(**arguments)
    return tuple(found.values())


def _names(function: Callable[..., object]) -> set[str]:
    """Names that the function reads, in comprehensions and inner functions too."""
    codes, names = [function.__code__], set()
    while codes:
        code = codes.pop()
        names |= set(code.co_names)
        codes += [c for c in code.co_consts if inspect.iscode(c)]
    return names


def _parametrised(function: Callable[..., object]) -> Iterator[dict[str, Any]]:
    """The arguments that pytest would call it with."""
    choices: list[list[dict[str, Any]]] = []
    for mark in getattr(function, "pytestmark", []):
        if mark.name != "parametrize":
            continue
        names = mark.args[0]
        names = [n.strip() for n in names.split(",")] if isinstance(names, str) else list(names)
        rows = []
        for values in mark.args[1]:
            row = values.values if isinstance(values, ParameterSet) else values if len(names) > 1 else (values,)
            rows.append(dict(zip(names, row, strict=True)))
        choices.append(rows)
    for combined in itertools.product(*choices):
        yield {name: value for row in combined for name, value in row.items()}
