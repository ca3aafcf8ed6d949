"""The service over HTTP: what `srcli serve` runs. Needs the extra `serve`."""
