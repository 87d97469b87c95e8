"""How to compute B-splines on equal intervals: the forms, what each costs, and how far it may be off.

Bounds hold for every x, to first order in the rounding u of the element type; halves are computed in f32 and rounded.
In units of the step, with M the cardinal B-spline, centred at 0, |M'| <= 1 and |M| <= 1:

- closed:    M(v) = sum over j of (-1)^j C(p + 1, j) relu(r - |v|)^p / p!, r = (p + 1) / 2 - j > 0.
             All splines of x are evaluated; the terms are few and of about the size of M.
- local:     the same for the p + 1 splines that may be other than 0, then put into their places.
- folded:    splines order + 1 apart never overlap and are alike, so folding x onto one of them, |..|x - a| - b| ..,
             gives one closed form for all; steps at their borders, nearly upright, tell them apart. Each spline is
             a difference of two such products, which a product with weights takes into the weights.
- truncated: differences of relu(x - knot)^p by one small product. The powers grow as grid^p and cancel.
- recursion: Cox and de Boor, p levels of convex combinations.
- steps:     the intervals themselves, for order 0: comparisons with knots rounded up, which is exact.
"""

from collections.abc import Collection
from math import comb, factorial

from netdsl.ops.spline import BSpline
from netdsl.record import dataclass
from netdsl.tensor_type import F32, F64, DType
from netdsl.tolerance_table import TOLERANCES

#: Every form.
FORMS = ("steps", "closed", "local", "folded", "truncated", "recursion")
#: Those that give one function at a time.
_SPLIT = ("closed", "folded")
#: Half the distance of 1 to the next number.
ROUNDING = {"f64": 2.0**-53, "f32": 2.0**-24, "f16": 2.0**-11, "bf16": 2.0**-8}
#: Passes over the result to compare, convert and multiply by a mask, and to cut it to size.
_MASKING = 4.0
#: Passes that a product by a small matrix is worth, for each row of the result.
_PRODUCT = 5.0
#: The width, in steps of the grid, in which a step of the folded form goes from 0 to 1.
STEEP = 2.0**-20


@dataclass(frozen=True, slots=True)
class Term:
    """A part of the cardinal B-spline: sign * (scale * relu(radius - |v|))^order, in units of the leading part."""

    radius: float
    scale: float
    is_added: bool


@dataclass(frozen=True, slots=True)
class Lane:
    """Splines order + 1 apart, folded onto one.

    Args:
        splines: their numbers, in order.
        folds:   what is subtracted before each absolute value; the last one leaves the distance from the centre.
        end:     x goes no further, where the folds make more splines than there are.
        borders: between two splines.
    """

    splines: tuple[int, ...]
    folds: tuple[float, ...]
    end: float | None
    borders: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Form:
    """A way to compute a basis.

    Args:
        cost:   passes over one tensor of the size of x.
        bound:  largest error of a value of the basis.
        chosen: whether it is the one to take.
        reason: why it was taken or not.
    """

    name: str
    cost: float
    bound: float
    chosen: bool
    reason: str


def choose_form(op: BSpline, dtype: DType, among: Collection[str] = FORMS) -> Form:
    """The cheapest form whose bound is within the table of tolerances; the most exact one if none is."""
    return next(form for form in forms(op, dtype, among) if form.chosen)


def choose_split_form(op: BSpline, dtype: DType) -> Form | None:
    """The form for a product with weights that takes one function at a time, if one is within the tolerances."""
    if dtype != F32 or op.order == 0:
        return None
    form = split_forms(op, dtype)[0]
    return form if form.bound <= _allowed(op, dtype) else None


def forms(op: BSpline, dtype: DType, among: Collection[str] = FORMS) -> tuple[Form, ...]:
    """Every form that there is for the order, the chosen one first, each with the reason."""
    return _judged(op, dtype, [entry for entry in _candidates(op, dtype, is_split=False) if entry[0] in among])


def split_forms(op: BSpline, dtype: DType) -> tuple[Form, ...]:
    """Like `forms`, for a product with weights that takes one function at a time."""
    return _judged(op, dtype, [entry for entry in _candidates(op, dtype, is_split=True) if entry[0] in _SPLIT])


def _allowed(op: BSpline, dtype: DType) -> float:
    relative, absolute = TOLERANCES[dtype.name]
    return absolute + relative * peak(op.order)


def _judged(op: BSpline, dtype: DType, candidates: list[tuple[str, float, float]]) -> tuple[Form, ...]:
    unit = ROUNDING["f32" if dtype.bits < 32 else dtype.name]
    last = ROUNDING[dtype.name] if dtype.bits < 32 else 0.0
    allowed = _allowed(op, dtype)
    made = [(name, cost, errors * unit + last) for name, cost, errors in candidates]
    within = [entry for entry in made if entry[2] <= allowed]
    best = min(within, key=lambda entry: entry[1]) if within else min(made, key=lambda entry: entry[2])
    found = []
    for name, cost, bound in made:
        if name == best[0]:
            reason = f"the cheapest within {allowed:.1e}" if within else f"none is within {allowed:.1e}; the most exact"
        elif bound > allowed:
            reason = f"may be off by {bound:.1e}, and {dtype} allows {allowed:.1e}"
        else:
            reason = f"costs {cost / best[1]:.1f} times as much"
        found.append(Form(name, cost, bound, name == best[0], reason))
    return tuple(sorted(found, key=lambda form: (not form.chosen, form.cost)))


def leading(order: int) -> float:
    """The largest coefficient of the closed form, taken out of its terms."""
    return max(_coefficients(order))


def terms(order: int) -> tuple[Term, ...]:
    """The closed form without its leading coefficient; each scaled part is at most 1."""
    top = leading(order)
    found = []
    for j, coefficient in enumerate(_coefficients(order)):
        radius = (order + 1) / 2 - j
        found.append(Term(radius, (coefficient / top) ** (1 / order) / radius, j % 2 == 0))
    return tuple(found)


def differences(order: int) -> tuple[float, ...]:
    """What makes a B-spline of the truncated powers at its order + 2 knots, in units of the step."""
    return tuple((-1) ** j * comb(order + 1, j) / factorial(order) for j in range(order + 2))


def peak(order: int) -> float:
    """The largest value of a B-spline on equal intervals."""
    if order == 0:
        return 1.0
    return sum(-coefficient if j % 2 else coefficient for j, coefficient in enumerate(_coefficients(order)))


def _coefficients(order: int) -> tuple[float, ...]:
    """Of (relu(r - |v|) / r)^order in the closed form, without signs."""
    radii = [(order + 1) / 2 - j for j in range((order + 2) // 2)]
    return tuple(comb(order + 1, j) * r**order / factorial(order) for j, r in enumerate(radii) if r > 0)


def powers(order: int) -> int:
    """Products that raise a number to `order`, by squaring."""
    return order.bit_length() - 1 + order.bit_count() - 1 if order else 0


def lanes(op: BSpline) -> tuple[Lane, ...]:
    """The folded form: lanes that hold every spline once."""
    apart = op.order + 1
    wide = apart * op.step
    found = []
    for first in range(min(apart, op.count)):
        splines = tuple(range(first, op.count, apart))
        places = 2 ** (len(splines) - 1).bit_length()
        start, half = op.knots[first], places * wide / 2
        folds = (start + half, *(half / 2**level for level in range(1, places.bit_length())))
        end = None if places == len(splines) else start + len(splines) * wide
        found.append(Lane(splines, folds, end, tuple(start + at * wide for at in range(1, len(splines)))))
    return tuple(found)


def _candidates(op: BSpline, dtype: DType, *, is_split: bool) -> list[tuple[str, float, float]]:
    """(name, cost, errors in units of rounding)."""
    p, count = op.order, op.count
    ends = max(abs(op.knots[0]), abs(op.knots[-1])) / op.step
    whole = op.grid + 2 * p
    if p == 0:
        return [("steps", 3.0 * count, 0.0)]
    coefficients = _coefficients(p)
    # The argument of every part is off alike, by the rounding of a knot and of a difference; then each part by itself:
    # its slope times the roundings of scale, product and sum, and those of its power, coefficient and sum.
    shared = ends + (p + 1) / 2 + 1
    parts = sum(c * (4 * p + powers(p) + 2 + len(coefficients)) for c in coefficients)
    bare = len(coefficients) * (2 + powers(p)) - 1.0
    passes = 2.0 + bare + (leading(p) != 1 and not is_split)
    blocks = -(-count // (p + 1))
    made = [
        ("closed", passes * count, shared + parts),
        ("local", (passes + 5) * (p + 1) + _MASKING * blocks * (p + 1), ends + 4 * whole + parts),
        (
            "truncated",
            whole * (2.0 + powers(p)) + count * (_PRODUCT + whole / 20),
            _truncated_errors(p, whole, ends),
        ),
        ("recursion", count * (3.0 + 7.0 * p), sum(4 * ends / q + 8 for q in range(1, p + 1))),
    ]
    if dtype != F64:  # ONNX Runtime has no HardSigmoid of f64
        mixing = 0.0 if is_split else count * (1 + _PRODUCT + count / 20)
        made.append(("folded", _folded_passes(op, bare) + mixing, _folded_errors(op, ends) + parts))
    return made


def _folded_passes(op: BSpline, bare: float) -> float:
    return sum(2.0 * len(lane.folds) + (lane.end is not None) + bare + 2 * len(lane.borders) for lane in lanes(op))


def _folded_errors(op: BSpline, ends: float) -> float:
    """Of the folds and of the end, of the differences of weights, and of the steps between 0 and 1."""
    p, places = op.order, -(-op.count // (op.order + 1))
    folds = 2 * ends + 4 * places * (p + 1) + 1
    steep = (STEEP / ROUNDING["f32"] + 4 * ends) ** p * ROUNDING["f32"] ** (p - 1)
    return folds + 4 * places + steep


def _truncated_errors(order: int, whole: int, ends: float) -> float:
    """Of the first spline at the last knot, where the powers are largest."""
    total = 0.0
    for j, difference in enumerate(differences(order)):
        distance = max(whole - j, 0)
        own = order * (2 * ends * distance ** (order - 1) + 2.0 * distance**order) if distance else 0.0
        total += abs(difference) * (own + (powers(order) + order + 3) * float(distance) ** order)
    return total
