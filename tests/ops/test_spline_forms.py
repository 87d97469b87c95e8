"""The forms of a B-spline basis: each stays within its stated bound, and the choice says why."""

from collections.abc import Iterator

import numpy as np
import onnxruntime as ort
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.interpolate import BSpline as ScipySpline

from netdsl.backends.onnx import spline, tables
from netdsl.backends.onnx.model import build_model
from netdsl.backends.torch_fx.spline import bspline
from netdsl.ops.spline import BSpline
from netdsl.ops.spline_forms import (
    FORMS,
    ROUNDING,
    Form,
    choose_form,
    choose_split_form,
    forms,
    lanes,
    peak,
    split_forms,
)
from netdsl.tensor_type import F16, F32, F64, DType, tensor
from tests.ops.harness import one_node

Floats = NDArray[np.float64]
NUMPY = {F64: np.float64, F32: np.float32, F16: np.float16}
DTYPES = st.sampled_from([F32, F16])
SPLINES = st.builds(
    lambda order, grid, ends: BSpline(grid, order, min(ends), max(ends)),
    st.integers(0, 5),
    st.one_of(st.integers(1, 12), st.integers(1, 200)),
    st.sampled_from([(-1.0, 1.0), (0.0, 1.0), (-3.0, 2.0), (0.1, 0.7), (-0.9, -0.2)]),
)


def sampled(op: BSpline, dtype: DType, seed: int) -> Floats:
    """Numbers of the type: all over the splines, at the knots, and next to them."""
    kind = NUMPY[dtype]
    knots = np.asarray(op.knots)
    spread = np.random.default_rng(seed).uniform(knots[0] - op.step, knots[-1] + op.step, 300)
    near = knots.astype(kind)
    return np.concatenate(
        [a.astype(kind) for a in (spread, near, np.nextafter(near, kind(9)), np.nextafter(near, kind(-9)))]
    ).astype(np.float64)


def exact(op: BSpline, x: Floats) -> Floats:
    knots = np.asarray(op.knots)
    columns = [ScipySpline.basis_element(knots[k : k + op.order + 2], extrapolate=False)(x) for k in range(op.count)]
    y = np.nan_to_num(np.stack(columns, -1))
    if op.order == 0:  # scipy's last interval holds its right end
        y = ((x[:, None] >= knots[:-1]) & (x[:, None] < knots[1:])).astype(np.float64)
    return y


def by_onnx(op: BSpline, form: str, dtype: DType, x: Floats, patch: pytest.MonkeyPatch) -> Floats:
    patch.setitem(tables.TABLE, BSpline, spline.in_form(form))
    model = build_model(one_node(op, [tensor(dtype, len(x))]), {})
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"x0": x.astype(NUMPY[dtype])})
    return np.asarray(y, np.float64)


def by_torch(op: BSpline, form: str, dtype: DType, x: Floats) -> Floats:
    held = torch.from_numpy(x.astype(NUMPY[dtype]))
    return bspline(held, op.knots[0], op.step, op.count, op.order, 1, form).double().numpy()


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@settings(max_examples=40, deadline=None, derandomize=True)
@given(SPLINES, DTYPES, st.integers(0, 100))
def test_every_form_stays_within_its_bound(patch: pytest.MonkeyPatch, op: BSpline, dtype: DType, seed: int) -> None:
    x = sampled(op, dtype, seed)
    wanted = exact(op, x)
    for form in forms(op, dtype):
        if form.bound > 1e3:
            continue
        error = float(np.abs(by_onnx(op, form.name, dtype, x, patch) - wanted).max())
        assert error <= form.bound, f"onnx, {form.name}: {error:.2e} of {form.bound:.2e}"
        if form.name not in ("folded", "truncated"):
            error = float(np.abs(by_torch(op, form.name, dtype, x) - wanted).max())
            assert error <= form.bound, f"torch, {form.name}: {error:.2e} of {form.bound:.2e}"


@pytest.mark.parametrize("order", range(1, 6))
def test_bounds_are_not_idle(patch: pytest.MonkeyPatch, order: int) -> None:
    """The closed form comes within a factor of 100 of its bound; the truncated one really loses its digits."""
    op = BSpline(60, order)
    x = sampled(op, F32, 0)
    wanted = exact(op, x)
    by_name = {form.name: form for form in forms(op, F32)}
    errors = {name: float(np.abs(by_onnx(op, name, F32, x, patch) - wanted).max()) for name in ("closed", "truncated")}
    assert by_name["closed"].bound / 100 < errors["closed"]
    assert order == 1 or errors["truncated"] > 20 * errors["closed"]


def chosen(op: BSpline, dtype: DType) -> str:
    return choose_form(op, dtype).name


def test_the_choice_follows_cost_and_bound() -> None:
    assert chosen(BSpline(5, 0), F32) == "steps"
    assert chosen(BSpline(5, 3), F32) == "closed"
    assert chosen(BSpline(50, 3), F32) == "local"
    assert chosen(BSpline(5, 5), F64) == "truncated"
    assert chosen(BSpline(5, 5), F32) == "closed"
    assert chosen(BSpline(5, 20), F32) == "recursion"
    assert choose_form(BSpline(5, 5), F64, ("closed", "local")).name == "closed"


def test_the_truncated_form_is_refused_where_it_loses_digits() -> None:
    found = {form.name: form for form in forms(BSpline(50, 5), F32)}
    assert not found["truncated"].chosen
    assert found["truncated"].cost > 0
    assert found["truncated"].reason.startswith("may be off by")
    assert found["truncated"].reason.endswith("and f32 allows 6.5e-05")


@given(SPLINES, st.sampled_from([F64, F32, F16]))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_one_form_is_chosen_and_the_others_say_why_not(op: BSpline, dtype: DType) -> None:
    found = forms(op, dtype)
    assert [True] == [form.chosen for form in found if form.chosen]
    assert found[0].chosen
    assert all(form.reason and form.name in FORMS for form in found)
    assert found[0].reason.startswith(("the cheapest within", "none is within"))
    allowed = [form for form in found if form.reason.startswith(("the cheapest", "costs"))]
    assert not allowed or found[0].cost == min(form.cost for form in allowed)


@given(SPLINES.filter(lambda op: op.order > 0))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_lanes_hold_every_spline_once(op: BSpline) -> None:
    held = [(number, lane) for lane in lanes(op) for number in lane.splines]
    assert list(range(op.count)) == sorted(number for number, _ in held)
    for number, lane in held:
        distance = op.centres[number]
        for fold in lane.folds:
            distance = abs(distance - fold)
        assert distance <= 1e-9 * max(map(abs, op.knots))


def test_one_function_at_a_time_has_its_own_costs_and_the_same_bounds() -> None:
    found = {form.name: form for form in split_forms(BSpline(5, 3), F32)}
    assert {"folded": (52, True), "closed": (72, False)} == {n: (f.cost, f.chosen) for n, f in found.items()}
    assert found["folded"].bound == next(f.bound for f in forms(BSpline(5, 3), F32) if f.name == "folded")
    assert ["closed", None, None, None] == [
        form and form.name
        for form in (
            choose_split_form(BSpline(8, 1), F32),
            choose_split_form(BSpline(5, 20), F32),
            choose_split_form(BSpline(5, 0), F32),
            choose_split_form(BSpline(5, 3), F64),
        )
    ]


def test_no_form_within_the_tolerance_gives_the_most_exact() -> None:
    form: Form = choose_form(BSpline(10**7, 3), F32)
    assert form.reason.startswith("none is within 7.7e-05")
    assert form.bound == min(other.bound for other in forms(BSpline(10**7, 3), F32))


@pytest.mark.parametrize("order", range(6))
def test_the_peak_is_the_value_at_the_centre(order: int) -> None:
    op = BSpline(1, order)
    centre = np.array([(op.knots[0] + op.knots[order + 1]) / 2])
    np.testing.assert_allclose(peak(order), exact(op, centre).max(), rtol=1e-12)
    assert ROUNDING["f32"] == np.finfo(np.float32).eps / 2
