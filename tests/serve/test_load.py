"""Clients of every kind at once, in small: the benchmark's own judgement."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_no_answer_is_wrong_while_clients_of_every_kind_come_at_once():
    program = ROOT / "benchmarks/serve_load.py"
    ended = subprocess.run(
        [sys.executable, program, "--clients", "16", "--requests", "2"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert ended.stdout, ended.stderr
    report = json.loads(ended.stdout)
    assert report["is_right"] and report["tracebacks"] == 0, report
