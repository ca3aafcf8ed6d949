"""Training pairs from folders."""
