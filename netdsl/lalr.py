"""A table-driven LALR(1) parser that builds its result as it reads and goes on after an error."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from netdsl.record import dataclass

END = "$END"


class Token(NamedTuple):
    """One word of a text: the name of its terminal and the characters `start..end`."""

    kind: str
    start: int
    end: int


class Rule(NamedTuple):
    """`left` is what `size` symbols become.

    `picks` are the symbols handed to `callback` (-1: None stands there), `spread` those whose elements are handed on
    one by one. An empty callback hands on the one picked symbol, or the list of them when `is_list`.
    """

    left: str
    size: int
    callback: str
    picks: tuple[int, ...]
    spread: frozenset[int]
    is_list: bool
    is_plain: bool  # all symbols are handed on as they are
    is_unit: bool  # one symbol gets another name


@dataclass(frozen=True, slots=True)
class Tables:
    """`states` maps a symbol to the next state, or to `-1 - rule` where that rule ends."""

    states: list[dict[str, int]]
    rules: tuple[Rule, ...]
    starts: Mapping[str, int]
    ends: Mapping[str, int]
    unit_steps: dict[tuple[int, int, str], int]

    @staticmethod
    def load(data: Mapping[str, Any]) -> "Tables":
        """The tables that `grammar/build_tables.py` wrote."""
        rules = []
        for left, size, callback, picks, is_list in data["rules"]:
            spread = frozenset(pick[0] for pick in picks if isinstance(pick, list))
            flat = tuple(pick[0] if isinstance(pick, list) else pick for pick in picks)
            is_plain = not spread and flat == tuple(range(size))
            is_unit = size == 1 and not callback and not is_list
            rules.append(Rule(left, size, callback, flat, spread, is_list, is_plain, is_unit))
        return Tables(data["states"], tuple(rules), data["starts"], data["ends"], {})

    def accepts(self, states: Sequence[int], kind: str) -> bool:
        """Whether a token of `kind` can be read next, with `states` on the stack."""
        stack = list(states)
        while True:
            action = self.states[stack[-1]].get(kind)
            if action is None:
                return False
            if action >= 0:
                return True
            rule = self.rules[-1 - action]
            if rule.size:
                del stack[-rule.size :]
            stack.append(self.states[stack[-1]][rule.left])
            if kind == END and stack[-1] in self.ends.values():
                return True

    def expected(self, states: Sequence[int]) -> frozenset[str]:
        """The terminals that can be read next, with `states` on the stack."""
        symbols = self.states[states[-1]]
        return frozenset(kind for kind in symbols if kind.isupper() and self.accepts(states, kind))


class TooDeep(Exception):
    """The tree grew past its limit between the characters `start` and `end`."""

    def __init__(self, start: int, end: int) -> None:
        super().__init__(start, end)
        self.start = start
        self.end = end


class Resume(NamedTuple):
    """Where to go on after an error: keep `states` states, take `symbol` as read with no value, read token `number`."""

    states: int
    symbol: str
    number: int


Callbacks = Mapping[str, Callable[..., Any]]
Recover = Callable[[Sequence[int], Sequence[Any], int, TooDeep | None], Resume | None]


def run(
    tables: Tables, tokens: Sequence[Token], start: str, callbacks: Callbacks, recover: Recover, max_depth: int
) -> Any:
    """The value of `tokens`, which end with `END`; None when `recover` gave up.

    A callback takes the first and the last character of its rule, then the picked values. The depth of a value is one
    more than the depth of its deepest part; lists add none.

    Args:
        recover: called with the states, the values (one fewer), the number of the token that does not fit, and the
            reason when it is depth.
    """
    table, rules = tables.states, tables.rules
    end_state = tables.ends[start]
    states = [tables.starts[start]]
    stack = _Stack([], [], [], [], callbacks, max_depth)
    number = 0
    token = tokens[0]
    kind = token.kind
    while True:
        action = table[states[-1]].get(kind)
        too_deep: TooDeep | None = None
        if action is not None and action >= 0:
            states.append(action)
            stack.push(token, token.start, token.end, 0)
            number += 1
            token = tokens[number]
            kind = token.kind
            continue
        if action is not None:
            rule = rules[-1 - action]
            if rule.is_unit:
                states[-1] = _unit_step(tables, states[-2], states[-1], kind)
            else:
                too_deep = stack.reduce(rule, token.start)
                if too_deep is None:
                    if rule.size:
                        del states[-rule.size :]
                    states.append(table[states[-1]][rule.left])
            if too_deep is None:
                if kind == END and states[-1] == end_state:
                    return stack.values[-1]
                continue
        resume = recover(states, stack.values, number, too_deep)
        if resume is None:
            return None
        del states[resume.states :]
        stack.cut(resume.states - 1)
        states.append(table[states[-1]][resume.symbol])
        number = resume.number
        token = tokens[number]
        kind = token.kind
        stack.push([], token.start, token.start, 0)


def _unit_step(tables: Tables, below: int, state: int, kind: str) -> int:
    """The state after all rules that only rename the top symbol; most of parsing an expression is this."""
    key = (below, state, kind)
    found = tables.unit_steps.get(key)
    if found is not None:
        return found
    final = state
    while True:
        action = tables.states[final].get(kind)
        if action is None or action >= 0:
            break
        rule = tables.rules[-1 - action]
        if not rule.is_unit:
            break
        final = tables.states[below][rule.left]
    tables.unit_steps[key] = final
    return final


@dataclass(slots=True)
class _Stack:
    """What was read and is not yet part of something greater, with its first and last characters and its depth."""

    values: list[Any]
    firsts: list[int]
    lasts: list[int]
    depths: list[int]
    callbacks: Callbacks
    max_depth: int

    def push(self, value: Any, first: int, last: int, depth: int) -> None:
        self.values.append(value)
        self.firsts.append(first)
        self.lasts.append(last)
        self.depths.append(depth)

    def cut(self, size: int) -> None:
        del self.values[size:], self.firsts[size:], self.lasts[size:], self.depths[size:]

    def reduce(self, rule: Rule, at: int) -> TooDeep | None:
        """Replace the top `rule.size` values by the value of the rule; an empty one stands at character `at`."""
        size = rule.size
        if size == 0:
            self.push(self.callbacks[rule.callback](at, at) if rule.callback else [], at, at, 0)
            return None
        values = self.values
        first, last, depth = self.firsts[-size], self.lasts[-1], max(self.depths[-size:])
        parts = values[-size:]
        kept = parts if rule.is_plain else _kept(rule, parts)
        if rule.callback:
            depth += 1
            if depth > self.max_depth:
                return TooDeep(first, last)
            value = self.callbacks[rule.callback](first, last, *kept)
        else:
            value = kept if rule.is_list else kept[0]
        del values[-size:], self.firsts[-size:], self.lasts[-size:], self.depths[-size:]
        self.push(value, first, last, depth)
        return None


def _kept(rule: Rule, parts: list[Any]) -> list[Any]:
    """The parts that are handed on."""
    if not rule.spread:
        return [parts[pick] if pick >= 0 else None for pick in rule.picks]
    picks = rule.picks
    kept: list[Any] = []
    if rule.is_list and picks[0] == 0 and 0 in rule.spread:
        kept = parts[0]  # the list so far is not used again: it grows in place
        picks = picks[1:]
    for pick in picks:
        if pick in rule.spread:
            kept.extend(parts[pick])
        else:
            kept.append(parts[pick] if pick >= 0 else None)
    return kept
