"""Bases of splines: scipy's, ends and NaN, every form within its stated error, gradients."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.interpolate import BSpline as ScipySpline

from netdsl.dims import Dim, Facts
from netdsl.ops.spline import BSpline, BSplineOn
from netdsl.tensor_type import BF16, BOOL, F16, F32, F64, I64, DType, ShapeError, tensor
from tests.ops.harness import check_op, evaluate, given, uniform

Floats = NDArray[np.float64]
INSIDE = uniform(-2.5, 2.5)


def expected(x: Floats, knots: Floats, order: int) -> Floats:
    """scipy's elements, on the last axis; 0 outside, and at the last knot."""
    count = len(knots) - order - 1
    columns = [ScipySpline.basis_element(knots[k : k + order + 2], extrapolate=False)(x) for k in range(count)]
    return np.where((x < knots[-1])[..., None], np.nan_to_num(np.stack(columns, -1)), 0.0)


@pytest.mark.parametrize("order", range(6))
@pytest.mark.parametrize(("grid", "low", "high"), [(1, -1.0, 1.0), (5, -1.0, 1.0), (23, -0.5, 3.0), (200, 0.0, 1.0)])
def test_values_are_those_of_scipy(order: int, grid: int, low: float, high: float) -> None:
    op = BSpline(grid, order, low, high)
    margin = (order + 1) * op.step
    x = np.random.default_rng(0).uniform(low - margin, high + margin, 500)
    np.testing.assert_allclose(evaluate(op, x), expected(x, np.asarray(op.knots), order), atol=1e-12)
    inside = np.linspace(low, high, 101)[:-1]
    np.testing.assert_allclose(evaluate(op, inside).sum(-1), 1.0, atol=1e-12)


@pytest.mark.parametrize("order", range(6))
def test_uneven_and_repeated_knots_are_those_of_scipy(order: int) -> None:
    rng = np.random.default_rng(1)
    x = rng.uniform(-0.5, 3.5, 400)
    knots = np.sort(rng.uniform(0, 3, order + 7))
    np.testing.assert_allclose(evaluate(BSplineOn(order), x, knots), expected(x, knots, order), atol=1e-10)
    clamped = np.concatenate([[0.0] * order, [0, 0.5, 0.5, 1.25, 3], [3.0] * order])
    inside = x[(x > 0) & (x < 3)]
    matrix = ScipySpline.design_matrix(inside, clamped, order).toarray()
    np.testing.assert_allclose(evaluate(BSplineOn(order), inside, clamped), matrix, atol=1e-12)


@pytest.mark.parametrize("order", [0, 1, 3])
def test_ends_outside_and_nan(order: int) -> None:
    """An interval holds its left end; the last knot, what is outside and infinity give 0; NaN gives NaN."""
    op = BSpline(4, order, 0.0, 1.0)
    x = np.array([op.knots[0], 0.0, 0.25, op.knots[-1], 9.0, -9.0, np.inf, -np.inf, np.nan])
    y = evaluate(op, x)
    np.testing.assert_array_equal(y[3:8], 0.0)
    assert np.isnan(y[8]).all()
    if order == 0:
        np.testing.assert_array_equal(y[:3], [[1, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0]])
    check_op(op, (tensor(F32, "A", 9), given(*x)), opsets=(21,), dtypes=(F32, F64, F16))
    knots = (tensor(F32, len(op.knots)), given(*op.knots))
    check_op(BSplineOn(order), (tensor(F32, "A", 9), given(*x)), knots, opsets=(21,))
    check_op(BSpline(60, order, 0.0, 15.0), (tensor(F32, 9), given(*x[:7], -np.inf, np.nan)), opsets=(21,))


@pytest.mark.parametrize("order", [0, 1, 2, 3, 5, 20])
@pytest.mark.parametrize("axis", [0, 1, -2, -1])
def test_bspline_agrees_in_all_backends(order: int, axis: int) -> None:
    opsets = (18, 21, 23) if order == 3 else (21,)
    gradients = order > 0
    check_op(BSpline(5, order, axis=axis), (tensor(F32, "A", "B"), INSIDE), opsets=opsets, gradients=gradients)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_fine_grids_agree_in_all_backends(order: int, axis: int) -> None:
    """These take the local form."""
    op = BSpline(40, order, -2.0, 2.0, axis)
    check_op(op, (tensor(F32, "A", "B"), INSIDE), opsets=(21,), gradients=True)


@pytest.mark.parametrize("op", [BSpline(5, 3), BSpline(5, 5), BSpline(60, 3), BSpline(7, 0)])
@pytest.mark.parametrize("dtype", [F16, F64, BF16])
def test_bspline_keeps_its_type(op: BSpline, dtype: DType) -> None:
    tolerance = {F64: (1e-9, 1e-9)}  # the table's: order 5 takes the truncated form
    check_op(op, (tensor(F32, "A", "B"), INSIDE), opsets=(18, 23), dtypes=(dtype,), tolerance=tolerance)


@pytest.mark.parametrize("op", [BSpline(5, 3), BSpline(40, 2), BSpline(5, 5)])
def test_scalars_vectors_and_higher_ranks(op: BSpline) -> None:
    for sizes in ((), ("A",), ("A", 2, "B")):
        check_op(op, (tensor(F32, *sizes), INSIDE), opsets=(21,), dtypes=(F32, F64), tolerance={F64: (1e-9, 1e-9)})
    check_op(BSpline(5, 5, axis=1), (tensor(F64, "A", 2, "B"), INSIDE), opsets=(21,), tolerance={F64: (1e-9, 1e-9)})


RISING = given(-3.0, -2.2, -1.4, -1.0, -0.1, 0.7, 1.5, 2.4)


@pytest.mark.parametrize("order", [0, 1, 3])
@pytest.mark.parametrize(
    ("x", "knots", "axis"),
    [
        (("A", "B"), (8,), -1),
        (("A", "B"), ("B", 8), 1),
        (("A", "B"), ("C", 1, "B", 8), 0),
        (("B",), ("A", "B", 8), -2),
        ((), (8,), 0),
    ],
)
def test_bspline_on_agrees_in_all_backends(
    order: int, x: tuple[str, ...], knots: tuple[str | int, ...], axis: int
) -> None:
    operands = (tensor(F32, *x), INSIDE), (tensor(F32, *knots), RISING)
    check_op(BSplineOn(order, axis), *operands, opsets=(18, 23), gradients=order > 0, dtypes=(F32, F64))


def test_repeated_knots_have_finite_gradients() -> None:
    knots = (tensor(F32, 9), given(-2.0, -2.0, -2.0, -2.0, 0.5, 2.0, 2.0, 2.0, 2.0))
    import torch

    from netdsl.backends.torch_fx.spline import bspline_on

    check_op(BSplineOn(3), (tensor(F32, "A", "B"), INSIDE), knots, opsets=(21,))
    x = torch.linspace(-3, 3, 41, requires_grad=True)
    t = torch.tensor([-2.0] * 4 + [0.5] + [2.0] * 4, requires_grad=True)
    bspline_on(x, t, 3, 1).square().sum().backward()
    assert x.grad is not None and t.grad is not None
    assert x.grad.isfinite().all() and t.grad.isfinite().all()
    numbers = torch.zeros(6, requires_grad=True)
    bspline_on(x, numbers, 3, 1).sum().backward()
    assert numbers.grad is not None and numbers.grad.isfinite().all()


@pytest.mark.parametrize("op", [BSpline(5, 3), BSpline(5, 1), BSpline(40, 3), BSpline(4, 20)])
def test_gradients_of_gradients_and_maps(op: BSpline) -> None:
    import torch

    from netdsl.backends.torch_fx.spline import bspline
    from netdsl.ops.spline_forms import choose_form

    form = choose_form(op, F32).name

    def values(x: torch.Tensor) -> torch.Tensor:
        return bspline(x, op.knots[0], op.step, op.count, op.order, x.dim(), form)

    x = torch.empty(3, 4, dtype=torch.float64).uniform_(-1.3, 1.3, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(values, x.requires_grad_())
    if op.order > 1:
        assert torch.autograd.gradgradcheck(values, x)
    torch.testing.assert_close(torch.vmap(values)(x), values(x))
    slopes = torch.func.vmap(torch.func.jacrev(values))(x.detach().flatten())
    rows = [torch.func.jacrev(values)(one) for one in x.detach().flatten()]
    torch.testing.assert_close(slopes, torch.stack(rows))


def test_the_slope_at_a_knot_is_the_one_to_the_right() -> None:
    import torch

    from netdsl.backends.torch_fx.spline import bspline

    x = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(bspline(x, -1.0, 1.0, 1, 1, 0, "closed").sum(), x)
    assert slope.item() == -1


def test_splines_need_a_grid_an_order_and_an_interval() -> None:
    x = tensor(F32, 2)
    for op, message in [
        (BSpline(0), r"E0219: `bspline` needs a grid of 1 interval or more, found 0"),
        (BSpline(5, -1), r"E0219: `bspline` takes an order of 0 to 20, found -1"),
        (BSpline(5, 21), r"E0219: `bspline` takes an order of 0 to 20, found 21"),
        (BSpline(5, 3, 1.0, 1.0), r"E0219: `bspline` goes from `low` up to `high`, found 1.0 and 1.0"),
        (BSpline(5, 3, 0.0, float("inf")), r"E0219: `bspline` goes from `low` up to `high`"),
        (BSpline(axis=2), r"E0206: `bspline` puts a new axis at 2"),
    ]:
        with pytest.raises(ShapeError, match=message):
            op.infer((x,), Facts.EMPTY)
    with pytest.raises(ShapeError, match=r"E0217: `bspline` needs float elements, found bool"):
        BSpline().infer((tensor(BOOL, 2),), Facts.EMPTY)


def test_bspline_on_needs_enough_knots() -> None:
    x = tensor(F32, 2)
    for knots, message in [
        (tensor(F32, 4), r"E0209: `bspline_on` of order 3 needs 5 knots or more, found 4"),
        (tensor(F32, "N"), r"E0208: `bspline_on` of order 3 needs 5 knots or more, found N"),
        (tensor(F32), r"E0205: `bspline_on` needs an axis of knots"),
        (tensor(F64, 9), r"E0201"),
        (tensor(I64, 9), r"E0217"),
        (tensor(F32, 3, 9), r"E0202"),
    ]:
        with pytest.raises(ShapeError, match=message):
            BSplineOn().infer((x, knots), Facts.EMPTY)
    (found,) = BSplineOn(2).infer((x, tensor(F32, 9)), Facts.EMPTY)
    assert found.sizes == (Dim.of(2), Dim.of(6))


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("form", ["closed", "local", "recursion"])
def test_compiled_values_and_slopes_are_those_of_eager(form: str, order: int) -> None:
    import torch

    from netdsl.backends.torch_fx.spline import bspline

    def values(x: torch.Tensor) -> torch.Tensor:
        return bspline(x, -2.2, 0.4, 8, order, 1, form)

    torch._dynamo.reset()
    x = torch.linspace(-2.5, 2.5, 30, dtype=torch.float64).reshape(5, 6).requires_grad_()
    weights = torch.sin(torch.arange(240, dtype=torch.float64)).reshape(5, 8, 6)
    compiled = torch.compile(values, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), values(x))
    slopes = [torch.autograd.grad((f(x) * weights).sum(), x)[0] for f in (values, compiled)]
    torch.testing.assert_close(slopes[1], slopes[0])
