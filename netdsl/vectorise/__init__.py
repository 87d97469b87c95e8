"""A body of nodes over slices, as one body over batched values."""

from netdsl.vectorise.beams import BeamSearch, OtherRows
from netdsl.vectorise.slices import NotVectorised, Slot, Vectorised
from netdsl.vectorise.transform import vectorise

__all__ = ["BeamSearch", "NotVectorised", "OtherRows", "Slot", "Vectorised", "vectorise"]
