"""Rename maps take weights in from elsewhere, and give them back as they were."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from netdsl.diagnostics import Diagnostic, NetError
from netdsl.rename import parse_map, read_map

Array = NDArray[Any]
SPECS = Path(__file__).parents[1] / "specs"


def rule(text: str) -> Any:
    """A map of one rule, given its lines."""
    return parse_map("[[rule]]\n" + "\n".join(part.strip() for part in text.split(";")))


def numbered(*shape: int) -> Array:
    return np.arange(int(np.prod(shape)), dtype=np.float32).reshape(shape)


def assert_both_ways(mapping: Any, theirs: dict[str, Array], ours: dict[str, Array]) -> None:
    for expected, actual in ((ours, mapping.load(theirs)), (theirs, mapping.save(ours))):
        assert set(expected) == set(actual)
        for name, value in expected.items():
            np.testing.assert_array_equal(actual[name], value)


def refused(call: Any, *args: Any) -> tuple[Diagnostic, ...]:
    with pytest.raises(NetError) as caught:
        call(*args)
    found = tuple(caught.value.diagnostics)
    assert {"E0723"} == {d.code for d in found}
    return found


# --- names -------------------------------------------------------------------------------------------


def test_a_name_becomes_another() -> None:
    assert_both_ways(
        rule('from = "fc.weight"; to = "head.weight"'), {"fc.weight": numbered(2)}, {"head.weight": numbered(2)}
    )


def test_a_name_without_a_rule_stays() -> None:
    assert_both_ways(rule('from = "a"; to = "b"'), {"c": numbered(2)}, {"c": numbered(2)})


def test_a_capture_is_one_element_of_a_path() -> None:
    mapping = rule('from = "layer.{i}.{kind}"; to = "blocks.{i}.mlp.{kind}"')
    theirs = {"layer.0.weight": numbered(2), "layer.11.bias": numbered(3), "layer.0.mlp.weight": numbered(4)}
    ours = {"blocks.0.mlp.weight": numbered(2), "blocks.11.mlp.bias": numbered(3), "layer.0.mlp.weight": numbered(4)}
    assert_both_ways(mapping, theirs, ours)


def test_a_capture_that_repeats_must_be_the_same_text() -> None:
    mapping = rule('from = "s{i}.b{i}"; to = "{i}"')
    assert {"1", "s1.b2"} == set(mapping.load({"s1.b1": numbered(1), "s1.b2": numbered(1)}))


def test_stars_are_any_text_in_order() -> None:
    mapping = rule('from = "module.*"; to = "*"')
    assert_both_ways(
        mapping, {"module.a.b": numbered(2), "module.c": numbered(1)}, {"a.b": numbered(2), "c": numbered(1)}
    )
    mapping = rule('from = "net.*.ln{i}.*"; to = "*.norm{i}.*"')
    assert_both_ways(mapping, {"net.a.b.ln1.weight": numbered(2)}, {"a.b.norm1.weight": numbered(2)})


def test_the_first_rule_that_matches_is_used() -> None:
    mapping = parse_map('[[rule]]\nfrom = "a.weight"\nto = "first"\n[[rule]]\nfrom = "a.{x}"\nto = "second.{x}"\n')
    assert {"first", "second.bias"} == set(mapping.load({"a.weight": numbered(1), "a.bias": numbered(1)}))


def test_dots_and_signs_in_names_are_plain_text() -> None:
    mapping = rule('from = "a.b+(c)"; to = "x"')
    assert {"x", "aXb+(c)"} == set(mapping.load({"a.b+(c)": numbered(1), "aXb+(c)": numbered(1)}))


def test_what_is_ignored_does_not_come_in() -> None:
    mapping = parse_map('[[rule]]\nignore = ["*.position_ids", "num_{x}"]\n[[rule]]\nfrom = "a.*"\nto = "b.*"\n')
    theirs = {"a.w": numbered(2), "a.position_ids": numbered(1), "num_batches": numbered(1)}
    assert {"b.w"} == set(mapping.load(theirs))
    assert {"a.w"} == set(mapping.save(mapping.load(theirs)))


# --- data --------------------------------------------------------------------------------------------


def test_transpose() -> None:
    mapping = rule('from = "a"; to = "b"; transpose = true')
    assert_both_ways(mapping, {"a": numbered(2, 3)}, {"b": numbered(2, 3).T})
    mapping = rule('from = "a"; to = "b"; transpose = [2, 0, 1]')
    assert_both_ways(mapping, {"a": numbered(2, 3, 4)}, {"b": numbered(2, 3, 4).transpose(2, 0, 1)})
    mapping = rule('from = "a"; to = "b"; transpose = false')
    assert_both_ways(mapping, {"a": numbered(2, 3)}, {"b": numbered(2, 3)})


def test_reshape() -> None:
    mapping = rule('from = "a"; to = "b"; reshape = [6, -1]; source_shape = [2, 3, -1]')
    assert_both_ways(mapping, {"a": numbered(2, 3, 4)}, {"b": numbered(6, 4)})


def test_concat() -> None:
    mapping = rule('from = ["{i}.q", "{i}.k"]; to = "{i}.qk"; concat = 0')
    theirs = {"0.q": numbered(2, 3), "1.k": numbered(1, 2) + 9, "0.k": numbered(2, 3) + 9, "1.q": numbered(1, 2)}
    ours = {
        "0.qk": np.concatenate([theirs["0.q"], theirs["0.k"]]),
        "1.qk": np.concatenate([theirs["1.q"], theirs["1.k"]]),
    }
    assert_both_ways(mapping, theirs, ours)


def test_parts_that_are_not_alike_are_joined_by_their_sizes() -> None:
    mapping = rule('from = ["q", "k", "v"]; to = "qkv"; concat = 1; sizes = [4, 1, 1]')
    theirs = {"q": numbered(2, 4), "k": numbered(2, 1) + 50, "v": numbered(2, 1) + 70}
    assert_both_ways(mapping, theirs, {"qkv": np.concatenate(list(theirs.values()), 1)})


def test_split() -> None:
    mapping = rule('from = "qkv.{k}"; to = ["q.{k}", "k.{k}", "v.{k}"]; split = 0')
    theirs = {"qkv.weight": numbered(6, 2), "qkv.bias": numbered(6)}
    ours = {
        f"{p}.{k}": v for k in ("weight", "bias") for p, v in zip("qkv", np.split(theirs[f"qkv.{k}"], 3), strict=True)
    }
    assert_both_ways(mapping, theirs, ours)
    mapping = rule('from = "a"; to = ["b", "c"]; split = -1; sizes = [1, 2]')
    assert_both_ways(mapping, {"a": numbered(2, 3)}, {"b": numbered(2, 3)[:, :1], "c": numbered(2, 3)[:, 1:]})


def test_the_steps_of_a_rule_are_undone_in_reverse() -> None:
    mapping = rule(
        'from = ["q", "k"]; to = "qk"; transpose = true; reshape = [3, 2, 2]; source_shape = [3, 4]; concat = 1'
    )
    q, k = numbered(4, 3), numbered(4, 3) + 100
    ours = {"qk": np.concatenate([q.T.reshape(3, 2, 2), k.T.reshape(3, 2, 2)], 1)}
    assert_both_ways(mapping, {"q": q, "k": k}, ours)
    mapping = rule('from = "qk"; to = ["q", "k"]; transpose = true; reshape = [4, 3]; source_shape = [2, 6]; split = 0')
    qk = numbered(6, 2)
    first, second = np.split(qk.T.reshape(4, 3), 2)
    assert_both_ways(mapping, {"qk": qk}, {"q": first, "k": second})


# --- what cannot be done -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "theirs", "words"),
    [
        ('from = "a"; to = "b"; transpose = true', {"a": (3,)}, "`a` [3] cannot become `b`: `transpose` orders 2 axes"),
        ('from = "a"; to = "b"; reshape = [4, 2]; source_shape = [9]', {"a": (9,)}, "9 elements do not fill [4, 2]"),
        ('from = ["a", "b"]; to = "c"; concat = 1', {"a": (2,), "b": (2,)}, "there is no axis 1"),
        ('from = ["a", "b"]; to = "c"; concat = 0', {"a": (2,), "b": (4,)}, "give `sizes`, so that it can be undone"),
        ('from = ["a", "b"]; to = "c"; concat = 0; sizes = [1, 1]', {"a": (2,), "b": (1,)}, "`sizes` says [1, 1]"),
        ('from = ["a", "b"]; to = "c"; concat = 0', {"a": (2, 3), "b": (2, 4)}, "`a` [2, 3] and `b` [2, 4] cannot"),
        ('from = "a"; to = ["b", "c"]; split = 0', {"a": (3,)}, "2 does not divide 3, the size of axis 0"),
        ('from = "a"; to = ["b", "c"]; split = 2', {"a": (3,)}, "there is no axis 2"),
        ('from = "a"; to = ["b", "c"]; split = 0; sizes = [1, 3]', {"a": (3,)}, "[1, 3] do not add up to 3"),
        ('from = "{x}.w"; to = "{x}"', {"a.w": (1,), "a": (1,)}, "two tensors would be `a`"),
    ],
)
def test_a_tensor_that_does_not_fit_its_rule_is_named(
    text: str, theirs: dict[str, tuple[int, ...]], words: str
) -> None:
    (diagnostic,) = refused(rule(text).load, {name: numbered(*shape) for name, shape in theirs.items()})
    assert words in diagnostic.title


def test_every_tensor_that_does_not_fit_is_named() -> None:
    mapping = rule('from = "{x}.w"; to = "{x}.weight"; transpose = true')
    assert 2 == len(refused(mapping.load, {"a.w": numbered(2), "b.w": numbered(2, 2), "c.w": numbered(2)}))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('to = "b"', "needs `from` and `to`, or `ignore`"),
        ('from = "a"', "needs `from` and `to`, or `ignore`"),
        ('from = "a"; to = "b"; transposed = true', "did you mean `transpose`?"),
        ('from = "a"; to = "b"; colour = 1', "keys are from, to"),
        ('from = 3; to = "b"', "`from` that is neither a name nor a list of names"),
        ('from = []; to = "b"', "`from` that is neither"),
        ('from = ["a", 1]; to = "b"; concat = 0', "`from` that is neither"),
        ('from = ""; to = "b"', "`from` that is neither"),
        ('from = ["a", "b"]; to = "c"', "give `concat` its axis"),
        ('from = "a"; to = ["b", "c"]', "give `split` its axis"),
        ('from = "a"; to = "b"; concat = 0', "has `concat` and one source"),
        ('from = "a"; to = "b"; split = 0', "has `split` and one target"),
        ('from = ["a", "b"]; to = ["c", "d"]; concat = 0; split = 0', "several sources and several targets"),
        ('from = ["a", "b"]; to = "c"; concat = "0"', "needs an axis for `concat`, found '0'"),
        ('from = ["a", "b"]; to = "c"; concat = true', "needs an axis for `concat`"),
        ('from = ["a", "b"]; to = "c"; concat = 0; sizes = [1]', "has 2 parts, and 1 `sizes`"),
        ('from = ["a", "b"]; to = "c"; concat = 0; sizes = 2', "needs a list of sizes for `sizes`"),
        ('from = "a.{i}"; to = "b.{j}"', "captures different names"),
        ('from = "a.{i}"; to = "b"', "captures different names"),
        ('from = "a.*"; to = "b"', "another count of `*`"),
        ('from = "{a}{b}"; to = "{b}{a}"', "two captures"),
        ('from = "a.{1}"; to = "b.{1}"', "braces"),
        ('from = "a.{i"; to = "b"', "braces"),
        ('from = "*.*.*.*"; to = "*.*.*.*"', "more than 3 `*`"),
        ('from = "a"; to = "b"; transpose = [0, 0]', "each axis once"),
        ('from = "a"; to = "b"; transpose = "yes"', "needs a list of sizes for `transpose`"),
        ('from = "a"; to = "b"; reshape = [2, 2]', "needs both `reshape` and `source_shape`"),
        ('from = "a"; to = "b"; reshape = [2.5]; source_shape = [2]', "needs a list of sizes for `reshape`"),
        ('ignore = 3', "`ignore` that is neither"),
        ('ignore = "a"; to = "b"', "`ignore` beside other keys"),
    ],
)  # fmt: skip
def test_a_rule_that_says_nothing_clear_is_refused(text: str, words: str) -> None:
    (diagnostic,) = refused(rule, text)
    assert diagnostic.title.startswith("rule 1 of `<map>` ")
    assert words in diagnostic.title


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[rule]", "is not TOML"),
        ("a = " + "[" * 5000, "is not TOML"),
        ('[[rules]]\nfrom = "a"\nto = "b"\n', "has no use for `rules`"),
        ('[rule]\nfrom = "a"\nto = "b"\n', "is not a list of tables"),
        ('rule = "a"\n', "is not a list of tables"),
        ('rule = ["a"]\n', "is not a list of tables"),
    ],
)
def test_a_text_that_is_no_map_is_refused(text: str, words: str) -> None:
    (diagnostic,) = refused(parse_map, text)
    assert words in diagnostic.title


def test_every_rule_that_is_wrong_is_reported() -> None:
    found = refused(parse_map, '[[rule]]\nfrom = "a"\n[[rule]]\nfrom = "a"\nto = "b"\n[[rule]]\nfrom = 1\nto = "b"\n')
    assert ["rule 1", "rule 3"] == [d.title[:6] for d in found]


def test_files_are_read_as_text_and_missing_ones_named(tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_bytes(b'[[rule]]\nfrom = "\xff"\n')
    (diagnostic,) = refused(read_map, path)
    assert "it is not UTF-8 text" in diagnostic.title
    with pytest.raises(NetError) as caught:
        read_map(tmp_path / "none.toml")
    assert ["E0701"] == [d.code for d in caught.value.diagnostics]


def test_long_names_do_not_take_long() -> None:
    mapping = rule('from = "*a*a*b"; to = "*a*a*c"')
    started = time.perf_counter()
    mapping.load({"a" * 300: numbered(1)})
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize("path", sorted((SPECS / "weights").glob("*.toml")), ids=lambda p: p.stem)
def test_the_maps_of_the_specs_are_understood(path: Path) -> None:
    assert read_map(path).rules
