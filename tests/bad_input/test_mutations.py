"""Specs with random damage: tokens and bytes deleted, doubled, swapped, put in; and their beginnings."""

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from netdsl.api import open_session
from tests.bad_input.checking import ROOT, SPECS, check, findings

TEXTS = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in SPECS}
IN_TEST = 1_000
IN_LONG_TEST = 20_000

TOKEN = re.compile(r"\s+|\w+|\|>|->|\*\*|//|\.\.|[=!<>]=|\S")
NUMBERS = [*"0123", "-1", "7", "0.5", "1e-5", "64", "2147483648", "9223372036854775808", "1" + "0" * 18, "1e400", "inf"]
WORDS = [
    *"BNTDHWxyh", "none", "true", "training", "zeros", "relu", "softmax", "Linear", "Conv2d", "LayerNorm", "concat",
    "rearrange", "axis", "f16", "i64", "bool", "idx", "float", "let", "param", "state", "update", "repeat", "for", "if",
    "else", "in", "as", "scan", "from", "yield", "where", "block", "network", "claim", "import", "std", "attend", "_",
    "__class__", "weight", "T",
]  # fmt: skip
SIGNS = [
    *"()[]{},:;.=+-*/@%&|~<>\"'\n#!^$",
    "|>",
    "->",
    "..",
    "**",
    "//",
    "==",
    "<=",
    "\n\n",
    '""',
    "é",
    "\u202e",
    "\x00",
]


def mutated_tokens(draw: random.Random, text: str) -> str:
    """One to four tokens changed."""
    tokens = TOKEN.findall(text)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        at, other = draw.randrange(len(tokens)), draw.randrange(len(tokens))
        length = draw.choice((1, 1, 2, 5))
        match draw.randrange(8):
            case 0:
                del tokens[at : at + length]
            case 1:
                tokens[at:at] = tokens[at : at + length]
            case 2:
                tokens[at], tokens[other] = tokens[other], tokens[at]
            case 3:
                tokens[at:at] = tokens[other : other + length]
            case 4:
                foreign = TOKEN.findall(draw.choice(list(TEXTS.values())))
                start = draw.randrange(len(foreign))
                tokens[at:at] = foreign[start : start + length]
            case 5:
                tokens[at] = draw.choice(SIGNS)
            case 6:
                place = _near(tokens, at, str.isidentifier)
                names = [token for token in tokens if token.isidentifier()]
                tokens[place] = draw.choice(names if draw.random() < 0.5 else WORDS)
            case _:
                tokens[_near(tokens, at, str.isdigit)] = draw.choice(NUMBERS)
        if not tokens:
            break
    return "".join(tokens)


def _near(tokens: list[str], at: int, is_wanted: Callable[[str], bool]) -> int:
    """The first such token from `at` on, else `at`."""
    return next((index for index in range(at, len(tokens)) if is_wanted(tokens[index])), at)


def mutated_bytes(draw: random.Random, text: str) -> bytes:
    """One to four bytes flipped, put in or deleted."""
    data = bytearray(text.encode())
    for _ in range(draw.choice((1, 1, 2, 4))):
        at = draw.randrange(len(data))
        match draw.randrange(4):
            case 0:
                data[at] ^= 1 << draw.randrange(8)
            case 1:
                data[at] = draw.randrange(256)
            case 2:
                data.insert(at, draw.choice(b"\x00\x0b\x1b\x7f\xc3\xff\r\t (){}[]\"'.,:=#0a"))
            case _:
                del data[at : at + draw.choice((1, 1, 2, 8))]
    return bytes(data)


def beginning(draw: random.Random, text: str) -> str:
    return text[: draw.randrange(len(text) + 1)]


def run(name: str, count: int, seed: int, folder: Path) -> int:
    """Check `count` mutants of a spec; how many of them are still right."""
    draw = random.Random(f"{name} {seed}")
    path = folder / "mutant.net"
    clean = 0
    for number in range(count):
        kind = draw.choice(("tokens", "tokens", "tokens", "bytes", "beginning"))
        if kind == "bytes":
            data = mutated_bytes(draw, TEXTS[name])
        else:
            change = mutated_tokens if kind == "tokens" else beginning
            data = change(draw, TEXTS[name]).encode()
        try:
            if kind == "bytes":
                path.write_bytes(data)
                clean += not check(lambda: open_session(path))
            else:
                clean += not findings(data.decode(), name)
        except Exception:
            kept = folder / f"mutant_{number}.net"
            kept.write_bytes(data)
            print(f"seed {seed}, mutant {number} of {name}, {kind}: kept in {kept}")  # noqa: T201
            raise
    return clean


@pytest.mark.parametrize("name", TEXTS)
def test_mutants_of_a_spec_are_right_or_reported(name: str, tmp_path: Path) -> None:
    count = -(-IN_TEST // len(TEXTS))
    assert run(name, count, 1, tmp_path) < 0.6 * count


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 12))
@pytest.mark.parametrize("name", TEXTS)
def test_many_mutants_of_a_spec_are_right_or_reported(name: str, seed: int, tmp_path: Path) -> None:
    count = -(-IN_LONG_TEST // len(TEXTS) // 10)
    assert run(name, count, seed, tmp_path) < 0.6 * count


@pytest.mark.parametrize("name", TEXTS)
def test_a_spec_itself_is_right(name: str) -> None:
    assert () == findings(TEXTS[name], name)
