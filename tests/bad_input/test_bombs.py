"""Texts that would cost much are refused with a code, soon and within 1 GiB; a child process checks each group."""

import json
import subprocess
import sys

import pytest

from tests.bad_input.bombs import GROUPS
from tests.bad_input.checking import ROOT


@pytest.mark.parametrize("group", GROUPS)
def test_bombs_are_found_with_a_code_in_time(group: str) -> None:
    command = [sys.executable, "-m", "tests.bad_input.bombs", group]
    child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr
    rows = {row["name"]: row for row in map(json.loads, child.stdout.splitlines())}
    assert list(GROUPS[group]) == list(rows)
    wrong = []
    for name, (_, expected) in GROUPS[group].items():
        codes = rows[name]["codes"]
        is_expected = set(codes) <= set(expected.split()) and bool(codes) == bool(expected)
        if rows[name]["escaped"] or not is_expected:
            wrong.append((name, expected, codes, rows[name]["escaped"]))
    assert not wrong
