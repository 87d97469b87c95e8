"""A typed graph as a PyTorch module."""
