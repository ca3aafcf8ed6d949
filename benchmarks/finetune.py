"""Fine-tune the real 6-block network on bicubic pairs of photographs, on the CPU.

python benchmarks/finetune.py [OUTPUT]      about ten minutes on two cores

Passes if PSNR on held-out photographs rises by 3 dB over the start, to 0.3 dB above bicubic.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from photographs import photographs

OPTIONS = [
    *("--model", "realesrgan-x4plus-anime", "--preset", "psnr", "--degradation", "bicubic"),
    *("--steps", "400", "--batch", "8", "--patch", "96", "--lr", "2e-4"),
    *("--precision", "bf16", "--device", "cpu", "--json"),
]
RISE_DB, ABOVE_BICUBIC_DB = 3.0, 0.3


def main() -> int:
    output = Path(sys.argv[1] if len(sys.argv) > 1 else "benchmark-finetune")
    source = photographs(output / "photographs")
    load, started = os.getloadavg()[0], time.perf_counter()
    command = [sys.executable, "-m", "srcli", "finetune", str(output / "photographs")]
    run = subprocess.run(
        [*command, *OPTIONS, "-o", str(output / "run")],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    report = json.loads(run.stdout.splitlines()[-1])
    before, after, bicubic = (
        scores["psnr"] for scores in (report["before"], report["best"]["scores"], report["bicubic"])
    )
    passes = after - before >= RISE_DB and after - bicubic >= ABOVE_BICUBIC_DB
    result = {
        "photographs": source,
        "before_db": round(before, 2),
        "after_db": round(after, 2),
        "bicubic_db": round(bicubic, 2),
        "step": report["best"]["step"],
        "seconds": round(time.perf_counter() - started),
        "load_at_start": load,
        "passes": passes,
    }
    sys.stdout.write(json.dumps(result, indent=1) + "\n")
    return 0 if passes else 1


if __name__ == "__main__":
    sys.exit(main())
