"""The path elements of calls: labels, and the names of what is called (rule R6)."""

import re
from typing import TYPE_CHECKING

from netdsl import syntax as s
from netdsl.check.builder import join
from netdsl.check.report import mistake
from netdsl.check.values import BlockRef, CheckValue, InstanceRef, TensorValue

if TYPE_CHECKING:
    from netdsl.check.body import Body


def tap(body: "Body", label: s.Labelled, result: CheckValue) -> None:
    """Make a labelled value readable under its path.

    Raises: Mistake E0333: the label is taken.
    """
    take_label(body, label)
    tap_taken(body, label, result)


def tap_taken(body: "Body", label: s.Labelled, result: CheckValue) -> None:
    """Make the result readable under a label that its call took for its parameters."""
    if isinstance(result, TensorValue) and not body.builder.regions:
        body.builder.tap(join(body.path, label.name), result.value)


def take_label(body: "Body", label: s.Labelled) -> None:
    """Raises: Mistake E0333: the label is taken."""
    key = (body.path, label.name)
    if key in body.builder.used_names:
        raise mistake(
            "E0333",
            f"`{label.name}` already names something here",
            label.name_span,
            others=tuple((span, "used here") for at, span in body.builder.labels.items() if at == key),
            help="labels are unique within a block; inside `repeat`, label the loop",
        )
    body.builder.used_names[key] = 1
    body.builder.labels[key] = label.name_span


def path_name(target: "BlockRef | InstanceRef", func: s.Expr) -> str:
    """The path element of an unlabelled call: a static parameter's own name, else the block's (rule R6)."""
    if isinstance(target, InstanceRef):
        return target.path
    if isinstance(func, s.Name) and func.id != target.name:
        return snake_case(func.id)
    return snake_case(target.name)


def snake_case(name: str) -> str:
    """`FeedForward` -> `feed_forward`, `Conv2d` -> `conv2d`, `MLP` -> `mlp`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
