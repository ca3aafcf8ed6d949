"""Hostile files of weights, and good ones with random wounds, each in a watched child process.

    python benchmarks/torture/weights.py --wounds 20000

The law: a hostile file is refused by name in one line; a wounded one is refused, or is a network
whose numbers are all finite. Never is anything executed (a canary file would appear), and never is
more memory taken than three times the file and `SPARE_MIB`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["SRCLI_OFFLINE"] = "1"

import spandrel  # noqa: F401  (imported once, before the children are forked)
import torch
from tally import FallenError, Tally, forget_peak, in_children, outcome_of, peak_bytes
from weights_makers import Hostile, all_hostile, spoiled_weights

from srcli.errors import BadWeightsError
from srcli.services.network import load_network

SPARE_MIB = 48


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="srcli-weights-") as place:
        root = Path(place)
        os.environ["SRCLI_HOME"] = str(root / "home")
        canary = root / "canary"
        hostile = [] if options.wounds_only else all_hostile(canary)
        tally = Tally("weights")
        in_children(tally, hostile, lambda one: refuse(root, canary, one), bound_mib=1500, group=25)
        wounds = range(options.first, options.first + options.wounds)
        in_children(tally, wounds, lambda number: survive(root, number), bound_mib=SPARE_MIB)
        kinds = Counter(one.name.split()[0] for one in hostile)
        sys.exit(tally.end(hostile=len(hostile), wounds=options.wounds, kinds=dict(kinds)))


def refuse(root: Path, canary: Path, hostile: Hostile) -> str:
    """Write the hostile file, load it, and hold what happens to the law."""
    path = root / f"hostile{hostile.suffix}"
    for old in root.glob("hostile.*"):
        old.unlink()
    hostile.write(path)
    before = forget_peak()
    outcome = outcome_of(lambda: load_network(path))
    mib = (peak_bytes() - before) >> 20
    if canary.exists():
        raise FallenError("it ran something")
    if outcome != BadWeightsError.__name__ and not (hostile.may_pass and outcome == "read"):
        raise FallenError(f"not refused: {outcome}")
    size = sum(each.stat().st_size for each in root.glob("hostile.*")) >> 20
    if mib > 3 * size + SPARE_MIB:
        raise FallenError(f"took {mib} MiB for a file of {size} MiB")
    return outcome


def survive(root: Path, number: int) -> str:
    """A wounded file is refused, or a network of finite numbers."""
    name, suffix, data = spoiled_weights(number)
    path = root / f"wounded{suffix}"
    path.write_bytes(data)
    try:
        return outcome_of(lambda: _check_finite(path))
    except FallenError:
        raise
    except Exception as error:
        raise FallenError(f"{name}: {type(error).__name__}: {error}") from error


def _check_finite(path: Path) -> None:
    network = load_network(path).network
    for name, tensor in network.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise FallenError(f"{name} holds what is no number")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wounds", type=int, default=20_000)
    parser.add_argument("--from", type=int, default=0, dest="first", help="number of the first")
    parser.add_argument("--wounds-only", action="store_true", help="leave hostile files out")
    return parser.parse_args()


if __name__ == "__main__":
    main()
