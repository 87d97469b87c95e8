"""What is known of one parameter of a block: `leaf.shape`, `leaf.fan_in`, `leaf.std` (rule R9)."""

import math

from netdsl import syntax as s
from netdsl.check.initialiser_names import STACKED
from netdsl.check.report import mistake
from netdsl.check.values import CheckValue, LeafValue, ListValue
from netdsl.did_you_mean import suggest
from netdsl.ir import Init

_FIELDS = ("path", "name", "shape", "rank", "numel", "kernel", "fan_in", "fan_out", "mean", "std", "index", "count")


def leaf_field(leaf: LeafValue, expr: s.Attribute) -> CheckValue:
    """`leaf.shape` and the like. Fans as PyTorch counts them, of a parameter with fewer than 2 axes its elements.

    `rank`, `kernel`, the fans and the spread are those of one copy, where leading axes number copies.

    Raises: Mistake E0328: no such field.
    """
    shape = [size.value for size in leaf.type.sizes]
    own = shape[int(dict(leaf.init.args).get(STACKED, 0)) :]
    match expr.name:
        case "path":
            return leaf.path
        case "name":
            return leaf.path.rpartition(".")[2]
        case "shape":
            return ListValue(tuple(shape))
        case "rank":
            return len(own)
        case "numel":
            return math.prod(shape)
        case "kernel":
            return math.prod(own[2:])
        case "fan_in":
            return _fans(own)[0]
        case "fan_out":
            return _fans(own)[1]
        case "mean":
            return moments(leaf.init, own)[0]
        case "std":
            return moments(leaf.init, own)[1]
        case "index":
            return leaf.index
        case "count":
            return leaf.count
    near = suggest(expr.name, list(_FIELDS))
    help = f"did you mean `{near}`?" if near else f"it has {', '.join(_FIELDS)}"
    raise mistake("E0328", f"a leaf has no field `{expr.name}`", expr.name_span, help=help)


def _fans(shape: list[int]) -> tuple[int, int]:
    kernel = math.prod(shape[2:])
    return (shape[1] * kernel, shape[0] * kernel) if len(shape) > 1 else (math.prod(shape), math.prod(shape))


def moments(init: Init, shape: list[int]) -> tuple[float, float]:
    """Mean and standard deviation of the elements that an initialiser draws for one copy of a parameter."""
    n = {name: float(value) for name, value in init.args}
    fan_in, fan_out = (max(fan, 1) for fan in _fans(shape))
    match init.name:
        case "zeros":
            return 0.0, 0.0
        case "ones":
            return 1.0, 0.0
        case "constant":
            return n["value"], 0.0
        case "normal":
            return n["mean"], n["std"]
        case "uniform":
            return 0.0, n["bound"] / math.sqrt(3)
        case "trunc_normal":
            return _cut_normal(n["mean"], n["std"])
        case "xavier_uniform" | "xavier_normal":
            return 0.0, n["gain"] * math.sqrt(2 / (fan_in + fan_out))
        case "kaiming_uniform" | "kaiming_normal":
            return 0.0, math.sqrt(2 / ((1 + n["a"] ** 2) * fan_in))
        case "orthogonal":
            rows, columns = shape[0], math.prod(shape[1:])
            return 0.0, n["gain"] / math.sqrt(max(rows, columns, 1))
    assert init.name == "identity_matrix", init
    ones = min(shape) / max(math.prod(shape), 1)
    return ones, math.sqrt(ones * (1 - ones))


def _cut_normal(mean: float, std: float) -> tuple[float, float]:
    """Moments of a normal that is drawn anew until it lies within -2 to 2."""
    low, high = (-2 - mean) / std, (2 - mean) / std
    mass = (math.erf(high / math.sqrt(2)) - math.erf(low / math.sqrt(2))) / 2
    if mass < 1e-2:  # the bounds are narrow beside the normal: all but uniform between them, and no digits to lose
        return 0.0, 2 / math.sqrt(3)
    at_low, at_high = (math.exp(-z * z / 2) / math.sqrt(2 * math.pi) for z in (low, high))
    shift = (at_low - at_high) / mass
    spread = 1 + (low * at_low - high * at_high) / mass - shift * shift
    return mean + std * shift, std * math.sqrt(max(spread, 0.0))
