"""A body of nodes over slices, as one body over batched values."""

from netdsl.vectorise.slices import NotVectorised, Slot, Vectorised
from netdsl.vectorise.transform import vectorise

__all__ = ["NotVectorised", "Slot", "Vectorised", "vectorise"]
