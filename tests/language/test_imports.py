"""R20: names of other files and of the library."""

from pathlib import Path

import numpy as np
import pytest

import netdsl
from netdsl.diagnostics import NetError
from tests.language.nets import network, paths, refused, run

BLOCKS = """
const GAIN = 3
const twice(n: int): int = 2 * n

block Scaled(x: float[..]) -> float[..] { _inner(x) * GAIN }
block _inner(x: float[..]) -> float[..] { x + twice(1) }
block Own(x: float[.., D]) -> float[.., D] { x |> Linear[D, bias=false] }
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "lib" / "deep").mkdir(parents=True)
    (tmp_path / "lib" / "blocks.net").write_text(BLOCKS)
    return tmp_path


def load(project: Path, text: str, name: str = "main.net") -> netdsl.Network:
    path = project / name
    path.write_text(text)
    return netdsl.load(path)["N"]


def codes(project: Path, text: str, name: str = "main.net") -> list[str]:
    with pytest.raises(NetError) as caught:
        load(project, text, name)
    return [d.code for d in caught.value.diagnostics]


NET = "network N(x: f32[B, 4]) -> f32[B, 4] {{ {body} }}\n"


def test_names_of_a_file_are_imported_by_its_path(project: Path) -> None:
    text = 'import "lib/blocks.net": Scaled, GAIN, twice\n' + NET.format(body="Scaled(x) + GAIN * twice(5)")
    np.testing.assert_allclose(run(load(project, text), x=np.ones((1, 4))), 9 + 30)


def test_a_file_may_be_imported_whole(project: Path) -> None:
    text = 'import "lib/blocks.net"\n' + NET.format(body="blocks.Scaled(x) + blocks.GAIN")
    np.testing.assert_allclose(run(load(project, text), x=np.ones((1, 4))), 12)


def test_paths_are_relative_to_the_file_that_imports(project: Path) -> None:
    (project / "lib" / "deep" / "more.net").write_text(
        'import "../blocks.net": Scaled\nblock More(x: float[..]) -> float[..] { Scaled(x) }\n'
    )
    text = 'import "lib/deep/more.net": More\n' + NET.format(body="More(x)")
    np.testing.assert_allclose(run(load(project, text), x=np.ones((1, 4))), 9)
    # What a file imports is not passed on.
    assert "E0313" in codes(project, 'import "lib/deep/more.net": Scaled\n' + NET.format(body="Scaled(x)"))


def test_blocks_see_their_own_files_names(project: Path) -> None:
    """The importer's `Linear` and `GAIN` change nothing for the imported blocks."""
    text = """import "lib/blocks.net": Own, Scaled
const GAIN = 100
block Linear[out: int, bias: bool = true](x: float[.., I]) -> float[.., out] { zeros[1, out] }
""" + NET.format(body="Own(x) + 0 * Scaled(x)")
    net = load(project, text)
    assert ["own.linear.weight"] == paths(net)


def test_one_file_imported_twice_is_one(project: Path) -> None:
    (project / "lib" / "a.net").write_text(
        'import "blocks.net": Scaled\nblock A(x: float[..]) -> float[..] { Scaled(x) }\n'
    )
    text = 'import "lib/a.net": A\nimport "lib/blocks.net": Scaled\n' + NET.format(body="A(x) + Scaled(x)")
    net = load(project, text)
    assert {"a", "a.scaled", "scaled"} <= {i.path for i in net.graph.instances}
    np.testing.assert_allclose(run(net, x=np.ones((1, 4))), 18)


def test_private_names_stay_private(project: Path) -> None:
    assert "E0313" in codes(project, 'import "lib/blocks.net": _inner\n' + NET.format(body="_inner(x)"))
    assert ["E0313"] == codes(project, 'import "lib/blocks.net"\n' + NET.format(body="blocks._inner(x)"))


def test_unknown_names_and_files_are_reported_where_they_stand(project: Path) -> None:
    path = project / "main.net"
    path.write_text('import "lib/blocks.net": Scalde\nimport "lib/block.net": X\n' + NET.format(body="x"))
    with pytest.raises(NetError) as caught:
        netdsl.load(path)
    first, second = caught.value.diagnostics
    assert ("E0313", "did you mean `Scaled`?") == (first.code, first.help)
    assert first.primary is not None and 1 == first.primary.span.line
    assert second.primary is not None and 2 == second.primary.span.line


def test_cycles_are_named(project: Path) -> None:
    (project / "a.net").write_text('import "b.net": B\nblock A(x: float[..]) -> float[..] { B(x) }\n')
    (project / "b.net").write_text('import "a.net": A\nblock B(x: float[..]) -> float[..] { x }\n')
    assert "E0316" in codes(project, 'import "a.net": A\n' + NET.format(body="A(x)"))


def test_nothing_outside_the_project_is_read(project: Path) -> None:
    (project / "sub").mkdir()
    (project / "sub" / "pyproject.toml").write_text("")
    body = NET.format(body="x")
    assert "E0314" in codes(project, 'import "../lib/blocks.net": Scaled\n' + body, "sub/main.net")
    assert "E0314" in codes(project, f'import "{project / "lib/blocks.net"}": Scaled\n' + body)
    assert "E0315" in codes(project, 'import "https://example.com/a.net": Scaled\n' + body)
    (project / "sub" / "link.net").symlink_to(project / "lib" / "blocks.net")
    assert "E0314" in codes(project, 'import "link.net": Scaled\n' + body, "sub/main.net")


def test_library_modules_are_imported_by_name_or_whole() -> None:
    net = network(
        "(x: f32[B, N, 4]) -> f32[B, N, 4]",
        "x |> SelfAttention[2] |> attention.SelfAttention[2]",
        before="import std.attention\nimport std.attention: SelfAttention",
    )
    assert {"self_attention.qkv.weight", "self_attention_2.qkv.weight"} <= set(paths(net))
    assert "std.attention" in (refused("(x: f32[B]) -> f32[B]", "x", "E0312", before="import std.atention").help or "")
    refused("(x: f32[B, N, 4]) -> f32[B, N, 4]", "x |> SelfAttention[2]", "E0300")


def test_text_without_a_file_imports_no_files() -> None:
    refused("(x: f32[B]) -> f32[B]", "x", "E0314", before='import "a.net": A')


def test_a_network_may_be_called_like_a_block(project: Path) -> None:
    text = "network Inner(x: f32[B, 4]) -> f32[B, 4] { x |> Linear[4] }\n" + NET.format(
        body="Inner(x) |> Inner as last"
    )
    assert ["inner.linear.weight", "inner.linear.bias", "last.linear.weight", "last.linear.bias"] == paths(
        load(project, text)
    )
