"""A typed graph as an ONNX model."""
