"""The interpreter while the compiler runs: no scans for cycles, and room for deep trees."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused_collection() -> Iterator[None]:
    """No collection of cycles inside the block: trees and graphs hold none, and scanning them costs their square."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


#: Frames that a tree of the greatest depth the parser allows can need, several for each level.
FRAMES = 30_000


@contextmanager
def deep_recursion() -> Iterator[None]:
    """Room to walk the deepest tree that the parser lets through."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, FRAMES))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
