"""Requests made out of the service's own description; none may be answered otherwise than it says.

    python benchmarks/serve_schema.py --address http://127.0.0.1:8000 --examples 200

Runs schemathesis with all its checks. No schema can say what bytes are a picture, nor which
parameters contradict each other: so real pictures are sent, and a refusal of what the description
allows is no finding; that it is a proper refusal is checked.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HOOKS = """
from io import BytesIO

import schemathesis
from hypothesis import strategies as st
from PIL import Image


def picture(size, kind):
    file = BytesIO()
    Image.new("RGB", size, "teal").save(file, kind)
    return file.getvalue()


sizes = st.tuples(st.integers(1, 24), st.integers(1, 24))
for name in ("png", "jpeg", "webp", "tiff"):
    made = st.builds(picture, sizes, st.just(name.upper()))
    schemathesis.openapi.media_type(f"image/{name}", made)
"""

CONFIG = """
[checks.positive_data_acceptance]
# Parameters that contradict each other, a result that is too large, bytes that are no picture.
expected-statuses = ["2xx", "400", "401", "403", "404", "413", "415", "422", "503"]
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--address", required=True)
    parser.add_argument("--examples", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "picture_hooks.py").write_text(HOOKS)
        (folder / "schemathesis.toml").write_text(CONFIG)
        command = [sys.executable, "-m", "schemathesis.cli"]
        command += ["run", f"{options.address}/openapi.json", "--checks", "all"]
        command += [
            "--max-examples",
            str(options.examples),
            "--phases",
            "examples,coverage,fuzzing",
        ]
        command += ["--generation-deterministic", "--no-color"]
        environment = {**os.environ, "SCHEMATHESIS_HOOKS": "picture_hooks", "PYTHONPATH": place}
        ended = subprocess.run(command, cwd=folder, env=environment, check=False)
    raise SystemExit(ended.returncode)


if __name__ == "__main__":
    main()
