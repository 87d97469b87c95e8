"""Every op is documented, simple, and in every backend's table or refused there with a reason."""

import dataclasses
import importlib
import inspect
import re
import types
import typing

import pytest

from netdsl.dims import Dim
from netdsl.ops import OPS
from netdsl.ops.base import Op
from netdsl.ops.external import ExternCall
from netdsl.ops.loop import Loop
from netdsl.tensor_type import DType, TensorType

BACKENDS = ("reference", "torch_fx", "onnx")
ATTRIBUTE_TYPES = {int, float, bool, str, type(None), DType, Dim, TensorType}


def tables(backend: str) -> tuple[dict[type[Op], object], dict[type[Op], str]]:
    module = importlib.import_module(f"netdsl.backends.{backend}.tables")
    return module.TABLE, getattr(module, "UNSUPPORTED", {})


def leaves(annotation: object) -> set[object]:
    """The types that a union or a tuple is made of."""
    origin = typing.get_origin(annotation)
    if origin in (types.UnionType, typing.Union, tuple):
        return set().union(*(leaves(a) for a in typing.get_args(annotation) if a is not Ellipsis))
    if origin is typing.Literal:
        return {type(a) for a in typing.get_args(annotation)}
    return {annotation}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", OPS)
def test_every_op_has_a_row(name: str, backend: str) -> None:
    table, unsupported = tables(backend)
    if OPS[name] is Loop:
        return  # the executor and the builders run it themselves
    in_table, is_refused = OPS[name] in table, OPS[name] in unsupported
    assert in_table != is_refused, f"`{name}` is {'twice' if in_table else 'neither'} in the tables of {backend}"


@pytest.mark.parametrize("backend", BACKENDS)
def test_tables_hold_registered_ops_only(backend: str) -> None:
    table, unsupported = tables(backend)
    registered = {*OPS.values(), ExternCall}
    assert set() == {op.__name__ for op in (*table, *unsupported) if op not in registered}


@pytest.mark.parametrize("backend", BACKENDS)
def test_refusals_say_why(backend: str) -> None:
    _, unsupported = tables(backend)
    assert [] == [op.name for op, reason in unsupported.items() if len(reason.split()) < 4]


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_family_overrides_another(backend: str) -> None:
    families = [importlib.import_module(f"netdsl.backends.{backend}.{family}") for family in _families()]
    rows = [op for family in families for op in family.TABLE]
    assert len(rows) == len(set(rows))


def _families() -> list[str]:
    import netdsl.ops as ops

    return [module.__name__.rsplit(".", 1)[1] for module in ops._FAMILIES]


def test_names_are_unique() -> None:
    import netdsl.ops as ops

    names = [op.name for family in ops._FAMILIES for op in family.OPS]
    assert len(names) == len(set(names))
    assert len(names) + 1 == len(OPS)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in OPS)


@pytest.mark.parametrize("name", OPS)
def test_every_op_is_documented(name: str) -> None:
    doc = inspect.cleandoc(OPS[name].__doc__ or "")
    assert doc.split("\n\n")[0].endswith((".", ":")), "the first paragraph says what it computes"
    assert "Source:" in doc
    if OPS[name] is not Loop:
        assert "Shapes:" in doc


@pytest.mark.parametrize("name", OPS)
def test_attributes_are_simple(name: str) -> None:
    """So that they can be printed, parsed, hashed and compared."""
    hints = typing.get_type_hints(OPS[name])
    for field in dataclasses.fields(OPS[name]):
        assert leaves(hints[field.name]) <= ATTRIBUTE_TYPES, f"`{name}.{field.name}` is {field.type}"


@pytest.mark.parametrize("name", OPS)
def test_operand_names_are_in_order(name: str) -> None:
    """Required ones, then those that may be left out, then at most one that takes any number."""
    ranks = [{"?": 1, "*": 2}.get(operand[-1], 0) for operand in OPS[name].operands]
    assert ranks == sorted(ranks)
    assert ranks.count(2) <= 1
    assert not (1 in ranks and 2 in ranks)
