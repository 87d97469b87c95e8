"""Hypergraph networks: what groups tell beyond features, and a student that needs no hypergraph."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax, softmax

import netdsl
from netdsl.backends.onnx.model import build_model
from tests.catalogue.training import train

SPEC = Path(__file__).parents[2] / "specs/graphs/hgnn.net"
NODES, CLASSES, FEATURES = 1500, 5, 50


def planted(seed: int) -> tuple[netdsl.Hypergraph, torch.Tensor, torch.Tensor]:
    """1,200 groups of 5, four of five members in one class; features say little."""
    rng = np.random.default_rng(seed)
    y = np.arange(NODES) % CLASSES
    own = rng.integers(0, CLASSES, 1200)
    members = rng.integers(0, NODES // CLASSES, (1200, 5)) * CLASSES + own[:, None]
    strangers = rng.integers(0, NODES, (1200, 5))
    node = np.where(rng.random((1200, 5)) < 0.8, members, strangers)
    x = rng.standard_normal((NODES, FEATURES)) + 0.3 * rng.standard_normal((CLASSES, FEATURES))[y]
    edge = np.repeat(np.arange(1200), 5)
    struct = netdsl.Hypergraph(torch.from_numpy(node.ravel()), torch.from_numpy(edge))
    return struct, torch.from_numpy(x).float(), torch.from_numpy(y)


def fit(module: nn.Module, loss: Callable[[torch.Tensor], torch.Tensor], *given: object) -> torch.Tensor:
    """Its results after some steps."""
    train(module.parameters(), lambda _: loss(module.train()(*given)), steps=40, rate=0.01, seed=0)
    return module.eval()(*given).detach()


def accuracies(seed: int) -> list[float]:
    """Of the teacher, of the student that learned from it, and of the same network that learned from labels alone."""
    h, x, y = planted(seed)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(NODES))
    known = torch.cat([order[y[order] == c][:20] for c in range(CLASSES)])
    asked = order[~torch.isin(order, known)]
    nets = netdsl.load(SPEC, F=FEATURES, classes=CLASSES)
    torch.manual_seed(seed)

    def labels(logits: torch.Tensor) -> torch.Tensor:
        return cross_entropy(logits[known], y[known])

    def soft(logits: torch.Tensor) -> torch.Tensor:
        return kl_div(log_softmax(logits, 1), softmax(taught, 1), reduction="batchmean")

    taught = fit(nets["HgnnPlus"].torch(seed=seed), labels, h, x, torch.ones(1200))
    student = fit(nets["Student"].torch(seed=seed), soft, x)
    alone = fit(nets["Student"].torch(seed=seed), labels, x)
    return [100 * float((r[asked].argmax(1) == y[asked]).double().mean()) for r in (taught, student, alone)]


@pytest.mark.timeout(120)
def test_groups_help_the_teacher_and_the_teacher_helps_the_student() -> None:
    teacher, student, alone = np.mean([accuracies(seed) for seed in range(3)], 0)
    assert teacher >= alone + 8
    assert student >= alone + 4


def test_the_student_reads_no_hypergraph() -> None:
    student = netdsl.load(SPEC)["Student"]
    assert ["x"] == [name for name, _ in student.graph.inputs]
    model = build_model(student.graph, student.weights())
    assert not {n.op_type for n in model.graph.node} & {"Gather", "GatherElements", "ScatterElements", "ScatterND"}
