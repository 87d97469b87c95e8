"""The primitives: name, attributes, operands, shape rule and documentation, one file a family."""
