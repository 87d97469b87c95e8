"""Orthogonal polynomials: numpy's and scipy's, slopes at the ends, all backends."""

import numpy as np
import pytest
from numpy.polynomial import chebyshev, hermite, legendre
from scipy.special import eval_chebyu, eval_jacobi

from netdsl.dims import Facts
from netdsl.ops.polynomial import KINDS, Polynomials
from netdsl.tensor_type import BF16, BOOL, F16, F32, F64, DType, ShapeError, tensor
from tests.ops.harness import check_op, evaluate, given, uniform

INSIDE = uniform(-1.0, 1.0)
FAMILY = {"chebyshev": chebyshev.chebvander, "legendre": legendre.legvander, "hermite": hermite.hermvander}


@pytest.mark.parametrize("degree", [0, 1, 2, 5, 12])
def test_values_are_those_of_numpy_and_scipy(degree: int) -> None:
    x = np.linspace(-1.5, 1.5, 61)
    for kind, vander in FAMILY.items():
        np.testing.assert_allclose(evaluate(Polynomials(kind, degree), x), vander(x, degree), rtol=1e-11)
    np.testing.assert_allclose(evaluate(Polynomials("power", degree), x), np.vander(x, degree + 1, True), rtol=1e-12)
    second = np.stack([eval_chebyu(n, x) for n in range(degree + 1)], -1)
    np.testing.assert_allclose(evaluate(Polynomials("chebyshev_second", degree), x), second, rtol=1e-10, atol=1e-12)
    for a, b in [(0.0, 0.0), (0.5, -0.5), (-0.9, 2.0), (-0.5, -0.5), (-0.4, -0.6)]:
        wanted = np.stack([eval_jacobi(n, a, b, x) for n in range(degree + 1)], -1)
        np.testing.assert_allclose(evaluate(Polynomials("jacobi", degree, a, b), x), wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("degree", [0, 1, 2, 3, 7])
def test_polynomials_agree_in_all_backends(kind: str, degree: int) -> None:
    parameters = (0.5, -0.25) if kind == "jacobi" else (0.0, 0.0)
    op = Polynomials(kind, degree, *parameters)
    check_op(op, (tensor(F32, "A", "B"), INSIDE), opsets=(18, 23) if degree == 3 else (21,), gradients=degree > 0)


@pytest.mark.parametrize("axis", [0, 1, 2, -2])
def test_the_new_axis_stands_where_it_is_told(axis: int) -> None:
    check_op(Polynomials("legendre", 4, axis=axis), (tensor(F32, "A", "B"), INSIDE), opsets=(21,))


@pytest.mark.parametrize("dtype", [F16, F64, BF16])
def test_polynomials_keep_their_type(dtype: DType) -> None:
    check_op(Polynomials("chebyshev", 6), (tensor(F32, "A"), INSIDE), opsets=(18, 23), dtypes=(dtype,))
    check_op(Polynomials("jacobi", 3, 1.0, 0.5), tensor(F32), opsets=(21,))


def test_slopes_are_finite_at_the_ends() -> None:
    """Where the formula by arccos has none."""
    ends = (tensor(F32, "A", 3), given(-1.0, 0.0, 1.0))
    check_op(Polynomials("chebyshev", 8), ends, opsets=(21,), gradients=True)


def test_both_kinds_of_chebyshev_make_a_fourier_basis() -> None:
    t = np.linspace(-9, 9, 101)
    times = np.arange(1, 12) * t[:, None]
    cosines = evaluate(Polynomials("chebyshev", 11), np.cos(t))[:, 1:]
    sines = np.sin(t)[:, None] * evaluate(Polynomials("chebyshev_second", 10), np.cos(t))
    np.testing.assert_allclose(cosines, np.cos(times), atol=1e-12)
    np.testing.assert_allclose(sines, np.sin(times), atol=1e-12)


def test_the_first_is_one_everywhere() -> None:
    y = evaluate(Polynomials("chebyshev", 2), np.array([np.nan, np.inf]))
    np.testing.assert_array_equal(y[:, 0], 1.0)
    assert np.isnan(y[0, 1:]).all()
    check_op(Polynomials("chebyshev", 2), (tensor(F32, "A", 2), given(np.nan, np.inf)), opsets=(21,))


def test_polynomials_need_a_kind_a_degree_and_its_numbers() -> None:
    for op, message in [
        (Polynomials("fourier"), r"E0219: `polynomials` has the kinds power, .*, found `fourier`"),
        (Polynomials(degree=-1), r"E0219: `polynomials` takes a degree of 0 to 100, found -1"),
        (Polynomials(degree=101), r"E0219"),
        (Polynomials("legendre", 2, 1.0), r"E0219: `alpha` and `beta` are of `jacobi`"),
        (Polynomials("jacobi", 2, -1.0), r"E0219: `jacobi` needs numbers above -1, found -1.0 and 0.0"),
        (Polynomials(axis=5), r"E0206"),
    ]:
        with pytest.raises(ShapeError, match=message):
            op.infer((tensor(F32, 2),), Facts.EMPTY)
    with pytest.raises(ShapeError, match=r"E0217"):
        Polynomials().infer((tensor(BOOL, 2),), Facts.EMPTY)
