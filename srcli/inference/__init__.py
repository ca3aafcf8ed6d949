"""A network over an image larger than memory: tensors in, tensors out."""
