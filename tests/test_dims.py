"""Sizes: canonical forms, facts, proofs and samples, as cases and as laws checked against plain integers."""

import copy
import functools
import itertools
import pickle
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from netdsl.dims import Dim, DimError, Facts, RelationOp, dmax, dmin, parse_dim

N, M, H, W, D, K = (Dim.of(name) for name in "NMHWDK")
HEADS, GROUPS = Dim.of("heads"), Dim.of("groups")
NOTHING = Facts.EMPTY


def dim(text: str) -> Dim:
    return parse_dim(text)


def facts(*clauses: str) -> Facts:
    """Facts from clauses such as `H % 32 == 0`."""
    known = NOTHING
    for clause in clauses:
        left, op, right = clause.partition(next(op for op in OPS if f" {op} " in clause))
        known = known.with_fact(op, dim(left), dim(right))  # type: ignore[arg-type]
    return known


OPS: tuple[RelationOp, ...] = ("==", "!=", "<=", ">=", "<", ">")


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("(N + M) * (N - M)", "N * N - M * M"),
        ("(4 * D) // 4", "D"),
        ("(2 * D + 2 * K) // 2", "D + K"),
        ("(6 * N) // 4", "(3 * N) // 2"),
        ("(N + 2 * K) // K", "N // K + 2"),
        ("(N * (K + 1) + M) // (K + 1)", "N + M // (K + 1)"),
        ("(N * (K + 1) + M) % (K + 1)", "M % (K + 1)"),
        ("((3 * N + 2) * (2 * K + 3 * M) + H) // (2 * K + 3 * M)", "3 * N + 2 + H // (2 * K + 3 * M)"),
        ("(N // 2) // 2", "N // 4"),
        ("((N // 2) // 3) // 5", "N // 30"),
        ("(N // 2 + 1) // 2", "(N + 2) // 4"),
        ("(N // 2 + M) // 3", "(N + 2 * M) // 6"),
        ("(D // heads) // K", "(D // K) // heads"),
        ("N % 1", "0"),
        ("(N * M) % N", "0"),
        ("(N * M) // N", "M"),
        ("(N * M) // (N * K)", "M // K"),
        ("(N * M) % (N * K)", "N * (M % K)"),
        ("(N % 4) % 2", "N % 2"),
        ("(N % 4 + M) % 2", "(N + M) % 2"),
        ("(N % 4) % 8", "N % 4"),
        ("(N % 4) // 4", "0"),
        ("(2 * N) % 4", "2 * (N % 2)"),
        ("(2 * N + 1) // 2", "N"),
        ("(2 * N + 1) % 2", "1"),
        ("(2 * N + 3) % 4", "2 * ((N + 1) % 2) + 1"),
        ("(-N) // 2", "N // 2 - N + 0 * (N % 2)"),
        ("(H - 1) // 2 + 1", "(H + 1) // 2"),
        ("(H + 2 * 1 - 3) // 1 + 1", "H"),
        ("N // -2", "(-N) // 2"),
        ("N % -2", "-((-N) % 2)"),
        ("min(N, min(M, 4), 7, N)", "min(M, N, 4)"),
        ("max(N, N + 1, N - 3)", "N + 1"),
        ("min(3, 5) + max(3, 5)", "8"),
        ("min(N, max(M))", "min(M, N)"),
        ("7 // 2 - -7 // 2", "7"),
    ],
)
def test_equal_sizes_have_one_canonical_form(left: str, right: str) -> None:
    assert dim(right) == dim(left)
    assert hash(dim(right)) == hash(dim(left))
    assert str(dim(right)) == str(dim(left))


@pytest.mark.parametrize(
    "text",
    [
        "2 * (H // 2) + 1",
        "min(N, 64)",
        "H % 2",
        "0",
        "-3",
        "-N",
        "-(H // 2)",
        "-2 * (H // 2)",
        "N * N - H // 2 - 1",
        "512 // heads",
        "(N + 1) // (K + 2)",
        "max(N // 2, min(K, 3)) % 5",
        "block.rows + 1",
        "min(N, 4) // 3",
        "N // (min(M, N) // 2)",
        "2 * (min(M, N) // 2)",
    ],
)
def test_text_reads_back_as_written(text: str) -> None:
    assert text == str(dim(text)).replace("min(4, N)", "min(N, 4)")


@pytest.mark.parametrize(
    "junk",
    [
        "",
        "N +",
        "1 2",
        "N M",
        "(N",
        "N)",
        "min()",
        "min(N",
        "N ** 2",
        "N / 2",
        "N // 0",
        "é!",
        "3N",
        ",",
        "%3",
        "(" * 9999,
    ],
)
def test_text_that_is_no_size_is_refused(junk: str) -> None:
    with pytest.raises(ValueError, match=r"is not a size|divides by 0|nested brackets"):
        parse_dim(junk)


def test_a_constant_equals_and_hashes_like_its_integer() -> None:
    assert Dim.of(5) == 5
    assert hash(5) == hash(Dim.of(5))
    assert hash(10**30) == hash(Dim.of(10**30))
    assert Dim.of(5).is_const
    assert 5 == Dim.of(5).value
    assert N - N == 0
    assert N != 5
    assert N != "N"
    assert {5: "five"}[N - N + 5] == "five"  # type: ignore[index]


def test_the_value_of_a_symbolic_size_is_an_error() -> None:
    with pytest.raises(ValueError, match="`N` is not a constant"):
        _ = N.value


def test_dim_of_keeps_dims_and_refuses_what_is_no_name() -> None:
    assert N is Dim.of(N)
    with pytest.raises(ValueError, match="not a name"):
        Dim.of("N + 1")
    with pytest.raises(TypeError):
        Dim.of(1.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        _ = N + 1.5  # type: ignore[operator]


def test_division_by_constant_zero_is_an_error() -> None:
    for number in (N, Dim.of(4)):
        for zero in (0, N - N):
            with pytest.raises(ZeroDivisionError):
                _ = number // zero
            with pytest.raises(ZeroDivisionError):
                _ = number % zero


def test_integers_work_on_both_sides_of_each_operator() -> None:
    env = {"N": 3}
    sizes = [2 + N, 2 - N, 2 * N, 7 // N, 7 % N, N + 2, N - 2, N * 2, N // 2, N % 2, N**2, -N]
    assert [5, -1, 6, 2, 1, 5, 1, 6, 1, 1, 9, -3] == [size.evaluate(env) for size in sizes]


def test_powers_are_products() -> None:
    assert N * N * N == N**3
    assert N**0 == 1
    assert 2**70 == (Dim.of(2) ** 70).value
    with pytest.raises(ValueError, match="no power -1"):
        _ = N**-1


def test_sizes_that_blow_up_are_refused() -> None:
    with pytest.raises(DimError):
        _ = N**65
    with pytest.raises(DimError):
        _ = N**40 * N**40
    wide = sum((Dim.of(f"a{index}") for index in range(40)), start=Dim.of(0))
    with pytest.raises(DimError):
        _ = wide * wide
    with pytest.raises(DimError):
        _ = (N + M + H + W) ** 30
    with pytest.raises(DimError):
        functools.reduce(lambda size, _: (2 * size + 1) // 3, range(1000), N)
    with pytest.raises(DimError):
        functools.reduce(lambda size, _: (size * size + size + 1) // 3, range(1000), N)


def test_evaluation_needs_every_symbol() -> None:
    assert 7 == dim("2 * (N // 2) + min(N, 3) + N % 2").evaluate({"N": 4, "unused": 1})
    with pytest.raises(KeyError):
        (N + M).evaluate({"N": 4})


def test_substitution_is_simultaneous_and_canonical() -> None:
    assert M + 2 * N == (N + 2 * M).substitute({"N": M, "M": N})
    assert K == dim("N // M").substitute({"N": 4 * K, "M": 4})
    assert 3 == dim("min(N, 3)").substitute({"N": 8})
    assert N is N.substitute({"M": 3})


def test_symbols_are_those_of_every_atom() -> None:
    assert {"N", "M", "K", "H"} == dim("N // M + min(K, 3) * (H % 2)").symbols
    assert frozenset() == (N - N).symbols


def test_sizes_and_facts_survive_pickle_and_copy() -> None:
    size = dim("H // 2 + 3 * N * K - min(N, K // heads, 64)")
    known = facts("D % heads == 0")
    assert D == known.simplify(HEADS * (D // HEADS))
    for rebuilt in (pickle.loads(pickle.dumps((size, known))), copy.deepcopy((size, known))):
        assert (size, known) == rebuilt
        assert hash((size, known)) == hash(rebuilt)


@pytest.mark.parametrize(
    ("clauses", "size", "simple"),
    [
        (["H % 2 == 0"], "2 * (H // 2)", "H"),
        (["H % 4 == 0"], "4 * (H // 2 // 2)", "H"),
        (["H % 16 == 0"], "8 * (H // 2 // 2 // 2)", "H"),
        (["H % 16 == 0"], "(H // 2) % 8", "0"),
        (["H % 16 == 0"], "H % 8 + H % 4 + H % 2", "0"),
        (["H % 32 == 0", "H % 3 == 0"], "96 * (H // 96)", "H"),
        (["H % 32 == 0", "H % 48 == 0"], "96 * (H // 96)", "H"),
        (["(H + 1) % 4 == 0"], "4 * (H // 4) + 3", "H"),
        (["H % 4 == 3"], "4 * (H // 4) + 3", "H"),
        (["(H + W) % 4 == 0"], "4 * ((H + W) // 4)", "H + W"),
        (["(3 * H) % 8 == 0"], "8 * (H // 8)", "H"),
        (["D % heads == 0"], "heads * (D // heads)", "D"),
        (["D % heads == 0"], "D % heads", "0"),
        (["D % heads == 0"], "(D * N) // heads", "N * (D // heads)"),
        (["D % heads == 0"], "(D + heads) // heads", "D // heads + 1"),
        (["D % heads == 0", "D % 8 == 0"], "heads * (D // heads) + 8 * (D // 8)", "2 * D"),
        (["512 % heads == 0"], "heads * (512 // heads)", "512"),
        (["(K * N) % groups == 0"], "groups * ((K * N) // groups)", "K * N"),
        (["(K * N) % groups == 0"], "(K * N + groups) % groups", "0"),
        (["D % (heads + 1) == 0"], "(heads + 1) * (D // (heads + 1))", "D"),
        (["D % (2 * heads) == 0"], "2 * (D // 2)", "D"),
        (["D % (2 * heads) == 0"], "heads * (D // heads)", "D"),
        (["H == W"], "H * W", "H * H"),
        (["W == H"], "H * W", "H * H"),
        (["N == H * W", "W == 4"], "N // 4", "H"),
        (["N == 2 * M + 1"], "N // 2", "M"),
        (["H // 2 == W"], "2 * W - 2 * (H // 2)", "0"),
        (["min(N, 64) == 64"], "min(N, 64) + 1", "65"),
        (["N >= 8"], "min(N, 8)", "8"),
        (["N >= 8"], "max(N, 8)", "N"),
        (["N < M"], "min(N, M - 1)", "N"),
        (["N < M"], "max(N, M, 0)", "M"),
        (["N < 4"], "N // 4", "0"),
        (["N < M"], "N % M", "N"),
        (["N < M"], "N // M", "0"),
        (["N % 4 == 0", "M < 4"], "(N + M) // 4", "N // 4"),
        (["N % 4 == 0", "M < 4"], "(N + M) % 4", "M"),
        ([], "min(N, 0)", "0"),
        ([], "max(N, 0)", "N"),
        ([], "(N % 2) // 2 + min(N, N + M)", "N"),
    ],
)
def test_facts_simplify(clauses: list[str], size: str, simple: str) -> None:
    assert dim(simple) == facts(*clauses).simplify(dim(size))


def test_five_strided_convolutions_divide_by_32() -> None:
    height = H
    for _ in range(5):
        height = (height + 2 * 1 - 3) // 2 + 1
    known = facts("H % 32 == 0")
    assert H // 32 == known.simplify(height)
    assert known.prove_eq(height, H // 32) is True
    assert NOTHING.prove_eq(height, H // 32) is None


def test_u_net_comes_back_to_its_size() -> None:
    known = facts("H % 16 == 0")
    down = [H]
    for _ in range(4):
        down.append(down[-1] // 2)
    up = down[-1]
    for size in reversed(down[:-1]):
        up = known.simplify(2 * up)
        assert known.prove_eq(up, size) is True
    assert H == up
    assert NOTHING.prove_eq(2 * (H // 2), H) is None


def test_simplify_leaves_alone_what_it_cannot_improve() -> None:
    known = facts("H % 32 == 0", "D % heads == 0", "H % 3 == 0")
    for text in ("H", "H // 32", "D // heads", "(H + N) // 5", "H * D", "N % 7", "H // 7", "D", "H + 1"):
        assert dim(text) == known.simplify(dim(text))


@pytest.mark.parametrize(
    ("clauses", "left", "op", "right", "answer"),
    [
        ([], "N", "==", "N", True),
        ([], "N", "==", "M", None),
        ([], "N", "==", "N + 1", False),
        ([], "N + 1", "==", "0", False),
        ([], "2 * N + 1", "==", "2 * M", False),
        ([], "N * N", "==", "N", None),
        ([], "heads * (D // heads) + D % heads", "==", "D", True),
        ([], "N // 2 + (N + 1) // 2", "==", "N", True),
        ([], "N // 2 + (N + 1) // 2", "==", "N + 1", False),
        ([], "(N + 2) // 3 * 3", ">=", "N", True),
        ([], "(N + M) % 2", "==", "(N - M) % 2", True),
        ([], "N", ">=", "0", True),
        ([], "N", ">=", "1", None),
        ([], "N", "<", "0", False),
        ([], "min(N, M)", "<=", "N", True),
        ([], "min(N, M)", ">", "N", False),
        ([], "max(N, M)", ">=", "M", True),
        ([], "min(N, M) + max(N, M)", "==", "N + M", True),
        ([], "N // 2", "<=", "N", True),
        ([], "N % 4", "<", "4", True),
        ([], "N % M", "<", "M", True),
        ([], "N // M", "<=", "N", True),
        ([], "(H - 1) // 2 + 1", "<=", "H", True),
        ([], "N * M + N", ">=", "N", True),
        (["N >= 1", "M >= 1"], "N * M", ">=", "N", True),
        (["N >= 1"], "N * N", ">=", "N", True),
        (["H >= 1"], "(H - 1) // 2 + 1", ">=", "1", True),
        (["H >= 3"], "(H - 3) // 2 + 1", ">=", "1", True),
        (["H >= 3"], "H - 3", ">=", "0", True),
        (["out >= C"], "out + N", ">=", "C", True),
        (["out >= C"], "out", ">=", "C", True),
        (["out >= C"], "C", ">", "out", False),
        (["out > C"], "out", "!=", "C", True),
        (["out > C"], "out", "==", "C", False),
        (["A <= B", "B <= C"], "A", "<=", "C", True),
        (["A <= B"], "A * N", "<=", "B * N", True),
        (["N != M"], "N", "==", "M", False),
        (["N != M"], "M", "!=", "N", True),
        (["N != 0"], "N", ">=", "1", True),
        (["N <= 5"], "N", "==", "7", False),
        (["N <= 5", "N >= 5"], "N", "==", "5", True),
        (["N <= M", "M <= N"], "N", "==", "M", True),
        (["H == W"], "H * K", "==", "W * K", True),
        (["H % 16 == 0"], "H % 8", "==", "0", True),
        (["H % 16 == 0"], "(H // 2) % 8", "==", "0", True),
        (["H % 16 == 0"], "H % 32", "==", "0", None),
        (["H % 16 == 0"], "H", "==", "17", False),
        (["H % 2 == 1"], "H % 2", "==", "0", False),
        (["(H // 2) % 8 == 0"], "(H // 2) % 4", "==", "0", True),
        (["(H // 2) % 8 == 0"], "2 * (H // 4)", "==", "H // 2", True),
        (["D % heads == 0"], "heads * (D // heads)", "==", "D", True),
        (["D % heads == 0"], "heads", ">=", "1", True),
        (["512 % heads == 0"], "heads", "<=", "512", True),
        (["D % heads == 0", "heads % 2 == 0"], "D % 2", "==", "0", True),
        (["N == M + 3"], "N", ">", "M", True),
        (["(N - M) % K == 0"], "N", ">=", "M", None),
        (["(N - M) % K == 0"], "(N - M) % K", "==", "0", True),
        (["(N - M) % 4 == 0"], "N % 2", "==", "M % 2", True),
        (["H // 2 == 5"], "H", ">=", "10", True),
        (["H // 2 == 5"], "H", "<", "12", True),
        (["H == W", "H % 8 == 0"], "W % 4", "==", "0", True),
        (["N == M + 3"], "N", ">=", "3", True),
    ],
)
def test_proofs(clauses: list[str], left: str, op: RelationOp, right: str, answer: bool | None) -> None:
    assert answer is facts(*clauses).prove(op, dim(left), dim(right))


def test_bounds_follow_intervals() -> None:
    known = NOTHING.with_bounds("N", 3, 10)
    assert (3, 10) == known.bounds(N)
    assert (9, 100) == known.bounds(N * N)
    assert (-9, -2) == known.bounds(1 - N)
    assert (0, 3) == known.bounds(N // 3 * (M % 2))
    assert (0, None) == known.bounds(M)
    assert (None, 0) == known.bounds(-M)
    assert (3, None) == known.bounds(dmax(N, M))
    assert (0, 10) == known.bounds(dmin(N, M))
    assert (7, 7) == known.bounds(Dim.of(7))
    assert (4, 10) == known.with_bounds("N", 4, None).bounds(N)
    assert (4, 9) == facts("N > 3", "2 * N < 20").bounds(N)


def test_items_hold_facts_and_bounds_in_order() -> None:
    known = facts("D % heads == 0", "N >= M").with_bounds("N", 1, 9).with_bounds("K", 0, None)
    expected = (("==", D % HEADS, dim("0")), (">=", N, M), (">=", N, dim("1")), ("<=", N, dim("9")))
    assert expected == known.items


def test_facts_are_values() -> None:
    assert facts("N >= M", "N >= M") == facts("N >= M")
    assert hash(facts("N >= M")) == hash(facts("N >= M"))
    assert NOTHING == facts("3 <= 4")
    assert NOTHING.with_bounds("N", 1, None).with_bounds("M", 2, None) == NOTHING.with_bounds("M", 2, None).with_bounds(
        "N", 1, None
    )


def test_substituted_facts_speak_of_the_new_symbols() -> None:
    known = facts("D % heads == 0").with_bounds("D", 4, 9)
    renamed = known.substitute({"D": N, "heads": 8})
    assert renamed.prove_eq(N % 8, 0) is True
    assert (8, 8) == renamed.bounds(N)
    assert (2, 4) == known.substitute({"D": 2 * M}).bounds(M)
    assert known.substitute({"D": 3, "heads": 3}).satisfies({}) is False


def test_satisfies_reads_every_fact() -> None:
    known = facts("D % heads == 0", "N != M").with_bounds("N", 2, None)
    good = {"D": 6, "heads": 3, "N": 2, "M": 1}
    assert known.satisfies(good)
    for change in ({"D": 7}, {"heads": 0}, {"N": 1, "M": 0}, {"M": 2}, {"M": -1}):
        assert not known.satisfies(good | change)
    with pytest.raises(KeyError):
        known.satisfies({"D": 6})


@pytest.mark.parametrize(
    "clauses",
    [
        ["H % 32 == 0"],
        ["D % heads == 0", "D % 8 == 0", "heads >= 2"],
        ["N * K == 36"],
        ["N < K", "K < H"],
        ["(H + W) % 8 == 0"],
        ["512 % heads == 0"],
        ["min(N, 64) == 64"],
        ["N == H * W", "H % 4 == 0"],
        ["H % 5 == 1", "H % 32 == 0"],
        ["N >= 1000"],
        ["N == 0"],
        ["(K * N) % groups == 0"],
        [],
    ],
)
def test_samples_satisfy_the_facts(clauses: list[str]) -> None:
    known = facts(*clauses)
    for seed in range(5):
        env = known.sample(["batch"], random.Random(seed))
        assert env is not None
        assert {"batch", *known.symbols} == env.keys()
        assert known.satisfies(env)
        assert env == known.sample(["batch"], random.Random(seed))


def test_samples_stay_in_the_wanted_range_and_vary() -> None:
    known = facts("H % 4 == 0")
    found = {known.sample(["H"], random.Random(seed), low=4, high=32)["H"] for seed in range(60)}  # type: ignore[index]
    assert set(range(4, 33, 4)) == found
    assert {"H": 32} == facts("H % 32 == 0").sample([], random.Random(0))


def test_contradicting_facts_have_no_sample() -> None:
    assert facts("N >= 5", "N <= 3").sample([], random.Random(0)) is None
    assert facts("H % 2 == 0", "H % 2 == 1").sample([], random.Random(0)) is None


# Laws: expressions are built twice, as a size and as a plain integer function.


@dataclass(frozen=True)
class Expression:
    size: Dim
    value: Callable[[Mapping[str, int]], int]


class NotPositiveError(Exception):
    """A divisor that is not positive: outside the contract."""


NAMES = ("N", "M", "K")


def combined(op: str, left: Expression, right: Expression) -> Expression:
    def value(env: Mapping[str, int]) -> int:
        first, second = left.value(env), right.value(env)
        match op:
            case "+":
                return first + second
            case "-":
                return first - second
            case "*":
                return first * second
            case "min":
                return min(first, second)
            case "max":
                return max(first, second)
        if second <= 0:
            raise NotPositiveError
        return first // second if op == "//" else first % second

    try:
        match op:
            case "+":
                size = left.size + right.size
            case "-":
                size = left.size - right.size
            case "*":
                size = left.size * right.size
            case "min":
                size = dmin(left.size, right.size)
            case "max":
                size = dmax(left.size, right.size)
            case "//":
                size = left.size // right.size
            case _:
                size = left.size % right.size
    except (DimError, ZeroDivisionError):
        assume(False)
    return Expression(size, value)


def symbol(name: str) -> Expression:
    return Expression(Dim.of(name), lambda env: env[name])


def constant(value: int) -> Expression:
    return Expression(Dim.of(value), lambda env: value)


LEAVES = st.one_of(st.sampled_from(NAMES).map(symbol), st.integers(-9, 12).map(constant))
DIVISORS = st.one_of(st.integers(1, 9).map(constant), st.sampled_from(NAMES).map(symbol))
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(combined, st.sampled_from(["+", "-", "*", "min", "max"]), inner, inner),
        st.builds(combined, st.sampled_from(["//", "%"]), inner, DIVISORS),
        st.builds(combined, st.sampled_from(["//", "%"]), inner, inner),
    ),
    max_leaves=10,
)
FACTS = st.lists(
    st.sampled_from(
        [
            "N % 4 == 0",
            "(N - M) % K == 0",
            "(M - 2 * N) % 3 == 0",
            "(N // 3 - M) % 4 == 0",
            "N % 6 == 0",
            "N % 3 == 2",
            "M % K == 0",
            "N % K == 0",
            "(N + M) % 4 == 0",
            "(N * M) % K == 0",
            "(3 * N + M) % 5 == 1",
            "N % (K + 1) == 0",
            "(N // 2) % 4 == 0",
            "N == M",
            "N == 2 * M + 1",
            "M == N // 2",
            "N * M == 12",
            "2 * N == 3 * M",
            "min(N, M) == 2",
            "max(N, M) % 2 == 0",
            "N < M",
            "K <= N",
            "N >= 3",
            "K > 1",
            "M <= 6",
            "N != M",
            "N * M >= K",
            "N != 0",
            "N % 2 != 0",
            "N // 3 >= M",
            "12 % K == 0",
        ]
    ),
    max_size=3,
).map(lambda clauses: facts(*clauses))
GRID = [dict(zip(NAMES, values, strict=True)) for values in itertools.product(range(9), range(9), range(6))]
RELATIONS = st.sampled_from(OPS)


def compare(op: RelationOp, left: int, right: int) -> bool:
    outcomes = {
        "==": left == right,
        "!=": left != right,
        "<": left < right,
        "<=": left <= right,
        ">": left > right,
        ">=": left >= right,
    }
    return outcomes[op]


@given(EXPRESSIONS, st.tuples(*[st.integers(-12, 20)] * len(NAMES)))
def test_canonical_forms_keep_the_value(expression: Expression, values: tuple[int, ...]) -> None:
    env = dict(zip(NAMES, values, strict=True))
    try:
        expected = expression.value(env)
    except NotPositiveError:
        assume(False)
    assert expected == expression.size.evaluate(env)


@given(EXPRESSIONS)
def test_printed_sizes_parse_to_themselves(expression: Expression) -> None:
    assert expression.size == parse_dim(str(expression.size))


@given(EXPRESSIONS, EXPRESSIONS, EXPRESSIONS)
def test_multiples_of_a_divisor_leave_a_quotient(quotient: Expression, divisor: Expression, rest: Expression) -> None:
    q, d, r = quotient.size, divisor.size, rest.size
    assume(not d.is_const or d.value > 0)
    try:
        assert q + r // d == (q * d + r) // d
        assert r % d == (q * d + r) % d
    except DimError:
        assume(False)


@given(EXPRESSIONS, st.fixed_dictionaries(dict.fromkeys(NAMES, EXPRESSIONS)), st.tuples(*[st.integers(0, 9)] * 3))
def test_substitution_commutes_with_evaluation(
    expression: Expression, images: dict[str, Expression], values: tuple[int, ...]
) -> None:
    env = dict(zip(NAMES, values, strict=True))
    try:
        inner = {name: image.value(env) for name, image in images.items()}
        expected = expression.value(inner)
        replaced = expression.size.substitute({name: image.size for name, image in images.items()})
    except (NotPositiveError, DimError, ZeroDivisionError):
        assume(False)
    assert expected == replaced.evaluate(env)


@settings(deadline=None)
@given(EXPRESSIONS, FACTS)
def test_simplified_sizes_keep_the_value_where_the_facts_hold(expression: Expression, known: Facts) -> None:
    simple = known.simplify(expression.size)
    low, high = known.bounds(expression.size)
    for env in GRID:
        try:
            expected = expression.value(env)
        except NotPositiveError:
            continue
        if known.satisfies(env):
            assert expected == simple.evaluate(env)
            assert low is None or low <= expected
            assert high is None or expected <= high


@settings(deadline=None)
@given(EXPRESSIONS, EXPRESSIONS, FACTS, RELATIONS)
def test_proofs_hold_for_each_assignment(left: Expression, right: Expression, known: Facts, op: RelationOp) -> None:
    answer = known.prove(op, left.size, right.size)
    if answer is None:
        return
    for env in GRID:
        try:
            outcome = compare(op, left.value(env), right.value(env))
        except NotPositiveError:
            continue
        if known.satisfies(env):
            assert answer is outcome


@settings(deadline=None)
@given(FACTS, st.integers(0, 99))
def test_samples_are_found_where_small_ones_exist(known: Facts, seed: int) -> None:
    env = known.sample(NAMES, random.Random(seed))
    if env is not None:
        assert known.satisfies(env)
    else:
        assert not any(known.satisfies(small) for small in GRID if min(small.values()) > 0)
