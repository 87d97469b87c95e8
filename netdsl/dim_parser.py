"""The text form of a size, read."""

import re
from typing import NoReturn

from netdsl.dim_algebra import SYMBOL_PATTERN, Dim, dmax, dmin

_TOKEN = rf"\s*(?:(\d+)|({SYMBOL_PATTERN})|(//|[-+*%(),])|(\S))"


def parse_dim(text: str) -> Dim:
    """The size that `text` writes: names, integers, `+ - * // %`, `min(..)`, `max(..)` and brackets.

    Raises: ValueError: anything else, or a division by the constant 0.
    """
    try:
        return _Parser(text).whole()
    except ZeroDivisionError:
        raise ValueError(f"`{text}` divides by 0") from None
    except RecursionError:
        raise ValueError("a size has too many nested brackets") from None


class _Parser:
    """Recursive descent over the tokens of one size."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str]] = []
        for number, name, operator, junk in re.findall(_TOKEN, text):
            if junk:
                self.fail(junk)
            self.tokens.append(("number", number) if number else ("name", name) if name else ("operator", operator))
        self.tokens.append(("end", ""))
        self.index = 0

    def fail(self, found: str) -> NoReturn:
        raise ValueError(f"`{self.text}` is not a size: did not expect {f'`{found}`' if found else 'its end'}")

    def take(self) -> tuple[str, str]:
        token = self.tokens[self.index]
        self.index += 1
        return token

    def accept(self, *operators: str) -> str | None:
        kind, text = self.tokens[self.index]
        if kind != "operator" or text not in operators:
            return None
        self.index += 1
        return text

    def expect(self, operator: str) -> None:
        if not self.accept(operator):
            self.fail(self.tokens[self.index][1])

    def whole(self) -> Dim:
        dim = self.sum()
        kind, text = self.take()
        return dim if kind == "end" else self.fail(text)

    def sum(self) -> Dim:
        dim = self.product()
        while operator := self.accept("+", "-"):
            right = self.product()
            dim = dim + right if operator == "+" else dim - right
        return dim

    def product(self) -> Dim:
        dim = self.factor()
        while operator := self.accept("*", "//", "%"):
            right = self.factor()
            dim = dim * right if operator == "*" else dim // right if operator == "//" else dim % right
        return dim

    def factor(self) -> Dim:
        if self.accept("-"):
            return -self.factor()
        if self.accept("("):
            dim = self.sum()
            self.expect(")")
            return dim
        kind, text = self.take()
        if kind == "number":
            return Dim.of(int(text))
        if kind != "name":
            self.fail(text)
        if text not in ("min", "max") or not self.accept("("):
            return Dim.of(text)
        args = [self.sum()]
        while self.accept(","):
            args.append(self.sum())
        self.expect(")")
        return dmin(*args) if text == "min" else dmax(*args)
