"""Files: pictures, weights, catalogue, sources."""
