"""Comparisons, logic and tests of elements."""

import torch

from netdsl.backends.torch_fx.context import Lower
from netdsl.backends.torch_fx.elementwise import function
from netdsl.ops.base import Op
from netdsl.ops.comparison import Eq, Ge, Gt, IsInf, IsNan, Le, LogicalAnd, LogicalNot, LogicalOr, LogicalXor, Lt, Ne

TABLE: dict[type[Op], Lower] = {
    Eq: function(torch.eq),
    Ne: function(torch.ne),
    Lt: function(torch.lt),
    Le: function(torch.le),
    Gt: function(torch.gt),
    Ge: function(torch.ge),
    LogicalAnd: function(torch.logical_and),
    LogicalOr: function(torch.logical_or),
    LogicalXor: function(torch.logical_xor),
    LogicalNot: function(torch.logical_not),
    IsNan: function(torch.isnan),
    IsInf: function(torch.isinf),
}

UNSUPPORTED: dict[type[Op], str] = {}
