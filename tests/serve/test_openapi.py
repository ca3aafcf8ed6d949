"""The description of the service holds: schemathesis tries to find where it does not."""

import json
import os
import subprocess
import sys
from pathlib import Path

from srcli.web.settings import Limits

ROOT = Path(__file__).parents[2]


def test_schemathesis_finds_nothing(start):
    ask = start(limits=Limits(pixels=20_000, result_pixels=200_000))
    program = ROOT / "benchmarks/serve_schema.py"
    ended = subprocess.run(
        [sys.executable, program, "--address", f"http://127.0.0.1:{ask.port}", "--examples", "5"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-2000:]


def test_the_description_tells_every_way_and_every_refusal(ask):
    told = json.loads(ask("/openapi.json").body)
    upscale = told["paths"]["/upscale"]["post"]
    assert {"image/png", "multipart/form-data"} <= set(upscale["requestBody"]["content"])
    assert {"200", "400", "408", "413", "415", "422", "503"} <= set(upscale["responses"])
    names = {each["name"] for each in upscale["parameters"]}
    assert {"scale", "model", "format", "quality", "long_side"} <= names
