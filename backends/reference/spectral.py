"""The discrete Fourier transform of real numbers, and back."""

from typing import Any

import numpy as np

from netdsl.backends.reference.context import Array, Compute, Env
from netdsl.dims import Dim
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.spectral import Irfft, Rfft


def _rfft(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, Rfft)
    transformed = np.fft.rfft(operands[0], axis=op.normalised(node.operand_types).axis)
    return (np.stack([transformed.real, transformed.imag], axis=-1),)


def _irfft(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, Irfft)
    x: Any = operands[0]
    axis = op.normalised(node.operand_types).axis
    return (np.fft.irfft(x[..., 0] + 1j * x[..., 1], n=env.dim(Dim.of(op.n)), axis=axis),)


TABLE: dict[type[Op], Compute] = {Rfft: _rfft, Irfft: _irfft}
