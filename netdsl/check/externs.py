"""`extern`: a typed signature of a function that an installed plug-in registers."""

from netdsl import syntax as s
from netdsl.check.body import Body
from netdsl.check.report import mistake
from netdsl.check.results import result_fields
from netdsl.check.types import tensor_type
from netdsl.check.values import CheckValue, TensorValue, TupleValue, print_static
from netdsl.ops.external import ExternCall


def extern_result(body: Body, decl: s.Extern) -> CheckValue:
    """The results of an extern call: their types are the header's, their values the plug-in's.

    Raises: Mistake E0364: the plug-in's name is not `name:function`.
    """
    if decl.plugin.count(":") != 1 or not all(p.isidentifier() for p in decl.plugin.replace(":", ".").split(".")):
        raise mistake(
            "E0364",
            f'"{decl.plugin}" does not name a plug-in function',
            decl.plugin_span,
            help='write it like "my_plugin:function"',
        )
    fields = result_fields(decl.header)
    types = tuple(tensor_type(body, written) for _, written in fields)
    statics = []
    for param in decl.header.statics:
        binding = body.scope.find(param.name)
        assert binding is not None
        statics.append((param.name, print_static(binding.value)))
    op = ExternCall(decl.plugin, tuple(statics), tuple(t.without_names() for t in types))
    results = body.apply(op, tuple(body.inputs.values()), decl.header.span)
    named = tuple(TensorValue(r.value, t) for r, t in zip(results, types, strict=True))
    return named[0] if len(named) == 1 else TupleValue(named, tuple(n for n, _ in fields))
