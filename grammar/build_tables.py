"""Write `tables.json`, the parse tables of `net.lark`: `python grammar/build_tables.py`."""

import hashlib
import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
STARTS = ["module", "expression", "body"]


def build_tables(grammar: str) -> dict[str, Any]:
    """The LALR(1) tables of `grammar`, as data.

    `patterns` holds the terminals that are regular expressions, in the order in which they are tried; `literals` maps
    the text of the others to their names. `rules` are `[left side, size, callback, picks, is_list]`: `picks` says which
    of the symbols go on to the callback (-1: nothing stands there), `[index]` stands for the elements of a list, and an
    empty callback hands the one picked symbol on as it is. `states` has one mapping a state: symbol to the next state,
    or to `-1 - rule` where that rule ends.

    Raises: lark.exceptions.GrammarError: two rules or two terminals fit one text.
    """
    from lark import Lark
    from lark.parsers.lalr_analysis import Shift

    parser: Any = Lark(grammar, start=STARTS, parser="lalr", lexer="basic", strict=True, maybe_placeholders=True)
    table = parser.parser.parser._parse_table
    rules = sorted(parser.rules, key=_rule_key)
    rule_numbers = {rule: number for number, rule in enumerate(rules)}
    order = _state_order(table, Shift)
    state_numbers = {state: number for number, state in enumerate(order)}
    terminals = parser.parser.lexer.terminals
    return {
        "grammar_sha256": hashlib.sha256(grammar.encode()).hexdigest(),
        "patterns": [[t.name, t.pattern.value] for t in terminals if t.pattern.type == "re"],
        "literals": {t.pattern.value: t.name for t in terminals if t.pattern.type == "str"},
        "ignored": sorted(parser.ignore_tokens),
        "starts": {start: state_numbers[table.start_states[start]] for start in STARTS},
        "ends": {start: state_numbers[table.end_states[start]] for start in STARTS},
        "rules": [_rule_data(rule) for rule in rules],
        "states": [
            {
                symbol: state_numbers[target] if action is Shift else -1 - rule_numbers[target]
                for symbol, (action, target) in sorted(table.states[state].items())
            }
            for state in order
        ],
    }


def _state_order(table: Any, shift: object) -> list[Any]:
    """The states in the order in which a walk from the starts meets them; equal for equal grammars."""
    order = [table.start_states[start] for start in STARTS]
    seen = set(order)
    for state in order:
        for _, (action, target) in sorted(table.states[state].items()):
            if action is shift and target not in seen:
                seen.add(target)
                order.append(target)
    return order


def _rule_key(rule: Any) -> tuple[str, list[str], str]:
    return str(rule.origin.name), [symbol.name for symbol in rule.expansion], rule.alias or ""


def _rule_data(rule: Any) -> list[Any]:
    size = len(rule.expansion)
    absent = rule.options.empty_indices or (False,) * size
    picks: list[Any] = []
    place = 0
    for is_absent in absent:
        if is_absent:
            picks.append(-1)
            continue
        symbol = rule.expansion[place]
        if not symbol.is_term and symbol.name.startswith("_"):
            picks.append([place])
        elif not (symbol.is_term and symbol.filter_out):
            picks.append(place)
        place += 1
    is_list = rule.origin.name.startswith("_")
    is_unit = rule.options.expand1 and not rule.alias and len(picks) == 1
    callback = "" if is_list or is_unit else rule.alias or str(rule.origin.name)
    return [str(rule.origin.name), size, callback, picks, is_list]


def main() -> None:
    tables = build_tables((HERE / "net.lark").read_text(encoding="utf-8"))
    text = json.dumps(tables, separators=(",", ":"), ensure_ascii=True)
    (HERE / "tables.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
