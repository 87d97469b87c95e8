"""Learned functions after training: grids, importance and pruning for layers of `edges`."""

from netdsl.kan.grids import update_grid
from netdsl.kan.pruning import prune
from netdsl.kan.refinement import refine
from netdsl.kan.scores import Importance, importance

__all__ = ["Importance", "importance", "prune", "refine", "update_grid"]
