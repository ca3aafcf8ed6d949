"""Kill a folder run again and again; at the end nothing is missing, broken or left over.

    python benchmarks/kill_and_resume.py --files 500 --kills 10

Every run is killed with SIGKILL after a random number of pictures and a random moment more. The
result is compared, byte by byte, with that of a run that nobody disturbed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

import torch
from messy_folder import make_messy_folder, make_weights

from srcli.services.batch import UpscaleRequest, upscale_files
from srcli.services.engine import EngineOptions
from srcli.services.tasks import FolderOptions

JOURNAL = ".srcli-journal.sqlite"


def main() -> None:
    options = _options()
    random = Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="srcli-kill-") as place:
        root = Path(place)
        messy = make_messy_folder(root / "in", options.files, seed=options.seed)
        weights = make_weights(root / "tiny.safetensors")
        share = max(len(messy.good) // (options.kills + 1), 1)
        kills = [_kill_one(root, weights, random, share) for _ in range(options.kills)]
        started = time.perf_counter()
        last = _start(root, weights)
        last.communicate()
        report = {
            "files": options.files,
            "broken": len(messy.broken),
            "kills": options.kills,
            "killed_after_pictures": kills,
            "last_run_seconds": round(time.perf_counter() - started, 1),
            "exit_code": last.returncode,
            **_verify(root, weights, len(messy.good), len(messy.broken)),
        }
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    raise SystemExit(0 if report["is_right"] else 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _start(root: Path, weights: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "srcli", "upscale", "in", "-r", "-o", "out", "--json"]
    return subprocess.Popen(
        [*command, "-m", str(weights), "-d", "cpu"],
        cwd=root,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1])},
        stdout=subprocess.PIPE,
        text=True,
    )


def _kill_one(root: Path, weights: Path, random: Random, share: int) -> int:
    """Start a run, kill it somewhere in its share of the work; how many pictures it had done."""
    run = _start(root, weights)
    assert run.stdout is not None
    wanted, done = random.randint(0, share), 0
    while done < wanted and (line := run.stdout.readline()):
        done += json.loads(line).get("status") == "done"
    time.sleep(random.random() * (0.2 if wanted else 4))  # 0: sometime while it starts
    run.send_signal(signal.SIGKILL)
    run.communicate()
    return done


def _verify(root: Path, weights: Path, good: int, broken: int) -> dict[str, object]:
    """Everything there once, equal to an undisturbed run, and a reason for what is not."""
    torch.set_num_threads(1)  # as the others
    request = UpscaleRequest(
        model=str(weights),
        engine=EngineOptions(device="cpu"),
        folder=FolderOptions(recursive=True),
    )
    list(upscale_files(request, [root / "in"], str(root / "reference")))
    ours, theirs = _contents(root / "out"), _contents(root / "reference")
    with sqlite3.connect(root / "out" / JOURNAL) as journal:
        status = dict(journal.execute("SELECT status, count(*) FROM pictures GROUP BY status"))
        query = "SELECT tries FROM pictures WHERE status = 'done'"
        tries = Counter(row[0] for row in journal.execute(query))
        query = "SELECT count(*) FROM pictures WHERE status = 'failed' AND error > '' AND hint > ''"
        (reasons,) = journal.execute(query).fetchone()
    facts = {
        "outputs": len(ours),
        "equal_to_undisturbed": sum(ours[name] == theirs.get(name) for name in ours),
        "journal": status,
        "reasons": reasons,
        "begun_more_than_once": sum(count for n, count in tries.items() if n > 1),
        "left_over": [str(path) for path in (root / "out").rglob("*.partial*")],
    }
    is_right = (
        ours == theirs
        and len(ours) == good
        and status == {"done": good, "failed": broken}
        and reasons == broken
        and not facts["left_over"]
    )
    return {**facts, "is_right": is_right}


def _contents(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not path.name.startswith(".srcli-journal")
    }


if __name__ == "__main__":
    main()
