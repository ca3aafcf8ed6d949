"""Numbers under torture: every way within its bound, nothing broken written, the same bytes twice.

    python benchmarks/torture/numeric.py plans --folder DIR [--minutes 4]   fifty photographs
    python benchmarks/torture/numeric.py faults --folder DIR [--model NAME] NaN, infinity, black
    python benchmarks/torture/numeric.py bytes --folder DIR [--model NAME]  a command twice

DIR keeps the photographs and the records of `plans`, which goes on where it was cut off. Each ends
with 0 if nothing is wrong, `plans` with 3 while photographs are left.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
UNFINISHED = 3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=["plans", "faults", "bytes"])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--share", default="1/1", help="of the photographs, for plans: 2/3")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if options.part == "plans":
        return _plans(options)
    if options.part == "faults":
        from numeric_faults import attack
    else:
        from numeric_bytes import attack
    lines, is_right = attack(options.folder, options.model)
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if is_right else 1


def _plans(options: argparse.Namespace) -> int:
    from numeric_plans import measure, read, table

    start, step = (int(number) for number in options.share.split("/"))
    folder, records = options.folder / "photographs", options.folder / "plans.jsonl"
    share = slice(start - 1, None, step)
    is_whole = measure(folder, records, options.model, share, minutes=options.minutes)
    lines, is_kept = table(read(records))
    sys.stdout.write("\n".join(lines) + "\n")
    if not is_whole:
        return UNFINISHED
    return 0 if is_kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
