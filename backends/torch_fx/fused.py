"""Block instances that torch has one function for."""

import torch
from torch.fx import Proxy
from torch.nn import functional

from netdsl.backends.torch_fx.emitter import GraphEmitter
from netdsl.backends.torch_fx.instances import LowerInstance
from netdsl.ir import Instance


def _attend(emitter: GraphEmitter, instance: Instance, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...] | None:
    """`std.attention.attend` as scaled_dot_product_attention.

    A row whose keys are all masked is NaN by the block's softmax and 0 by torch's function. Both are 0 where there
    are no keys.
    """
    statics = dict(instance.statics)
    features = instance.inputs[0].type.sizes[-1]
    if statics.keys() > {"causal"} or not features.is_const or features.value == 0 or len(instance.outputs) != 1:
        return None
    is_causal = statics.get("causal", "false") == "true"
    query, key, value, *masks = operands
    if not masks:
        attended = emitter.call(functional.scaled_dot_product_attention, query, key, value, is_causal=is_causal)
        return (attended,)
    if instance.inputs[3].type.sizes[-1] == 1:
        return None
    (mask,) = masks
    if is_causal:
        size = emitter.shape((instance.inputs[0].type.sizes[-2], instance.inputs[1].type.sizes[-2]))
        triangle = emitter.call(torch.ones, size, dtype=torch.bool, device=emitter.device()).tril()
        mask = mask & triangle
    attended = emitter.call(functional.scaled_dot_product_attention, query, key, value, attn_mask=mask)
    is_blind = mask.logical_not().all(-1, True) & mask.logical_not().any(-1, True)
    return (attended.masked_fill(is_blind, float("nan")),)


FUSED: dict[str, LowerInstance] = {"std.attention.attend": _attend}
