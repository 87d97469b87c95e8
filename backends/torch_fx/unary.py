"""Functions of one float element: roots, exponentials, trigonometry, rounding."""

import torch

from netdsl.backends.torch_fx.context import Lower
from netdsl.backends.torch_fx.elementwise import function
from netdsl.ops.base import Op
from netdsl.ops.unary import (
    Acos,
    Asin,
    Atan,
    Ceil,
    Cos,
    Cosh,
    Erf,
    Exp,
    Expm1,
    Floor,
    Log,
    Log1p,
    Reciprocal,
    Round,
    Rsqrt,
    Sin,
    Sinh,
    Sqrt,
    Tan,
    Tanh,
    Trunc,
)

TABLE: dict[type[Op], Lower] = {
    Sqrt: function(torch.sqrt),
    Rsqrt: function(torch.rsqrt),
    Reciprocal: function(torch.reciprocal),
    Exp: function(torch.exp),
    Expm1: function(torch.expm1),
    Log: function(torch.log),
    Log1p: function(torch.log1p),
    Sin: function(torch.sin),
    Cos: function(torch.cos),
    Tan: function(torch.tan),
    Asin: function(torch.asin),
    Acos: function(torch.acos),
    Atan: function(torch.atan),
    Sinh: function(torch.sinh),
    Cosh: function(torch.cosh),
    Tanh: function(torch.tanh),
    Erf: function(torch.erf),
    Floor: function(torch.floor),
    Ceil: function(torch.ceil),
    Round: function(torch.round),
    Trunc: function(torch.trunc),
}

UNSUPPORTED: dict[type[Op], str] = {}
