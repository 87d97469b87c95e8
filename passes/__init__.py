"""Rewrites of a typed graph: one pass a file."""
