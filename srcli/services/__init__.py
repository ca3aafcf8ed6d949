"""One use case per file: plain values in, a frozen report out, no printing."""
