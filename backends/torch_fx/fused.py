"""Block instances that torch has one function for."""

import torch
from torch.fx import Proxy
from torch.nn import functional

from netdsl.backends.torch_fx.emitter import GraphEmitter
from netdsl.backends.torch_fx.instances import LowerInstance
from netdsl.ir import Instance

Proxies = tuple[Proxy, ...]


def _linear(emitter: GraphEmitter, instance: Instance, operands: Proxies, captured: Proxies) -> Proxies | None:
    """`std.layers.Linear`: product and bias in one call."""
    has_bias = dict(instance.statics).get("bias") == "true"
    if len(operands) != 1 or len(captured) != 1 + has_bias:
        return None
    return (emitter.call(functional.linear, operands[0], *captured),)


def _attend(emitter: GraphEmitter, instance: Instance, operands: Proxies, captured: Proxies) -> Proxies | None:
    """`std.attention.attend` as scaled_dot_product_attention.

    A row whose keys are all masked is NaN by the block's softmax and 0 by torch's function; where there are no keys
    both are 0.
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
        mask = emitter.call(torch.logical_and, mask, triangle)
    attended = emitter.call(functional.scaled_dot_product_attention, query, key, value, attn_mask=mask)
    hidden = mask.logical_not()
    is_blind = emitter.call(torch.logical_and, hidden.all(-1, True), hidden.any(-1, True))
    return (attended.masked_fill(is_blind, float("nan")),)


FUSED: dict[str, LowerInstance] = {"std.layers.Linear": _linear, "std.attention.attend": _attend}
