"""Learned functions after training: grids, importance, pruning, plots and formulas for layers of `edges`."""

from netdsl.kan.grids import update_grid
from netdsl.kan.plots import plot
from netdsl.kan.pruning import prune, prune_edges
from netdsl.kan.refinement import refine
from netdsl.kan.scores import Importance, importance
from netdsl.kan.symbolic import Formula, Suggestions, suggest

__all__ = [
    "Formula",
    "Importance",
    "Suggestions",
    "importance",
    "plot",
    "prune",
    "prune_edges",
    "refine",
    "suggest",
    "update_grid",
]
