"""Train `swift` anew, from packages to the file that ships.

python benchmarks/swift/retrain.py [FOLDER]      an hour on two free cores with bf16 units

FOLDER, by default swift-data, gets the pictures, the run (a second call goes on with it) and the
result, swift.safetensors.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from prepare import prepare

from srcli.io.tensors import read_metadata, read_state_dict, write_safetensors

CONFIG = Path(__file__).with_name("swift.toml")


def main(folder: Path) -> None:
    """Prepare, train, write."""
    prepare(folder)
    run = folder / "run"
    command = [sys.executable, "-m", "srcli", "train", str(CONFIG.resolve()), "-o", "run"]
    subprocess.run([*command, *(["--resume"] if run.exists() else [])], cwd=folder, check=True)
    halve(run / "last.safetensors", folder / "swift.safetensors")


def halve(weights: Path, output: Path) -> None:
    """Write weights in half precision, which is what is shipped."""
    tensors = {name: value.half() for name, value in read_state_dict(weights).items()}
    write_safetensors(output, tensors, read_metadata(weights))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "swift-data"))
