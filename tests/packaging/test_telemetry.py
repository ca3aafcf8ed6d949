"""Nobody is told what a user does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SWITCHES = ("ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY", "RAY_USAGE_STATS_ENABLED")


def python(tmp_path, code, **environment):
    """What a process prints in which no switch is set but those given."""
    kept = {name: value for name, value in os.environ.items() if name not in {*SWITCHES, "CI"}}
    environment = {**kept, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path), **environment}
    line = [sys.executable, "-c", code]
    return subprocess.run(line, env=environment, check=True, capture_output=True, text=True).stdout


def test_libraries_are_asked_not_to_report_home(tmp_path):
    code = "import srcli; from huggingface_hub.constants import HF_HUB_DISABLE_TELEMETRY as it"
    assert python(tmp_path, f"{code}; print(it)").strip() == "True"
    usage = "ray._common.usage.usage_lib"
    pytest.importorskip(usage, reason="usage statistics need ray: pip install '.[test]'")
    code = f"import srcli; from {usage} import usage_stats_enabled; print(usage_stats_enabled())"
    assert python(tmp_path, code).strip() == "False"


def test_onnx_runtime_begins_no_session_of_telemetry(tmp_path):
    """With telemetry it keeps an identity in a file of the temporary folder, as of 1.29."""
    pytest.importorskip("onnxruntime", reason="pip install '.[export]'")
    python(tmp_path, "import srcli, onnxruntime")
    assert not (tmp_path / ".ses").exists()


def test_what_the_user_has_set_stays(tmp_path):
    code = "import os, srcli; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    assert python(tmp_path, code, ORT_DISABLE_TELEMETRY="0").strip() == "0"
