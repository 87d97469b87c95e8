"""Typing errors find their name; what is not near finds nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netdsl.did_you_mean import suggest

NAMES = [
    "Linear", "LayerNorm", "BatchNorm2d", "Conv2d", "ConvTranspose2d", "Embedding", "SelfAttention", "CrossAttention",
    "LstmCell", "GruCell", "Dropout", "relu", "gelu", "silu", "sigmoid", "softmax", "concat", "broadcast", "rearrange",
    "aggregate", "einsum", "flatten", "leaky_relu", "one_hot", "length_mask",
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Linaer", "Linear"),
        ("linear", "Linear"),
        ("layernorm", "LayerNorm"),
        ("LayerNrom", "LayerNorm"),
        ("RELU", "relu"),
        ("relu6", "relu"),
        ("SelfAtention", "SelfAttention"),
        ("conv2d", "Conv2d"),
        ("Conv3d", "Conv2d"),
        ("transformer", None),
        ("elu", None),  # as near to `relu` as to `gelu`
        ("x", None),
        ("", None),
        ("relu" * 30, None),
    ],
)
def test_suggestion(name: str, expected: str | None) -> None:
    assert expected == suggest(name, NAMES)


def test_a_name_is_never_suggested_for_itself() -> None:
    assert suggest("Linear", ["Linear"]) is None
    assert "linear" == suggest("Linear", ["Linear", "linear"])


def test_letter_case_breaks_ties() -> None:
    assert "Gate" == suggest("Gat", ["gate", "Gate"])


def test_two_equally_near_names_give_none() -> None:
    assert suggest("key", ["keys", "kex"]) is None


LONG = [name for name in NAMES if len(name) >= 5]


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.sampled_from(LONG), st.integers(0, 3), st.integers(0, 99), st.sampled_from("qxz"))
def test_one_letter_typos_are_found(name: str, kind: int, place: int, letter: str) -> None:
    at = place % (len(name) - 1)
    typo = (
        name[:at] + letter + name[at:],
        name[:at] + name[at + 1 :],
        name[:at] + letter + name[at + 1 :],
        name[:at] + name[at + 1] + name[at] + name[at + 2 :],
    )[kind]
    if typo not in NAMES:
        assert name == suggest(typo, NAMES)
