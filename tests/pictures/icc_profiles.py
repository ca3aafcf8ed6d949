"""ICC profiles made by hand from their specification (ICC.1:2022), for tests."""

from __future__ import annotations

import struct

import numpy as np

# Columns of red, green and blue in XYZ under D50, as the named spaces publish them.
DISPLAY_P3 = ((0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407))
ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
PROPHOTO = ((0.79767, 0.28804, 0.0), (0.13519, 0.71188, 0.0), (0.03134, 0.00009, 0.82491))
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.7141))
_WHITE = (0.9642, 1.0, 0.8249)


def gamma(exponent: float) -> bytes:
    """A tone curve x^exponent."""
    return b"curv" + bytes(4) + struct.pack(">IHxx", 1, round(exponent * 256))


def table(samples: np.ndarray) -> bytes:
    """A tone curve by samples in [0, 1]."""
    values = np.rint(samples * 65535).astype(int)
    return b"curv" + bytes(4) + struct.pack(f">I{len(values)}H", len(values), *values)


def parametric(kind: int, *values: float) -> bytes:
    """A tone curve by formula."""
    return b"para" + bytes(4) + struct.pack(">Hxx", kind) + _numbers(*values)


def rgb_profile(primaries: tuple[tuple[float, ...], ...], curve: bytes) -> bytes:
    """A profile of three primaries and one tone curve."""
    tags = {
        f"{name}XYZ": b"XYZ " + bytes(4) + _numbers(*xyz)
        for name, xyz in zip("rgb", primaries, strict=True)
    }
    return _profile(b"RGB ", tags | {f"{name}TRC": curve for name in "rgb"})


def gray_profile(curve: bytes) -> bytes:
    """A profile of one tone curve."""
    return _profile(b"GRAY", {"kTRC": curve})


def lut_profile(space: bytes, to_lab: np.ndarray, from_lab: np.ndarray | None = None) -> bytes:
    """A profile of look-up tables over 8-bit device values and 8-bit Lab (lut8Type).

    `to_lab` is (n, ..., n, 3) over the device channels, `from_lab` (n, n, n, channels).
    """
    tags = {"A2B0": _lut8(to_lab)}
    if from_lab is not None:
        tags["B2A0"] = _lut8(from_lab)
    return _profile(space, tags, connection=b"Lab ")


def _lut8(grid: np.ndarray) -> bytes:
    inputs, outputs, points = grid.ndim - 1, grid.shape[-1], grid.shape[0]
    head = b"mft1" + bytes(4) + bytes([inputs, outputs, points, 0])
    identity = _numbers(1, 0, 0, 0, 1, 0, 0, 0, 1)
    return (
        head + identity + bytes(range(256)) * inputs + grid.tobytes() + bytes(range(256)) * outputs
    )


def _profile(space: bytes, tags: dict[str, bytes], connection: bytes = b"XYZ ") -> bytes:
    text = b"for tests"
    described = {
        "desc": b"desc" + bytes(4) + struct.pack(">I", len(text) + 1) + text + bytes(79),
        "wtpt": b"XYZ " + bytes(4) + _numbers(*_WHITE),
        "cprt": b"text" + bytes(4) + b"CC0\0",
    } | tags
    offset = 132 + 12 * len(described)
    index, data = struct.pack(">I", len(described)), b""
    for name, tag in described.items():
        index += name.encode() + struct.pack(">II", offset + len(data), len(tag))
        data += tag + bytes(-len(tag) % 4)
    kind = b"prtr" if connection == b"Lab " else b"mntr"
    head = struct.pack(">I4sI", offset + len(data), b"test", 0x02400000) + kind + space + connection
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _numbers(*_WHITE)
    return head.ljust(128, b"\0") + index + data


def _numbers(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


SRGB_CURVE = parametric(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
