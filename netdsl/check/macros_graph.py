"""`graph_einsum`: a polynomial of a matrix that a small graph says, summed over its inner nodes one at a time."""

import re

from netdsl.check.arguments import MacroCall
from netdsl.check.macros_math import known
from netdsl.check.macros_shape import named, one_tensor
from netdsl.check.report import mistake
from netdsl.check.values import CheckValue, TensorValue
from netdsl.ops.product import Einsum

_PATTERN = re.compile(r"[a-z]{2}( [a-z]{2})* ->( [a-z]{0,2})?")
#: A product of entries, and the nodes that its last axes stand for, in order.
_Factor = tuple[TensorValue, str]


def graph_einsum(call: MacroCall) -> CheckValue:
    """`graph_einsum["ab bc ca -> "](x)`: the sum over all a, b, c of x[a, b] x[b, c] x[c, a]; `-> ab` keeps nodes.

    Each inner node is summed as soon as those are that cost less: at each turn the one with the fewest neighbours.

    Raises: Mistake E0216: the pattern; E0205: no matrix.
    """
    known(call, "pattern")
    x, span = one_tensor(call)
    pattern = call.statics.get("pattern")
    if not isinstance(pattern, str) or not _PATTERN.fullmatch(pattern):
        raise mistake("E0216", 'the pattern is written "ab bc -> ac": edges, then the nodes to keep', call.span)
    left, _, kept = pattern.partition("->")
    kept = kept.strip()
    edges = left.split()
    if len(set(kept)) != len(kept) or not set(kept) <= set("".join(edges)):
        raise mistake("E0216", f"`{kept}` is to be kept, and is no list of nodes of the edges", call.span)
    if x.type.rank < 2:
        raise mistake("E0205", f"`graph_einsum` needs a matrix, found {x.type}", span)
    factors: list[_Factor] = [(x, edge) for edge in edges]
    inner = sorted(set("".join(edges)) - set(kept))
    while inner:
        node = min(inner, key=lambda n: len(_around(factors, n)))
        inner.remove(node)
        touched = [f for f in factors if node in f[1]]
        factors = [f for f in factors if node not in f[1]]
        factors.append(_joined(call, touched, "".join(sorted(_around(touched, node)))))
    result, _ = _joined(call, factors, kept)
    axes = x.type.axes
    return named(result, [*(a.name for a in axes[:-2]), *(axes[-2].name for _ in kept)])


def _around(factors: "list[_Factor]", node: str) -> set[str]:
    """The other nodes of the factors that have `node`."""
    return {other for _, nodes in factors if node in nodes for other in nodes} - {node}


def _joined(call: MacroCall, factors: "list[_Factor]", kept: str) -> _Factor:
    """The product of factors, summed over the nodes that are not kept; those with fewer nodes first."""
    factors = sorted(factors, key=lambda f: len(f[1]))
    left = ", ".join(f"... {' '.join(nodes)}" for _, nodes in factors)
    pattern = f"{left} -> ... {' '.join(kept)}".strip()
    value = call.body.apply1(Einsum(pattern), [f[0] for f in factors], call.span)
    return value, kept
