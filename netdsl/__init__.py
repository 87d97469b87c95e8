"""netdsl: a small language for neural networks."""
