"""Enlarge pictures with pretrained ESRGAN-family networks, exactly, at any size."""

__version__ = "0.1.0"
