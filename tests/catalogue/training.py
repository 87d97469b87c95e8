"""How the networks of the catalogue are trained: Adam, through the compiled torch module, one thread, seeds fixed."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch

#: A loss of one step, drawn from the step's own generator.
Loss = Callable[[torch.Generator], torch.Tensor]


@contextmanager
def one_thread() -> Iterator[None]:
    """The networks here are small: more threads would only wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def train(
    parameters: Iterable[torch.nn.Parameter],
    loss: Loss,
    *,
    steps: int,
    rate: float,
    seed: int,
    decay: bool = False,
    clip: float | None = None,
) -> float:
    """Minimise `loss` in place; its last value.

    Args:
        decay: the rate falls to 0 along a cosine.
        clip:  the largest norm of all gradients together.
    """
    parameters = list(parameters)
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(parameters, lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps) if decay else None
    with one_thread():
        for _ in range(steps):
            value = loss(generator)
            optimiser.zero_grad()
            value.backward()
            if clip is not None:
                torch.nn.utils.clip_grad_norm_(parameters, clip)
            optimiser.step()
            if schedule is not None:
                schedule.step()
    return float(value.detach())
