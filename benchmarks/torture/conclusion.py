"""How a torture is asked for and how it ends, where it has kinds and makes a report."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from typing import NoReturn


def asked(about: str, kinds: Iterable[str], *, cases: int) -> argparse.Namespace:
    """KIND [--cases N] [--seed N] of the command line."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("kind", choices=sorted(kinds))
    parser.add_argument("--cases", type=int, default=cases)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def conclude(report: dict[str, object]) -> NoReturn:
    """Print the report; the exit code is 1 where it holds `faults`."""
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    raise SystemExit(1 if report["faults"] else 0)
