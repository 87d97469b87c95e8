"""The discrete Fourier transform of real numbers, and back."""

import torch
from torch.fx import Proxy

from netdsl.backends.torch_fx.context import Emitter, Lower
from netdsl.dims import Dim
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.spectral import Irfft, Rfft


def _rfft(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, Rfft)
    return (e.call(rfft, operands[0], op.normalised(node.operand_types).axis),)


def _irfft(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, Irfft)
    return (e.call(irfft, operands[0], e.dim(Dim.of(op.n)), op.normalised(node.operand_types).axis),)


def rfft(x: torch.Tensor, axis: int) -> torch.Tensor:
    """`torch.fft.rfft` as pairs; its CPU kernels lack half types and refuse an empty batch."""
    if x.numel() == 0:
        return _nothing(x, (*x.shape[:axis], x.shape[axis] // 2 + 1, *x.shape[axis + 1 :], 2))
    return torch.view_as_real(torch.fft.rfft(_widened(x), dim=axis)).to(x.dtype)


def irfft(x: torch.Tensor, n: int, axis: int) -> torch.Tensor:
    """`torch.fft.irfft` of pairs."""
    if x.numel() == 0:
        return _nothing(x, (*x.shape[:axis], n, *x.shape[axis + 1 : -1]))
    wide = _widened(x)
    numbers: torch.Tensor = torch.fft.irfft(torch.complex(wide[..., 0], wide[..., 1]), n=n, dim=axis)
    return numbers.to(x.dtype)


def _nothing(x: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """An empty tensor that gradients flow through."""
    return x.new_zeros(shape) + x.sum()


def _widened(x: torch.Tensor) -> torch.Tensor:
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


TABLE: dict[type[Op], Lower] = {Rfft: _rfft, Irfft: _irfft}

UNSUPPORTED: dict[type[Op], str] = {}
