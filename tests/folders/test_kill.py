"""SIGKILL at any moment, and a restart: the benchmark in small."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_killed_at_random_moments_a_folder_still_ends_whole():
    program = ROOT / "benchmarks/kill_and_resume.py"
    ended = subprocess.run(
        [sys.executable, program, "--files", "40", "--kills", "3"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    report = json.loads(ended.stdout)
    assert report["is_right"], report
    assert (report["equal_to_undisturbed"], report["reasons"]) == (36, 4)
