"""bf16 models pass ONNX's checker at every opset, though ONNX Runtime's CPU provider has no kernels to run them."""

import onnx
import pytest

from netdsl.backends.onnx.model import build_model
from netdsl.ops import activation, comparison, elementwise, unary
from netdsl.ops.base import Op
from netdsl.tensor_type import BF16, BOOL, tensor
from tests.ops.harness import one_node

LOGIC = (comparison.LogicalAnd, comparison.LogicalOr, comparison.LogicalXor, comparison.LogicalNot)
OPS = [
    op
    for family in (elementwise, comparison, unary, activation)
    for op in family.OPS
    if op not in (*LOGIC, elementwise.Cast)
]


@pytest.mark.parametrize("opset", [18, 19, 20, 21, 22, 23])
def test_models_are_valid(opset: int) -> None:
    for op in OPS:
        first = BOOL if op is elementwise.Select else BF16
        types = [tensor(first, "N"), *[tensor(BF16, "N")] * (len(op.operands) - 1)]
        made: Op = op()
        onnx.checker.check_model(build_model(one_node(made, types), {}, opset=opset), full_check=True)
