"""Text to tree: what each construct becomes, what is reported, and that no text at all ends in a traceback."""

import json
import pprint
import re
import subprocess
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from netdsl import syntax
from netdsl.codes import expand
from netdsl.codes_syntax import CODES
from netdsl.diagnostics import NetError
from netdsl.parser import comments, parse, parse_expr, parse_partial
from netdsl.render import render_all
from netdsl.source import Source, Span
from netdsl.tree_json import dump_module, load_module

CASES = Path(__file__).parent / "cases" / "parse"
PROGRAMS = sorted((CASES / "programs").glob("*.net"))
ERRORS = sorted((CASES / "errors").glob("*.txt"))  # `.net` files are programs
TREES = sorted((CASES / "trees").glob("*.net"))
WAIT_S = 2.0


def body(*lines: str) -> str:
    """A block with these statements."""
    return "block F(x: float) -> float {\n" + "".join(f"    {line}\n" for line in lines) + "}\n"


def shape(node: object) -> object:
    """A tree without places: the name of its class, then its fields."""
    if isinstance(node, tuple):
        return tuple(map(shape, node))
    if not is_dataclass(node) or isinstance(node, Span):
        return node
    names = [field.name for field in fields(node) if not field.name.endswith("span") and field.name != "source"]
    return (type(node).__name__, *(shape(getattr(node, name)) for name in names))


def outline(module: syntax.Module) -> str:
    return "\n".join(pprint.pformat(shape(item), width=110) for item in module.items)


def brief(node: object) -> str:
    """An expression as one line: `(+ a (* b 2))`."""
    match node:
        case syntax.Name(id=name):
            return name
        case syntax.Literal(text=text):
            return text
        case syntax.Paren(inner=inner):
            return f"(paren {brief(inner)})"
        case syntax.Unary(op=op, operand=operand):
            return f"({op} {brief(operand)})"
        case syntax.Binary(op=op, left=left, right=right):
            return f"({op} {brief(left)} {brief(right)})"
        case syntax.Pipe(left=left, right=right):
            return f"(|> {brief(left)} {brief(right)})"
        case syntax.Labelled(operand=operand, name=name):
            return f"(as {name} {brief(operand)})"
        case syntax.Attribute(base=base, name=name):
            return f"(. {brief(base)} {name})"
        case syntax.Call(func=head, args=args):
            return " ".join(["(call", brief(head), *map(brief, args)]) + ")"
        case syntax.Index(base=head, args=args):
            return " ".join(["(index", brief(head), *map(brief, args)]) + ")"
        case syntax.Arg(name=name, value=value, splat=splat):
            return ("**" if splat else f"{name}=" if name else "") + brief(value)
        case syntax.TupleExpr(items=items) | syntax.ListExpr(items=items):
            kind = "tuple" if isinstance(node, syntax.TupleExpr) else "list"
            return " ".join([f"({kind}", *map(brief, items)]) + ")"
        case syntax.Slice(start=start, stop=stop, step=step):
            ends = f"{brief(start) if start else ''}:{brief(stop) if stop else ''}"
            return f"{ends}:{brief(step)}" if step else ends
        case syntax.Range(start=start, stop=stop):
            return f"{brief(start)}..{brief(stop)}"
        case syntax.Dots():
            return ".."
    raise AssertionError(node)


EXPRESSIONS = {
    "1": "1",
    "5_717_416": "5_717_416",
    "-1 ** 2": "(- (** 1 2))",
    "2 ** -1": "(** 2 (- 1))",
    "2**-1": "(** 2 (- 1))",
    "2 ** 3 ** 4": "(** 2 (** 3 4))",
    "x**2": "(** x 2)",
    "f(x, **theta)": "(call f x **theta)",
    "f(x,**theta)": "(call f x **theta)",
    "a - b - c": "(- (- a b) c)",
    "a + b * c @ d": "(+ a (@ (* b c) d))",
    "a // b / c": "(/ (// a b) c)",
    "mask & ~one_hot[N](pick)": "(& mask (~ (call (index one_hot N) pick)))",
    "a | b & c == d": "(== (| a (& b c)) d)",
    "x |> f |> g[1](y)": "(|> (|> x f) (call (index g 1) y))",
    "x |> Linear[4] as up |> relu": "(|> (|> x (as up (index Linear 4))) relu)",
    "Linear[4](x) as up |> relu": "(|> (as up (call (index Linear 4) x)) relu)",
    "(a + b) |> f": "(|> (paren (+ a b)) f)",
    "h |> Linear[64] as update": "(|> h (as update (index Linear 64)))",
    "x[0..n]": "(index x 0..n)",
    "x[0.5]": "(index x 0.5)",
    "x[:, 0, .., 1:]": "(index x : 0 .. 1:)",
    "x[:-1]": "(index x :(- 1))",
    "x[::2, a:b:k + 1, :n:2]": "(index x ::2 a:b:(+ k 1) :n:2)",
    "f[kernel=3, 8..9]": None,
    "choose[6..12]": "(index choose 6..12)",
    "reversed(0..len(nu) - 1)": "(call reversed 0..(- (call len nu) 1))",
    "f[where=3](per=out, if=2)": "(call (index f where=3) per=out if=2)",
    "(a)": "(paren a)",
    "(a,)": "(tuple a)",
    "()": "(tuple)",
    "(h=h, c=c)": "(tuple h=h c=c)",
    "(h=h)": "(tuple h=h)",
    "[a, [b], ]": "(list a (list b))",
    "(x |> f as n)[:, 0].T": "(. (index (paren (|> x (as n f))) : 0) T)",
    "6..12": "6..12",
    "over + from": "(+ over from)",
    "\n[1,\n2]\n": "(list 1 2)",
}


@pytest.mark.parametrize("text", EXPRESSIONS, ids=range(len(EXPRESSIONS)))
def test_expressions_group_as_written(text: str) -> None:
    expected = EXPRESSIONS[text]
    if expected is None:
        with pytest.raises(NetError, match="E0111"):
            parse_expr(text)
    else:
        assert expected == brief(parse_expr(text))


@pytest.mark.parametrize("text", ["x[1:2:]", "x[::]", "x[1:2:3:4]"])
def test_a_slice_has_up_to_three_parts_and_no_colon_at_its_end(text: str) -> None:
    with pytest.raises(NetError, match=r"E0101: expected .*, found"):
        parse_expr(text)


LITERALS = {
    "1": 1, "1.0": 1.0, "1e-5": 1e-5, "2.5e+3": 2500.0, "1_0": 10, "true": True, "false": False, "none": None,
    '"a\\"\\\\\\n\\t#"': 'a"\\\n\t#', '""': "", "0.1": 0.1, "00": 0,
}  # fmt: skip


@pytest.mark.parametrize("text", LITERALS, ids=range(len(LITERALS)))
def test_literals_have_their_value_and_spelling(text: str) -> None:
    literal = parse_expr(text)
    assert isinstance(literal, syntax.Literal)
    assert (LITERALS[text], type(LITERALS[text]), text) == (literal.value, type(literal.value), literal.text)


@pytest.mark.parametrize("path", TREES, ids=lambda path: path.stem)
def test_declarations_and_statements_become_their_nodes(path: Path) -> None:
    text, expected = path.read_text("utf-8").split("# ----\n")
    nodes = outline(parse(Source(path.name, text)))
    assert expected == "".join(f"# {line}\n" for line in nodes.splitlines())


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_programs_parse_and_survive_as_json(path: Path) -> None:
    source = Source(path.name, path.read_text("utf-8"))
    module = parse(source)
    assert module.items
    copy = load_module(json.loads(json.dumps(dump_module(module))), source)
    assert module == copy
    assert repr(module) == repr(copy)


def test_every_node_lies_inside_its_parent() -> None:
    def walk(node: object, parent: Span) -> None:
        if isinstance(node, tuple):
            for element in node:
                walk(element, parent)
        elif is_dataclass(node) and not isinstance(node, Span | Source):
            span: Span = node.span  # type: ignore[attr-defined]
            assert parent.start <= span.start < span.end <= parent.end, node
            for field in fields(node):
                value = getattr(node, field.name)
                if isinstance(value, Span):
                    assert span.start <= value.start < value.end <= span.end
                walk(value, span)

    for path in PROGRAMS:
        module = parse(Source(path.name, path.read_text("utf-8")))
        walk(module.items, module.span)


@pytest.mark.parametrize("path", ERRORS, ids=lambda path: path.stem)
def test_an_error_is_reported_in_these_words(path: Path) -> None:
    text, expected = path.read_text("utf-8").split("# ----\n")
    _, diagnostics = parse_partial(Source(f"{path.stem}.net", text))
    assert expected == "".join(f"# {line}".rstrip() + "\n" for line in render_all(diagnostics).splitlines())


@pytest.mark.parametrize("code", CODES)
def test_a_code_has_a_failing_and_a_fixed_example(code: str) -> None:
    entry = CODES[code]
    assert max(entry.failing.count("\n"), entry.fixed.count("\n")) <= 6
    _, diagnostics = parse_partial(Source("failing.net", expand(entry.failing)))
    assert [code] == [diagnostic.code for diagnostic in diagnostics]
    parse(Source("fixed.net", expand(entry.fixed)))


def test_parse_raises_what_parse_partial_reports() -> None:
    source = Source("a.net", "const A = = 1\nconst B = 2\nconst C = )\n")
    with pytest.raises(NetError) as caught:
        parse(source)
    assert parse_partial(source)[1] == caught.value.diagnostics
    assert 2 == len(caught.value.diagnostics)


def test_messages_keep_to_the_words_of_the_language() -> None:
    """No names of terminals or rules, no blame, lower case."""
    for entry in CODES.values():
        for diagnostic in parse_partial(Source("a.net", expand(entry.failing)))[1]:
            words = re.sub(r"`[^`]*`", "", f"{diagnostic.title} {diagnostic.help or ''}")
            assert not re.search(r"invalid|illegal|please|oops|\b(?!ASCII|U\b)[A-Z]{2,}|_|\$", words), words
            assert diagnostic.title[0].islower() or diagnostic.title[0] == "`"


# --- comments and docs --------------------------------------------------------------------------------

COMMENTED = """# top
## The module.

## One.
# in between
##  Two.
const A = f(  # in brackets
    1,  # again
    # alone
)
const B = x
    # before a pipe
    |> f  # at the end
# last"""


def test_every_comment_is_found() -> None:
    found = comments(Source("a.net", COMMENTED))
    assert [part.strip() for part in re.findall(r"#[^\n]*", COMMENTED)] == [comment.text for comment in found]
    assert all(COMMENTED[c.span.start : c.span.end] == c.text for c in found)


def test_docs_belong_to_what_follows_them() -> None:
    module = parse(Source("a.net", COMMENTED))
    assert "The module." == module.doc
    assert ["One.\n Two.", None] == [item.doc for item in module.items if isinstance(item, syntax.Const)]


DOCS = {
    "## of the file\nimport a\nconst A = 1\n": ("of the file", [None]),
    "## of A\nconst A = 1\n": (None, ["of A"]),
    "## of the file\n\nconst A = 1\n": ("of the file", [None]),
    "## alone\n": ("alone", []),
    "\ufeff## of A\r\nconst A = 1\r\n": (None, ["of A"]),
    "const A = 1 ## beside\nconst B = 2\n": (None, [None, None]),
    "### banner\nconst A = 1\n": (None, [None]),
    "const A = 1\n\n## of B\nconst B = 2": (None, [None, "of B"]),
}


@pytest.mark.parametrize("text", DOCS, ids=range(len(DOCS)))
def test_a_doc_stands_right_above(text: str) -> None:
    module = parse(Source("a.net", text))
    docs = [item.doc for item in module.items if isinstance(item, syntax.Const)]
    assert DOCS[text] == (module.doc, docs)


def test_reading_a_first_file_imports_nothing_slow() -> None:
    """The grammar library is needed to write the tables only."""
    code = (
        "import sys, netdsl.parser, netdsl.source;"
        "netdsl.parser.parse(netdsl.source.Source('a.net', 'const A = 1'));"
        "print(sorted({'lark', 'numpy', 'networkx', 'rich', 'onnx'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]" == result.stdout.strip()
