"""Small texts that would cost much, and the codes that each may be reported with: "" where it is accepted.

As a script, `python -m tests.bad_input.bombs GROUP` checks one group under a limit of memory.
"""

import gc
import json
import resource
import sys
import traceback

from tests.bad_input.checking import findings

MEMORY_BYTES = 2**30


def network(*lines: str, header: str = "(x: f32[B, 4]) -> f32[B, 4]", before: str = "") -> str:
    """A network with these statements and the result `x`."""
    body = "".join(f"    {line}\n" for line in lines)
    return f"{before}network A{header} {{\n{body}    x\n}}\n"


def doubling(first: str, following: str, levels: int = 40, *, is_used: bool = True) -> str:
    """Blocks `f1`, `f2`, .. of which each calls the one before it twice."""
    blocks = [f"block f0(x: float[B, D]) -> float[B, D] {{ {first} }}\n"]
    for level in range(1, levels + 1):
        blocks.append(
            f"block f{level}(x: float[B, D]) -> float[B, D] {{ {following.replace('F', f'f{level - 1}')} }}\n"
        )
    return "".join(blocks) + (network(f"x = f{levels}(x)") if is_used else "")


def nested(opening: str, middle: str, closing: str, times: int) -> str:
    return opening * times + middle + closing * times


EXPANSION = {
    "loops in loops": (network("repeat 1000 { repeat 1000 { x = x + 1 } }"), "E0522"),
    "loops in loops in loops": (network("repeat 1000 { repeat 1000 { repeat 1000 { x = x + 1 } } }"), "E0522"),
    "loops in the loops of a block": (
        network(
            "repeat 1000 { x = F(x) }",
            before="block F(x: float[..]) -> float[..] {\n    repeat 1000 { x = x + 1 }\n    x\n}\n",
        ),
        "E0522",
    ),
    "one long loop": (network("repeat 99_999 { x = x + 1 + x * 2 - x }"), "E0521"),
    "one endless loop": (network("repeat 1_000_000_000_000_000_000 { x = x + 1 }"), "E0522"),
    "a loop over a long range": (network("for i in 0..1_000_000_000_000 { x = x + i }"), "E0522"),
    "ranges in ranges": (network("for i in 0..1000 { for j in 0..1000 { y = i + j } }"), "E0522"),
    "a long range": (network("y = f(0..1_000_000_000_000)", before="const f(a: list): list = a\n"), "E0522"),
    "calls in a row": (doubling("x + x", "F(F(x))"), "E0521"),
    "calls side by side": (doubling("x + x", "F(x) + F(x)"), "E0521"),
    "calls of what makes nothing": (doubling("x", "F(F(x))"), "E0521"),
    "calls in loops": (doubling("x + x", "repeat 2 { x = F(x) }\n x"), "E0521 E0522"),
    "calls that nothing calls": (doubling("x + x", "F(F(x))", is_used=False), "E0521"),
    "calls of shared instances": (doubling("x |> Linear[D]", "let g = F\n g(g(x))"), "E0521"),
    "calls in scans": (doubling("x + x", "y, h = scan 3[axis=0] from (h=x) { h = F(F(h))\n yield h }\n h"), "E0521"),
    "a block that calls itself": (network("x = F(x)", before="block F(x: float[..]) -> float[..] { F(x) }\n"), "E0526"),
    "blocks that call each other": (
        network(
            "x = F(x)",
            before="block F(x: float[..]) -> float[..] { G(x) }\nblock G(x: float[..]) -> float[..] { F(x) }\n",
        ),
        "E0526",
    ),
    "a block that calls itself with more": (
        network("x = F[0](x)", before="block F[n: int](x: float[..]) -> float[..] { F[n + 1](x) }\n"),
        "E0526",
    ),
    "a block that calls itself twice": (
        network(
            "x = F[60](x)",
            before="block F[n: int](x: float[..]) -> float[..] { if n == 0 { x + 1 } else { F[n - 1](F[n - 1](x)) } }\n",
        ),
        "E0521",
    ),
    "a block that calls itself twice, each time another": (
        network(
            "x = F[60, 0](x)",
            before="block F[n: int, s: int](x: float[..]) -> float[..] {\n"
            "    if n == 0 { x } else { F[n - 1, 2 * s](F[n - 1, 2 * s + 1](x)) }\n}\n",
        ),
        "E0528",
    ),
    "a default that calls itself": (
        network(
            "x = F(x)",
            before="const f(n: int): int = f(n + 1)\nblock F[n: int = f(0)](x: float[..]) -> float[..] { x }\n",
        ),
        "E0526",
    ),
    "a constant function that calls itself twice": (
        "const f(n: int, s: int): int = if n == 0 { s } else { f(n - 1, 2 * s) + f(n - 1, 2 * s + 1) }\nconst A = f(60, 0)\n",
        "E0528",
    ),
    "many long loops": (network(*["for i in 0..99_999 { y = i }"] * 20), "E0528"),
    "many networks": (
        doubling("x + x", "F(F(x))", 16, is_used=False)
        + "".join(f"network A{i}(x: f32[B, 4]) -> f32[B, 4] {{ x |> f16 }}\n" for i in range(100)),
        "E0521",
    ),
}

STATICS = {
    "a list that doubles": (network("l = [1]", "repeat 60 { l = l + l }"), "E0527"),
    "a list of lists that doubles": (network("l = [1]", "repeat 60 { l = [l, l] }"), "E0527"),
    "a tuple that doubles": (network("t = (1, 2)", "repeat 60 { t = (t, t) }"), "E0527"),
    "a tuple that deepens": (network("t = (1, 2)", "repeat 99_999 { t = (t, 1) }"), "E0527"),
    "a list that deepens": (network("l = [1]", "repeat 99_999 { l = [l] }"), "E0527"),
    "a list that grows": (network("l = [1]", "repeat 99_999 { l = l + [1, 1] }"), "E0528"),
    "tuples of a long list": (network("l = ntuple(1, 99_000)", "repeat 99_999 { t = (l, 1) }"), "E0528"),
    "slices of a long list": (network("l = ntuple(1, 99_000)", "repeat 99_999 { m = l[1:] }"), "E0528"),
    "long lists again and again": (network("repeat 99_999 { n = len(0..99_999) }"), "E0528"),
    "a long list that goes round": (
        network("l = ntuple(1, 49_000)", "m = l", "repeat 99_999 { l, m = (m, l)[0:2] }"),
        "E0528",
    ),
    "a long list for a function": (
        network(
            "l = ntuple(1, 99_000)", "for i in 0..99_999 { y = f(l, i) }", before="const f(l: list, i: int): int = i\n"
        ),
        "E0528",
    ),
    "a long list for a block": (
        network(
            "l = ntuple(1, 99_000)",
            "repeat 99_999 { x = F[l](x) }",
            before="block F[l: list](x: float[..]) -> float[..] { x }\n",
        ),
        "E0528",
    ),
    "a long list in a message": (network("l = ntuple(1, 99_000)", "x = x |> Linear[l]"), "E0324"),
    "a zip of itself": (network("l = [1]", "repeat 60 { l = zip(l, l) }"), "E0527"),
    "a zip of itself deepens": (network("l = [1]", "repeat 60 { l = enumerate(l) }"), ""),
    "a list of tensors that doubles": (network("l = [x]", "repeat 60 { l = l + l }"), "E0527"),
    "a string that doubles": (network('s = "a"', "repeat 60 { s = s + s }"), "E0527"),
    "copies of a number": (network("l = ntuple(1, 1_000_000_000)"), "E0527"),
    "a number that squares": (network("n = 3", "repeat 100 { n = n * n }"), "E0321"),
    "a power": (network("n = 9 ** 9 ** 9"), "E0321"),
    "a fraction that squares": (network("n = 3.0", "repeat 100 { n = n * n }"), ""),
    "infinite turns": (network("repeat inf { x = x + 1 }"), "E0302"),
    "an infinite int": (network("n = int(inf)"), "E0324"),
    "a great int": (network("n = int(1e300)"), "E0321"),
    "a rounded great number": (network("n = round(1e300)"), "E0321"),
    "a size that squares": (network("n = B", "repeat 100 { n = n * (n + 1) }"), "E0525 E0528"),
    "a size that nests": (network("n = B", "repeat 1_000 { n = (n + 1) // 2 }"), "E0525 E0528"),
    "a size that nests in two ways": (network("n = B", "repeat 1_000 { n = max(n // 2, n % 3) }"), "E0525"),
    "a size with many terms": (
        network("n = (P + Q + R) ** 40", header="(x: f32[B, 4], y: f32[P, Q, R]) -> f32[B, 4]"),
        "E0525",
    ),
    "a size with a great power": (network("n = B ** 1_000"), "E0525"),
    "a size raised to less than nothing": (network("n = B ** -1"), "E0321"),
    "a size divided by nothing": (network("n = B // 0"), "E0321"),
    "a part of nothing": (network("n = B % 0"), "E0321"),
    "many facts": (
        network(header="(x: f32[B, 4]) -> f32[B, 4] where " + ", ".join(f"B >= {i}" for i in range(5_000))),
        "",
    ),
    "many facts about many sizes": (
        network(
            header=f"(x: f32[{', '.join(f'N{i}' for i in range(60))}]) -> f32[{', '.join(f'N{i}' for i in range(60))}] where "
            + ", ".join(f"N{i} <= N{i + 1}" for i in range(59))
        ),
        "",
    ),
    "facts that multiply": (
        network(
            header=f"(x: f32[{', '.join(f'N{i}' for i in range(24))}]) -> f32[{', '.join(f'N{i}' for i in range(24))}] where "
            + ", ".join(f"N{i} * N{i + 1} == N{i + 2} * N{i + 3}" for i in range(20))
        ),
        "",
    ),
}

SIZES = {
    "an axis of 2 ** 31": (network(header="(x: f32[B, 2_147_483_648]) -> f32[B, 2_147_483_648]"), "E0209"),
    "an axis of 10 ** 18": (network(header="(x: f32[1_000_000_000_000_000_000]) -> f32[B]"), "E0209"),
    "an axis of 2 ** 63": (network(header="(x: f32[9_223_372_036_854_775_808]) -> f32[B]"), "E0321"),
    "an axis below nothing": (network("y = zeros[-1]"), "E0209 E0219"),
    "axes that multiply": (network("y = zeros[2_000_000_000, 2_000_000_000, 2_000_000_000]"), "E0523"),
    "axes of an input that multiply": (network(header="(x: f32[2_000_000_000, 2_000_000_000]) -> f32[B]"), "E0523"),
    "a great parameter": (network("param w: f32[1_000_000, 1_000_000] ~ zeros"), "E0523"),
    "a great layer": (network("y = x |> Linear[2_000_000_000] as up"), "E0523"),
    "many great parameters": (network("repeat 100 as layers {", "param w: f32[10_000, 10_000] ~ zeros", "}"), "E0523"),
    "a great window": (network("y = zeros[1, 3, 8, 8] |> Conv2d[8, kernel=1_000_000_000] as c"), "E0209 E0523"),
    "a great table of attention": (network("y = softmax(zeros[1_000_000_000, 1_000_000_000])"), "E0523"),
    "a great one-hot": (network("y = one_hot[1_000_000_000](cast[i64](zeros[100_000, 1000]))"), "E0523"),
    "a great outer product": (network("y = iota[2_000_000_000][:, none] * iota[2_000_000_000][none, :]"), "E0523"),
    "parts of a great axis": (network("y = unstack[0](zeros[1_000_000_000])"), "E0527"),
    "great many parts": (network("y = split[1_000_000_000](zeros[1_000_000_000])"), "E0527"),
    "great padding": (network("y = pad[(2_000_000_000, 2_000_000_000)](x)"), "E0209"),
    "great resizing": (network("y = resize[scale=1e300](zeros[1, 1, 8, 8])"), "E0209 E0219"),
    "many new axes": (network(f"y = x[{'none, ' * 5_000}:]"), "E0523"),
    "many axes of an input": (network(header=f"(x: f32[{'1, ' * 5_000}1]) -> f32[B]"), "E0523"),
    "a reshape to many axes": (network(f"y = reshape[{'1, ' * 5_000}4](zeros[4])"), "E0523"),
    "a number that is too great": (network("y = x * 1e400"), "E0505"),
    "a number of a million digits": (network(f"y = x * {'9' * 1_000_000}"), "E0504"),
    "a number past 64 bits": (network("y = x * 99_999_999_999_999_999_999"), "E0321"),
    "a long step": (network("y = zeros[4][0:4:1_000_000_000]"), ""),
    "great pooling": (network("y = max_pool[1_000_000_000](zeros[1, 1, 8, 8])"), "E0205 E0209"),
    "great groups": (network("y = zeros[1, 8, 8, 8] |> GroupNorm[1_000_000_000] as n"), "E0210"),
    "many results": (
        f"network A(x: f32[B]) -> ({', '.join(f'y{i}: f32[B]' for i in range(20_000))}) {{\n    y0 = x\n}}\n",
        "E0341",
    ),
}

LETTERS = [chr(code) for code in (*range(ord("a"), ord("z") + 1), *range(ord("A"), ord("Z") + 1))]

PATTERNS = {
    "einsum of many letters": (
        network(f'y = einsum["{"".join(LETTERS)}->{"".join(reversed(LETTERS))}"](x)'),
        "E0205 E0216",
    ),
    "einsum of many operands": (
        network(f'y = einsum["{",".join(["a b"] * 3_000)} -> a b"]({", ".join(["x"] * 3_000)})'),
        "",
    ),
    "einsum of new axes": (
        network(f'y = einsum["{",".join(LETTERS)}->{"".join(LETTERS)}"]({", ".join(["zeros[2]"] * 52)})'),
        "E0523",
    ),
    "einsum of many axes": (
        network(
            f'y = einsum["{", ".join(f"n{i}" for i in range(300))} -> {" ".join(f"n{i}" for i in range(300))}"]({", ".join(["zeros[1]"] * 300)})'
        ),
        "E0216 E0523",
    ),
    "einsum of a long text": (network(f'y = einsum["{"a" * 300_000}"](x)'), "E0216 E0205"),
    "einsum of brackets": (network(f'y = einsum["{"(" * 50_000}"](x)'), "E0216"),
    "einsum of arrows": (network(f'y = einsum["{"->" * 50_000}"](x)'), "E0216"),
    "einsum of dots": (network(f'y = einsum["{"... " * 50_000} -> ..."](x)'), "E0216"),
    "rearrange of a long text": (network(f'y = rearrange["{"a " * 100_000} -> b"](x)'), "E0216"),
    "rearrange of many names": (
        network(f'y = rearrange["{" ".join(f"n{i}" for i in range(20_000))} -> b"](x)'),
        "E0216",
    ),
    "rearrange of one axis into many": (
        network(
            f'y = rearrange["({" ".join(f"n{i}" for i in range(3_000))}) -> {" ".join(f"n{i}" for i in range(3_000))}", '
            + ", ".join(f"n{i}=1" for i in range(2_999))
            + "](zeros[4])"
        ),
        "E0523",
    ),
    "rearrange of ones": (network(f'y = rearrange["a b -> a b {"1 " * 50_000}"](x)'), "E0523 E0216"),
    "rearrange of brackets": (network(f'y = rearrange["{"(" * 100_000}a -> a"](x)'), "E0216"),
    "rearrange of dots": (network(f'y = rearrange["{"... " * 50_000}-> ..."](x)'), "E0216"),
    "rearrange of line ends": (network(r'y = rearrange["\n\t\"\\"](x)'), "E0216"),
    "a mode of a million letters": (network(f'y = pad[(1, 1), mode="{"a" * 1_000_000}"](x)'), "E0219"),
}

TEXT = {
    "round brackets": ("const A = " + "(" * 100_000, "E0502"),
    "square brackets that end": ("const A = " + nested("[", "1", "]", 100_000), "E0502"),
    "bodies": (network("if true { " * 50_000), "E0502 E0102"),
    "types": ("block F(x: " + "(" * 100_000, "E0502"),
    "terms": ("const A = 1" + " + 1" * 100_000, "E0506"),
    "a million terms": ("const A = 1" + "+1" * 1_000_000, "E0507"),
    "as many terms as may be": ("const A = 1" + " + 1" * 1_990 + "\n", ""),
    "as many powers as may be": ("const A = " + "1 ** " * 1_990 + "1\n", ""),
    "as many signs as may be": ("const A = " + "-" * 1_990 + "1\n", ""),
    "as many stages as may be": (network("x = x" + " |> relu" * 1_900), ""),
    "as many swaps as may be": (network("x = x" + ".T" * 1_900), ""),
    "as many brackets as may be": ("const A = " + nested("(", "1", ")", 190) + "\n", ""),
    "as many lists as may be": ("const A = " + nested("[", "1", "]", 190) + "\n", "E0527"),
    "as many calls in calls as may be": (network("x = " + nested("relu(", "x", ")", 190)), ""),
    "as many choices as may be": (network("if false { y = 1 }" + " else if false { y = 1 }" * 900), ""),
    "as many values of choices as may be": (
        network("y = if false { 1 }" + " else if false { 1 }" * 600 + " else { 2 }"),
        "",
    ),
    "as many bodies as may be": (network(nested("if true { ", "y = 1", " }", 190)), ""),
    "as many loops as may be": (network(nested("repeat 1 { ", "y = 1", " }", 190)), ""),
    "as many scans as may be": (
        network("h = x", nested("w, h = scan 1[axis=0] from (h=h) { ", "h = h", "\n yield h }", 190)),
        "",
    ),
    "deep texts in deep calls": (
        network(
            "x = F[50](x)",
            before="block F[n: int](x: float[..]) -> float[..] {\n    if n == 0 { x } else { "
            + nested("(", "F[n - 1](x)", ")", 150)
            + " }\n}\n",
        ),
        "E0526",
    ),
    "a line of a million letters": (network(f'y = "{"a" * 1_000_000}" + 1'), "E0320"),
    "a line of a million signs": ("const A = [" + "1," * 140_000 + "1]\n", "E0527"),
    "a million names": ("".join(f"const a{i} = 1\n" for i in range(1_000_000)), "E0501"),
    "as many names as fit": ("".join(f"const a{i} = 1\n" for i in range(55_000)), ""),
    "unknown names among many": (
        "".join(f"const a{i} = 1\n" for i in range(30_000)) + "".join(f"const b{i} = c{i}\n" for i in range(2_000)),
        "E0300",
    ),
    "unknown names": (network(*(f"y{i} = nothing_{i}" for i in range(5_000))), "E0300"),
    "one name twice": ("const a = 1\n" * 30_000, "E0311"),
    "many statements": (network(*(f"y{i} = {i}" for i in range(20_000))), ""),
    "many labels": (network("repeat 20_000 as l {", "x = x |> relu as r", "}"), ""),
    "many blocks that nothing calls": (
        "".join(f"block f{i}(x: float[B, D]) -> float[B, D] {{ relu(x) + {i} }}\n" for i in range(3_000)),
        "",
    ),
    "many statics": (
        network(header=f"[{', '.join(f's{i}: int = 1' for i in range(10_000))}](x: f32[B]) -> f32[B]"),
        "",
    ),
    "many arguments": (network(f"y = relu({', '.join(['x'] * 20_000)})"), "E0323"),
    "many named arguments": (
        network(
            f"y = F({', '.join(f'a{i}=x' for i in range(20_000))})", before="block F(x: float[..]) -> float[..] { x }\n"
        ),
        "E0330",
    ),
    "many unknown statics": (network(f"y = x |> Linear[{', '.join(f'a{i}=1' for i in range(20_000))}]"), "E0330"),
    "many axes of lists": (network(f"y = [{', '.join(['[1, 2]'] * 20_000)}]"), ""),
    "many claims": (network() + "claim A: param_count == 0\n" * 20_000, ""),
    "many wrong claims": (network() + "claim A: parm_count == 0\n" * 20_000, "E0300"),
    "many networks of one name": (network() * 2_000, "E0311"),
    "an open string": (network('y = "' + "a" * 300_000), "E0002 E0101 E0102"),
    "quotes": ("const A = " + '"' * 1_000_001, "E0002 E0507 E0116 E0101"),
    "backslashes": ('const A = "' + "\\" * 1_000_000, "E0002"),
    "blanks": (" " * 4_000_000, ""),
    "lines": ("\n" * 4_000_000, ""),
    "nothing": ("", ""),
}

NAMES = {
    "a hidden attribute": (network("y = x.__class__"), "E0328"),
    "a hidden attribute of a number": (network("y = (3).__class__.__base__.__subclasses__()"), "E0328"),
    "a hidden attribute of a string": (network('y = "a".__class__'), "E0328"),
    "a method of a list": (network("y = [1].append(2)"), "E0328"),
    "a method of a block": (network("y = Linear.__init__"), "E0328"),
    "a method of an op": (network("y = relu.infer"), "E0328"),
    "a field of an instance": (network("let f = Linear[4]", "z = f(x)", "y = f.params"), "E0328"),
    "an import of the host": (network("y = __import__(x)"), "E0300"),
    "the host's modules": (network("y = os.system"), "E0300"),
    "the host's functions": (network('y = eval("1")', 'z = open("/etc/passwd")', "w = print(x)"), "E0300"),
    "a format": (network('y = relu("{0.__class__}")', 'z = relu("%(x)s")', 'w = relu("$(reboot)")'), "E0301"),
    "a plug-in without a plug": ('extern F(x: float[..]) -> float[..] = "os.system"\n' + network("y = F(x)"), "E0364"),
    "a path as a plug-in": ('extern F(x: float[..]) -> float[..] = "../../x.py:f"\n' + network("y = F(x)"), "E0364"),
    "names of the host": (
        network("__class__ = x", "self = __class__ + 1", "x = self"),
        "",
    ),
    "a colour": (network('y = "\x1b[31m"'), "E0006"),
    "a colour in a comment": (network("# \x1b[31m"), "E0006"),
    "a bell": (network("y = \x07x"), "E0006"),
    "nothing in a string": (network('y = "\x00"'), "E0006"),
    "a turn of direction": (network("y = x # \u202e x"), "E0006"),
    "a turn of direction in a string": (network('y = relu("\u2066")'), "E0006"),
    "an unseen blank": (network("y = x\u200b"), "E0006"),
    "a letter like another": (network("\u0445 = x"), "E0007"),
    "a letter outside of ASCII": (network("größe = x"), "E0007"),
    "a byte order mark inside": (network("y\ufeff = x"), "E0006"),
    "half of a pair": (network('y = "\ud800"'), "E0006"),
    "line ends in a message": (network(r'y = relu("a\nb\tc")'), "E0301"),
    "markup in a message": (network('y = relu("<script>alert(1)</script>")'), "E0301"),
}

GROUPS = {
    "expansion": EXPANSION,
    "statics": STATICS,
    "sizes": SIZES,
    "patterns": PATTERNS,
    "text": TEXT,
    "names": NAMES,
}


def main() -> None:
    """Check the bombs of one group, each on a line of the output: its name, the codes found, and what escaped.

    A text that takes too long escapes as an `AssertionError`.
    """
    findings("")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    for name, (text, _) in GROUPS[sys.argv[1]].items():
        codes: list[str] = []
        escaped = ""
        gc.collect()
        try:
            codes = sorted({diagnostic.code for diagnostic in findings(text)})
        except BaseException:  # noqa: BLE001 - what escapes is what is looked for
            escaped = traceback.format_exc(limit=-6)
        print(json.dumps({"name": name, "codes": codes, "escaped": escaped}), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
