"""The graph of a network: what its body came to, between inputs and outputs that are named."""

from collections.abc import Mapping
from dataclasses import replace

from netdsl import syntax as s
from netdsl.check.body import Body
from netdsl.check.builder import Template, tensors_in
from netdsl.check.choices import open_choices
from netdsl.check.results import result_fields
from netdsl.check.values import TensorValue, TupleValue
from netdsl.ir import Graph, Instance, Param, Range, Update, Value


def assembled(
    template: Template,
    body: Body,
    header: s.Header,
    tensors: Mapping[str, TensorValue],
    ranges: tuple[Range, ...],
) -> Graph:
    """A network's checked body with the inputs, outputs and instance row of its own."""
    named = {name: Value(t.type, name) for name, t in tensors.items()}
    mapping = dict(zip(template.inputs, named.values(), strict=True))

    def swap(values: tuple[Value, ...]) -> tuple[Value, ...]:
        return tuple(mapping.get(v, v) for v in values)

    nodes = tuple(replace(n, operands=swap(n.operands)) for n in template.nodes)
    fields = result_fields(header)
    results = template.result.items if isinstance(template.result, TupleValue) else (template.result,)
    outputs: list[tuple[str, Value]] = []
    for index, ((name, _), value) in enumerate(zip(fields, results, strict=True)):
        assert isinstance(value, TensorValue)
        shown = name or ("output" if len(fields) == 1 else f"output_{index}")
        outputs.append((shown, mapping.get(value.value, value.value)))
    root = Instance(
        -1,
        template.block,
        template.statics,
        "",
        header.span,
        tuple(named.values()),
        swap(tuple(tensors_in(template.result))),
        template.digest,
    )
    return Graph(
        header.name,
        tuple(named.items()),
        tuple(outputs),
        tuple(Param(e.path, e.kind, e.value, e.init, None, e.span) for e in template.params),
        nodes,
        tuple(Update(p, mapping.get(v, v)) for p, v in template.updates),
        tuple(replace(t, value=mapping.get(t.value, t.value)) for t in template.taps),
        (root, *(replace(i, inputs=swap(i.inputs), outputs=swap(i.outputs)) for i in template.instances)),
        body.builder.facts,
        body.checker.training,
        open_choices(body, template.choices),
        ranges,
    )
