"""Initial values of parameters: a function of the seed, the path, the shape and the type only."""

import hashlib
import math
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from netdsl.ir import Param

Array = NDArray[np.float64]


def generator(seed: int, path: str) -> np.random.Generator:
    """The random stream of one parameter: Philox keyed by seed and path, the same on every machine."""
    key = hashlib.sha256(f"{seed}:{path}".encode()).digest()[:16]
    return np.random.Generator(np.random.Philox(key=int.from_bytes(key, "little")))


def initial_value(param: Param, seed: int) -> NDArray[np.generic]:
    """The initial value of `param`, in its storage type's width (f32 for f16 and bf16).

    An initialiser with `stacked=k` draws each copy along the first k axes on its own, with the fans of one copy.

    Shapes: the parameter's.
    Source: torch.nn.init of the same names; fans as torch counts them (axis 1 in, axis 0 out, times the kernel).
    """
    shape = tuple(size.value for size in param.value.type.sizes)
    assert param.init is not None
    numbers = dict(param.init.args)
    dtype = param.value.type.dtype
    width: type[np.generic] = (
        np.float64
        if dtype.name == "f64"
        else np.float32
        if dtype.is_float
        else np.dtype(dtype.storage.name.replace("i", "int").replace("u8", "uint8")).type
    )
    rng = generator(seed, param.path)
    draw = _DRAW[param.init.name]
    copies, own = shape[: int(numbers.get("stacked", 0))], shape[int(numbers.get("stacked", 0)) :]
    if not copies:
        return np.asarray(draw(rng, shape, numbers, width), width)
    value = np.empty(shape, width)
    for at in np.ndindex(copies):
        value[at] = draw(rng, own, numbers, width)
    return value


def initial_values(params: Iterable[Param], seed: int) -> dict[str, NDArray[np.generic]]:
    """Initial values of every parameter and state by path; constants keep their data."""
    return {p.path: initial_value(p, seed) if p.init is not None else np.asarray(p.data) for p in params}


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """(fan in, fan out) of a weight."""
    if len(shape) < 2:
        return max(math.prod(shape), 1), max(math.prod(shape), 1)
    kernel = math.prod(shape[2:])
    return max(shape[1] * kernel, 1), max(shape[0] * kernel, 1)


def _normal(
    rng: np.random.Generator, shape: tuple[int, ...], std: float, mean: float, width: type[np.generic]
) -> NDArray[np.generic]:
    values = rng.standard_normal(shape, dtype=np.float32 if width is np.float32 else np.float64)
    values *= std
    if mean:
        values += mean
    return values


def _uniform(
    rng: np.random.Generator, shape: tuple[int, ...], bound: float, width: type[np.generic]
) -> NDArray[np.generic]:
    values = rng.random(shape, dtype=np.float32 if width is np.float32 else np.float64)
    values *= 2 * bound
    values -= bound
    return values


def _trunc_normal(rng: np.random.Generator, shape: tuple[int, ...], numbers: dict[str, float]) -> Array:
    """Normal, drawn anew until within [-2, 2], as torch.nn.init.trunc_normal_ with its default bounds.

    Where the bounds are narrow beside the normal, draws are uniform between them and kept in proportion to its density.
    """
    std, mean = numbers["std"], numbers["mean"]
    low, high = (-2.0 - mean) / std, (2.0 - mean) / std
    values = np.empty(math.prod(shape))
    missing = np.arange(values.size)
    while missing.size:
        if high - low > math.sqrt(2 * math.pi):
            drawn = rng.standard_normal(missing.size)
            kept = (drawn >= low) & (drawn <= high)
        else:
            drawn = rng.uniform(low, high, missing.size)
            kept = rng.random(missing.size) < np.exp(-drawn * drawn / 2)
        values[missing[kept]] = drawn[kept]
        missing = missing[~kept]
    return (values * std + mean).reshape(shape)


def _orthogonal(rng: np.random.Generator, shape: tuple[int, ...], gain: float) -> Array:
    rows, columns = shape[0], math.prod(shape[1:])
    flat = rng.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(flat)
    q *= np.sign(np.diag(r))
    return gain * (q if rows >= columns else q.T).reshape(shape)


Draw = Callable[[np.random.Generator, tuple[int, ...], dict[str, float], type], NDArray[np.generic]]

_DRAW: dict[str, Draw] = {
    "zeros": lambda rng, shape, n, w: np.zeros(shape, w),
    "ones": lambda rng, shape, n, w: np.ones(shape, w),
    "constant": lambda rng, shape, n, w: np.full(shape, n["value"], w),
    "normal": lambda rng, shape, n, w: _normal(rng, shape, n["std"], n["mean"], w),
    "uniform": lambda rng, shape, n, w: _uniform(rng, shape, n["bound"], w),
    "trunc_normal": lambda rng, shape, n, w: _trunc_normal(rng, shape, n),
    "xavier_uniform": lambda rng, shape, n, w: _uniform(rng, shape, n["gain"] * math.sqrt(6 / sum(fans(shape))), w),
    "xavier_normal": lambda rng, shape, n, w: _normal(rng, shape, n["gain"] * math.sqrt(2 / sum(fans(shape))), 0, w),
    "kaiming_uniform": lambda rng, shape, n, w: _uniform(
        rng, shape, math.sqrt(6 / ((1 + n["a"] ** 2) * fans(shape)[0])), w
    ),
    "kaiming_normal": lambda rng, shape, n, w: _normal(
        rng, shape, math.sqrt(2 / ((1 + n["a"] ** 2) * fans(shape)[0])), 0, w
    ),
    "orthogonal": lambda rng, shape, n, w: _orthogonal(rng, shape, n["gain"]),
    "linspace": lambda rng, shape, n, w: np.broadcast_to(np.linspace(n["start"], n["stop"], shape[-1]), shape),
    "identity_matrix": lambda rng, shape, n, w: np.eye(shape[0], shape[1], dtype=w),
}
