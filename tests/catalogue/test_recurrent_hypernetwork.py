"""A recurrent hypernetwork: later chunks of weights depend on earlier ones, and depth costs embeddings only."""

import numpy as np
import pytest
import torch

import netdsl
from tests.specs.catalogue import SPECS

NETS = netdsl.load(SPECS / "hyper" / "recurrent.net")


def chunk_gradients(name: str) -> torch.Tensor:
    """Norms of the derivative of each chunk of weights (rows) by each chunk's embedding (columns)."""
    module = NETS[name].tap("decode").torch(seed=0)
    _, chunks = module(torch.zeros(1, 64), torch.tensor(2))
    embedding = module.get_parameter("chunks")
    rows = [torch.autograd.grad(chunk.square().sum(), embedding, retain_graph=True)[0] for chunk in chunks]
    return torch.stack([row.norm(dim=1) for row in rows])


def test_a_chunk_depends_on_the_chunks_before_it_and_on_no_later_one() -> None:
    found = chunk_gradients("Recurrent")
    count = len(found)
    assert found.tril().eq(found).all()
    assert found[np.tril_indices(count)].reshape(-1)[: count + 1].gt(0).all()
    assert found[1, 0] > 0


def test_chunks_of_the_baseline_do_not_know_of_each_other() -> None:
    found = chunk_gradients("Independent")
    assert found.diagonal().gt(0).all()
    assert torch.equal(found, torch.diag(found.diagonal()))


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("depth", [1, 3, 6])
def test_a_deeper_target_costs_embeddings_of_chunks_and_a_factor_a_tensor(name: str, depth: int) -> None:
    def chunks(depth: int) -> int:
        return -(-(64 * 32 + 32 + (depth - 1) * (32 * 32 + 32) + 32 * 10 + 10) // 128)

    deeper, plain = NETS[name].set(depth=depth), NETS[name]
    assert 32 * (chunks(depth) - chunks(2)) + 2 * (depth - 2) == deeper.param_count - plain.param_count
