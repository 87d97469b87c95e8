"""Specs with one known error each: where it was put, what code it must get, and the name that was meant."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from netdsl import syntax as s
from netdsl.check.library import BUILTINS
from netdsl.check.modules import prelude_index
from netdsl.check.names import children
from netdsl.check.struct_types import WRITTEN
from netdsl.parser import parse
from netdsl.source import Source, Span
from netdsl.tensor_type import DTYPES

#: First static of the library's blocks that need one.
NEEDED = {
    "Linear": "out", "Conv2d": "out", "ConvTranspose2d": "out", "Embedding": "count", "BiLstm": "hidden", "Mlp": "hidden",
    "FeedForward": "hidden", "SelfAttention": "heads", "fourier_features": "count",
}  # fmt: skip
KEYWORDS = frozenset(
    {
        "const", "param", "state", "update", "let", "repeat", "for", "if", "else", "yield", "as", "in", "where", "scan",
        "decode", "true", "false", "none",
    }
)  # fmt: skip
#: What a size that is wrong by one can be reported as: it depends on what the size meets first.
SIZES = frozenset(
    (
        "E0202",
        "E0203",
        "E0207",
        "E0208",
        "E0209",
        "E0210",
        "E0211",
        "E0212",
        "E0214",
        "E0215",
        "E0216",
        "E0218",
        "E0320",
    )
)
TYPES = frozenset({"E0201", "E0205", "E0214", "E0217", "E0218", "E0361", "E0301", "E0320"}) | SIZES


@dataclass(frozen=True)
class Mutant:
    """A text with one error.

    Args:
        start, end: the characters that are wrong.
        codes:      one of these must be reported there.
        meant:      the name that the message must suggest; "" where it need not.
        is_sure:    whether it is an error in any case; else it may be a right network by chance.
    """

    text: str
    start: int
    end: int
    codes: frozenset[str]
    meant: str = ""
    is_sure: bool = True


class Spec:
    """A spec and the places in it where errors fit."""

    def __init__(self, name: str, text: str) -> None:
        self.name, self.text = name, text
        self.module = parse(Source(name, text))
        self.blocks = [item for item in self.module.items if isinstance(item, s.Block)]
        self.network = next(block for block in self.blocks if block.kind == "network")
        self.nodes: list[object] = list(walk(self.module))
        self.callees = [callee for node in self.nodes for callee in callee_names(node)]
        self.names = {node.id for node in self.nodes if isinstance(node, s.Name)} | {
            name for block in self.blocks for name in (block.header.name, *(p.name for p in block.header.statics))
        }
        self.known = self.names | set(BUILTINS) | set(prelude_index()) | set(DTYPES)
        header = self.network.header
        tensors = [p for p in header.params if p.type.name not in WRITTEN]  # type: ignore[union-attr]
        self.first = tensors[0].name
        statics = {param.name for param in header.statics}
        self.free = next(
            e.id for p in header.params for group in p.type.groups for e in group  # type: ignore[union-attr]
            if isinstance(e, s.Name) and e.id not in statics
        )  # fmt: skip

    def all(self, kind: type) -> list[object]:
        return [node for node in self.nodes if isinstance(node, kind)]

    def written(self, span: Span) -> str:
        return self.text[span.start : span.end]

    def replaced(self, span: Span, new: str, codes: str, meant: str = "", *, is_sure: bool = True) -> Mutant:
        """The error is what stands in the place of `span`."""
        text = self.text[: span.start] + new + self.text[span.end :]
        return Mutant(text, span.start, span.start + max(len(new), 1), frozenset(codes.split()), meant, is_sure)

    def inserted(self, line: str, codes: str, wrong: str = "", meant: str = "") -> Mutant:
        """The error is `wrong`, or all of `line`, put before the last statement of the network."""
        at = self.network.body.statements[-1].span.start
        text = self.text[:at] + line + "\n    " + self.text[at:]
        start = at + (line.rindex(wrong) if wrong else 0)
        return Mutant(text, start, start + len(wrong or line), frozenset(codes.split()), meant)


def walk(node: object) -> Iterator[object]:
    """The node and all syntax below it, in order."""
    yield node
    for child in children(node):
        yield from walk(child)


def callee_names(node: object) -> Iterator[s.Name]:
    """The name that a call or a stage of a pipe calls."""
    if isinstance(node, s.Call):
        callee: object = node.func
    elif isinstance(node, s.Pipe):
        callee = node.right
    else:
        return
    while isinstance(callee, (s.Index, s.Call, s.Labelled)):
        if isinstance(callee, s.Call) and isinstance(node, s.Pipe):
            return
        callee = (
            callee.base
            if isinstance(callee, s.Index)
            else callee.operand
            if isinstance(callee, s.Labelled)
            else callee.func
        )
    if isinstance(callee, s.Name):
        yield callee


def typo(draw: random.Random, word: str, known: set[str]) -> str:
    """The word with one letter replaced, left out, put in, or swapped with the next."""
    while True:
        at, letter = draw.randrange(len(word)), draw.choice("abcdefghijklmnopqrstuvwxyz")
        match draw.randrange(4):
            case 0:
                new = word[:at] + letter + word[at + 1 :]
            case 1:
                new = word[:at] + word[at + 1 :]
            case 2:
                new = word[:at] + letter + word[at:]
            case _:
                new = word[:at] + word[at + 1 : at + 2] + word[at] + word[at + 2 :]
        if new.isidentifier() and new not in known and new not in KEYWORDS and new != word:
            return new


#: The mutants of one kind that fit into a spec.
Kind = Callable[[Spec, random.Random], Iterator[Mutant]]

# --- names -----------------------------------------------------------------------------------------


def typo_block(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    for name in spec.callees:
        if name.id[0].isupper():
            yield spec.replaced(name.span, typo(draw, name.id, spec.known), "E0300", name.id)


def typo_op(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    for name in spec.callees:
        if (
            name.id[0].islower()
            and len(name.id) > 2
            and name.id in spec.known - {p.name for p in spec.all(s.StaticParam)}
        ):
            yield spec.replaced(name.span, typo(draw, name.id, spec.known), "E0300", name.id)
    yield spec.inserted("zz = softmx(zeros[2, 3])", "E0300", "softmx", "softmax")


#: Values of brackets that are words and not names.
WORDS = ("hard", "soft", "out", "layer")


def typo_variable(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    called = {id(name) for name in spec.callees}
    for block in spec.blocks:
        for node in walk(block.body):
            if not isinstance(node, s.Name) or id(node) in called or len(node.id) <= 2 or not node.id[0].islower():
                continue
            if node.id not in BUILTINS and node.id not in ("training", *WORDS):
                yield spec.replaced(node.span, typo(draw, node.id, spec.known), "E0300 E0350", node.id)
    name = spec.network.header.statics[0].name
    wrong = typo(draw, name, spec.known)
    yield spec.inserted(f"zz = zeros[2] * {wrong}", "E0300", wrong, name)


def typo_static(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    for node in spec.all(s.Index):
        for arg in node.args:  # type: ignore[attr-defined]
            if arg.name is not None and len(arg.name) > 2:
                wrong = typo(draw, arg.name, {arg.name})
                place = Span(arg.span.source, arg.span.start, arg.span.start + len(arg.name))
                yield spec.replaced(place, wrong, "E0330", arg.name)
    yield spec.inserted("zz = zeros[2, 3] |> Linear[2, bais=false] as zz", "E0330", "bais", "bias")


def typo_field(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    for node in spec.all(s.Attribute):
        assert isinstance(node, s.Attribute)
        if len(node.name) > 2:
            yield spec.replaced(node.name_span, typo(draw, node.name, set()), "E0328", node.name)
    yield spec.inserted("zz = (size=1, depth=2).deqth", "E0328", "deqth", "depth")


def typo_measure(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    for claim in spec.all(s.Claim):
        for node in walk(claim.value):  # type: ignore[attr-defined]
            if isinstance(node, s.Name):
                yield spec.replaced(node.span, typo(draw, node.id, set()), "E0300 E0370", node.id)


def typo_import(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    for item in spec.all(s.Import):
        for name in item.names:  # type: ignore[attr-defined]
            yield spec.replaced(name.span, typo(draw, name.id, set()), "E0313", name.id)
    wrong = typo(draw, "CrossAttention", set())
    line = f"import std.attention: {wrong}\n"
    at = line.index(wrong)
    yield Mutant(line + spec.text, at, at + len(wrong), frozenset({"E0313"}), "CrossAttention")


def typo_module(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    for item in spec.all(s.Import):
        assert isinstance(item, s.Import)
        if not item.path.startswith("std."):
            continue
        wrong = "std." + typo(draw, item.path.removeprefix("std."), set())
        yield spec.replaced(item.path_span, wrong, "E0312", item.path)
    line = "import std.normalistion: GroupNorm\n"
    yield Mutant(line + spec.text, 7, 24, frozenset({"E0312"}), "std.normalisation")


def typo_type(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    for node in spec.all(s.NamedType):
        assert isinstance(node, s.NamedType)
        place = Span(node.span.source, node.span.start, node.span.start + len(node.name))
        wrong = typo(draw, node.name, {*DTYPES, "int", "num", "float", "idx", "dim", "str"})
        yield spec.replaced(place, wrong, "E0310", node.name if len(node.name) > 3 else "")


def typo_initialiser(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    for node in spec.all(s.ParamDecl):
        init = node.init  # type: ignore[attr-defined]
        name = init.base if isinstance(init, s.Index) else init
        if isinstance(name, s.Name):
            yield spec.replaced(name.span, typo(draw, name.id, {"zero", "one"}), "E0350", name.id)
    yield spec.inserted("param zz: f32[2] ~ zeors", "E0350", "zeors", "zeros")


# --- statics and arguments -------------------------------------------------------------------------


def needy(spec: Spec) -> Iterator[tuple[s.Index, str]]:
    """Brackets of blocks whose first static has no default, and its name."""
    needed = dict(NEEDED)
    for block in spec.blocks:
        if block.header.statics and block.header.statics[0].default is None:
            needed[block.header.name] = block.header.statics[0].name
    called = {id(name) for name in spec.callees} | {
        id(n.value.base) for n in spec.all(s.Let) if isinstance(n.value, s.Index)
    }  # type: ignore[attr-defined]
    for node in spec.all(s.Index):
        assert isinstance(node, s.Index)
        if isinstance(node.base, s.Name) and id(node.base) in called and node.base.id in needed:
            yield node, needed[node.base.id]


def missing_static(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    for node, _ in needy(spec):
        yield spec.replaced(node.span, spec.written(node.base.span), "E0334")


def wrong_static_kind(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    for node, _ in needy(spec):
        yield spec.replaced(
            node.args[0].span, draw.choice(('"wide"', "true", "relu", "0.5", "f32")), "E0324 E0302 E0303"
        )


def static_twice(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    for node, name in needy(spec):
        last = node.args[-1].span
        place = Span(last.source, last.end, last.end)
        if node.args[0].name is None:
            yield spec.replaced(place, f", {name}=1", "E0331")


def size_of_static(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    for node, _ in needy(spec):
        if node.args[0].name is None and not isinstance(node.args[0].value, s.ListExpr):
            yield spec.replaced(
                node.args[0].span, f"{spec.written(node.args[0].span)} + 1", " ".join(SIZES), is_sure=False
            )
    yield spec.inserted(
        "zz = (zeros[2, 3] |> Linear[4] as zz) + zeros[2, 5]", "E0202", "(zeros[2, 3] |> Linear[4] as zz) + zeros[2, 5]"
    )


def missing_tensor(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    for node in spec.all(s.Pipe):
        assert isinstance(node, s.Pipe)
        right = node.right.operand if isinstance(node.right, s.Labelled) else node.right
        if not isinstance(right, s.Call):
            yield spec.replaced(
                Span(node.span.source, node.span.start, right.span.end), f"{spec.written(right.span)}()", "E0323"
            )


def extra_tensor(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    for node in spec.all(s.Pipe):
        assert isinstance(node, s.Pipe)
        right = node.right.operand if isinstance(node.right, s.Labelled) else node.right
        block = next(b for b in spec.blocks if b.span.start <= node.span.start < b.span.end)
        if not isinstance(right, s.Call):
            extra = ", ".join([block.header.params[0].name] * 6)
            yield spec.replaced(right.span, f"{spec.written(right.span)}({extra})", "E0323")


def swapped(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    for node in spec.nodes:
        pair: tuple[Span, Span] | None = None
        if isinstance(node, s.Call) and len(node.args) > 1 and not any(a.name or a.splat for a in node.args[:2]):
            pair = node.args[0].span, node.args[1].span
        elif isinstance(node, s.Binary) and node.op == "@":
            pair = node.left.span, node.right.span
        if pair is not None:
            between = spec.text[pair[0].end : pair[1].start]
            new = spec.written(pair[1]) + between + spec.written(pair[0])
            yield spec.replaced(pair[0].until(pair[1]), new, " ".join(TYPES), is_sure=False)
    yield spec.inserted("zz = zeros[4, 3] @ zeros[2, 4]", "E0203", "zeros[4, 3] @ zeros[2, 4]")


def arity(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    for node in spec.all(s.Assign):
        assert isinstance(node, s.Assign)
        if not isinstance(node.value, (s.Loop, s.ListExpr)):
            place = node.targets[0].span.until(node.targets[-1].span)
            yield spec.replaced(place, f"{spec.written(place)}, zz, yy", "E0347")
    yield spec.inserted("zz, yy = split[3](zeros[3])", "E0347")


# --- types and sizes -------------------------------------------------------------------------------


def wrong_dtype(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    for param in spec.network.header.params:
        written = param.type
        assert isinstance(written, s.NamedType)
        axes = spec.written(written.span)[len(written.name) :]
        if written.name == "idx":
            axes = axes[axes.index("]") + 1 :]
        new = {"f32": "i64", "idx": "f32", "i64": "f32", "bool": "f32"}.get(written.name)
        if new is None:
            continue
        yield spec.replaced(written.span, new + axes, " ".join(TYPES))
    yield spec.inserted("zz = zeros[2] + iota[2]", "E0201", "zeros[2] + iota[2]")


def result_rank(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    for block in spec.blocks:
        for written in _results(block.header):
            last = written.groups[-1][-1].span
            if not any(isinstance(e, s.Dots) for e in written.groups[-1]):
                yield spec.replaced(Span(last.source, last.end, last.end), ", 1", "E0214")


def result_size(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    for block in spec.blocks:
        for written in _results(block.header):
            for axis in written.groups[-1]:
                text = spec.written(axis.span)
                if not isinstance(axis, s.Dots) and text not in ("H2", "W2"):
                    yield spec.replaced(axis.span, f"{text} + 1", "E0214 E0208")


def _results(header: s.Header) -> list[s.NamedType]:
    types = (
        [field.type for field in header.result.fields] if isinstance(header.result, s.TupleType) else [header.result]
    )
    return [t for t in types if isinstance(t, s.NamedType) and t.groups]


def param_size(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    for node in spec.all(s.ParamDecl):
        groups = node.type.groups  # type: ignore[attr-defined]
        for axis in groups[-1] if groups else ():
            if spec.written(axis.span) != "1":
                yield spec.replaced(axis.span, f"{spec.written(axis.span)} + 1", " ".join(SIZES), is_sure=False)
    yield spec.inserted("param zz: f32[5] ~ zeros\n    yy = zz + zeros[4]", "E0202", "zz + zeros[4]")


def index_rank(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    for node in spec.all(s.Index):
        assert isinstance(node, s.Index)
        if any(isinstance(arg.value, s.Slice) for arg in node.args):
            last = node.args[-1].span
            yield spec.replaced(Span(last.source, last.end, last.end), ", 0, 0, 0, 0, 0", "E0205")
    yield spec.inserted(f"zz = {spec.first}[:, :, :, :, :, 0]", "E0205", f"{spec.first}[:, :, :, :, :, 0]")


def index_past_end(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    for node in spec.all(s.Index):
        assert isinstance(node, s.Index)
        for arg in node.args:
            is_list = isinstance(node.base, s.Name) and node.base.id == "stages"
            if is_list and isinstance(arg.value, s.Literal):
                yield spec.replaced(arg.span, "99", "E0326")
    yield spec.inserted("zz = zeros[2, 4][:, 4]", "E0326 E0209", "zeros[2, 4][:, 4]")


def wrong_axis(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    for node in spec.all(s.Arg):
        assert isinstance(node, s.Arg)
        if node.name in ("axis", "start") and not isinstance(getattr(node.value, "value", 0), str):
            yield spec.replaced(node.value.span, "7", "E0206")
    yield spec.inserted("zz = sum[axis=7](zeros[2])", "E0206", "axis=7")


def axis_names(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    text = f"zeros[{spec.free}] + rename[{spec.free}, Other](zeros[{spec.free}])"
    yield spec.inserted(f"zz = {text}", "E0207", text)


def free_parameter(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    for node in walk(spec.network):
        if isinstance(node, s.ParamDecl) and node.type.name != "params":  # type: ignore[union-attr]
            axis = draw.choice(node.type.groups[-1])  # type: ignore[union-attr]
            yield spec.replaced(axis.span, spec.free, "E0212")
    yield spec.inserted(f"param zz: f32[{spec.free}, 4] ~ zeros", "E0212")


def refuted_where(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    header = spec.network.header
    whole = [p.name for p in header.statics if isinstance(p.default, s.Literal) and isinstance(p.default.value, int)]
    fact = f"{whole[0] if whole else 1} == 0"
    at = (header.where[-1].span if header.where else header.result.span).end
    place = Span(header.span.source, at, at)
    mutant = spec.replaced(place, f"{', ' if header.where else ' where '}{fact}", "E0210")
    yield mutant
    for block in spec.blocks:
        for written in block.header.where:
            if isinstance(written.value, s.Binary) and block.kind == "block":
                yield spec.replaced(written.value.right.span, "1", "E0210")


def free_count(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    for node in spec.all(s.Repeat):
        if spec.network.span.start <= node.span.start:  # type: ignore[attr-defined]
            yield spec.replaced(node.count.span, spec.free, "E0302")  # type: ignore[attr-defined]
    yield spec.inserted(f"repeat {spec.free} as zz {{ yy = 1 }}", "E0302", f"repeat {spec.free}")


def reshape_count(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    yield spec.inserted("zz = reshape[7](zeros[4])", "E0215", "reshape[7]")


def pattern(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    for name in spec.nodes:
        if isinstance(name, s.Index) and isinstance(name.base, s.Name) and name.base.id == "rearrange":
            text = spec.written(name.args[0].span)
            yield spec.replaced(name.args[0].span, draw.choice((text[:-2] + '"', text.replace("->", "zz ->"))), "E0216")
    yield spec.inserted('zz = rearrange["a b -> b"](zeros[2, 3])', "E0216", 'rearrange["a b -> b"]')


# --- statements ------------------------------------------------------------------------------------


def declared_twice(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    for item in spec.module.items:
        if isinstance(item, (s.Block, s.Const)):
            start = len(spec.text) + 1
            yield Mutant(
                f"{spec.text}\n{spec.written(item.span)}\n",
                start,
                start + len(spec.written(item.span)),
                frozenset({"E0311"}),
            )
    for node in (*spec.all(s.Let), *spec.all(s.ParamDecl)):
        span: Span = node.span  # type: ignore[attr-defined]
        yield spec.replaced(Span(span.source, span.end, span.end), "\n    " + spec.written(span), "E0311")


def label_twice(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    for block in spec.blocks:
        labels = [node for node in walk(block.body) if isinstance(node, s.Labelled)]
        loops = [node for node in walk(block.body) if isinstance(node, (s.Repeat, s.For))]
        for first, second in pairwise(sorted(labels, key=lambda node: node.name_span.start)):
            if all((first in list(walk(loop))) == (second in list(walk(loop))) for loop in loops):
                yield spec.replaced(second.name_span, first.name, "E0333")
    yield spec.inserted("zz = relu(zeros[2]) as zz\n    yy = relu(zeros[2]) as zz", "E0333", "zz")


def label_dropped(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    for node in (*spec.all(s.Repeat), *spec.all(s.For)):
        assert isinstance(node, (s.Repeat, s.For))
        makes = any(
            isinstance(n, s.ParamDecl) or (isinstance(n, s.Name) and n.id[0].isupper()) for n in walk(node.body)
        )
        if node.label is not None and makes:
            head = Span(node.span.source, node.span.start, node.body.span.start)
            new = spec.written(head).replace(f" as {node.label}", "")
            yield spec.replaced(head, new, "E0337")
    yield spec.inserted("repeat 2 {\n        param zz: f32[2] ~ zeros\n    }", "E0337")


def lost_value(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    yield spec.inserted(spec.first, "E0344")
    yield spec.inserted("relu(zeros[2])", "E0344")


def assigned_static(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    for name in (*(p.name for p in spec.network.header.statics), spec.free):
        yield spec.inserted(f"{name} = 3", "E0345")
    for node in walk(spec.network.body):
        if isinstance(node, (s.ParamDecl, s.Let)):
            yield spec.inserted(f"{node.name} = 3", "E0345")


def one_sided(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    yield spec.inserted("if training { zz = 1 }\n    yy = zz + 1", "E0306", "zz")
    yield spec.inserted("if 1 == 2 { zz = 1 } else { xx = 2 }\n    yy = zz + 1", "E0306", "zz")


def tensor_condition(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    yield spec.inserted("if zeros[2] == zeros[2] { zz = 1 }", "E0354")
    yield spec.inserted(f"if {spec.first} == {spec.first} {{ zz = 1 }}", "E0354")


def called_tensor(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    yield spec.inserted(f"zz = {spec.first}({spec.first})", "E0327")


def no_result(spec: Spec, draw: random.Random) -> Iterator[Mutant]:
    for block in spec.blocks:
        last = block.body.statements[-1]
        is_value = isinstance(last, s.ExprStatement) and not isinstance(last.value, s.IfExpr)
        if len(block.body.statements) > 1 and is_value:
            before = block.body.statements[-2].span
            mutant = spec.replaced(Span(last.span.source, before.end, last.span.end), "", "E0341")
            yield Mutant(mutant.text, before.start, before.end, mutant.codes)
    statement = spec.network.body.statements[-1].span
    yield spec.replaced(statement, f"zz = {spec.first}", "E0341")


#: Everything that can be wrong once.
KINDS: tuple[Kind, ...] = (
    typo_block, typo_op, typo_variable, typo_static, typo_field, typo_measure, typo_import, typo_module, typo_type,
    typo_initialiser, missing_static, wrong_static_kind, static_twice, size_of_static, missing_tensor, extra_tensor, swapped,
    arity, wrong_dtype, result_rank, result_size, param_size, index_rank, index_past_end, wrong_axis, axis_names,
    free_parameter, refuted_where, free_count, reshape_count, pattern, declared_twice, label_twice, label_dropped,
    lost_value, assigned_static, one_sided, tensor_condition, called_tensor, no_result,
)  # fmt: skip
