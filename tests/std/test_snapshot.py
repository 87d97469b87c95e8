"""The shipped trees of the standard library are those of its sources."""

import pytest

from netdsl.std.build_snapshot import FOLDER, files


@pytest.mark.parametrize("name", sorted(files()))
def test_snapshot_is_up_to_date(name: str) -> None:
    assert files()[name] == (FOLDER / "snapshot" / name).read_text("utf-8"), "run: python -m netdsl.std.build_snapshot"
