"""The handwritten digits of scikit-learn, split once."""

from collections.abc import Callable

import torch
from sklearn.datasets import load_digits

Split = tuple[torch.Tensor, torch.Tensor]


def digits() -> tuple[Split, Split]:
    """Flat images of mean 0 and about unit variance and their classes: 1,300 to train on, 497 to test on."""
    data = load_digits()
    images = (torch.tensor(data.data, dtype=torch.float32) - 4.9) / 6.0
    classes = torch.tensor(data.target)
    order = torch.randperm(len(classes), generator=torch.Generator().manual_seed(0))
    train, test = order[:1300], order[1300:]
    return (images[train], classes[train]), (images[test], classes[test])


def accuracy(model: Callable[[torch.Tensor], torch.Tensor], split: Split) -> float:
    with torch.no_grad():
        return float((model(split[0]).argmax(1) == split[1]).float().mean())
