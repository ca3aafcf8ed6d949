"""The audit of what srcli needs: who it asks for, and what each answer means."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "torture"))

import supply


@pytest.mark.parametrize(
    ("code", "said", "outcome", "end"),
    [
        (0, "No known vulnerabilities found", "no known vulnerabilities", 0),
        (1, "ConnectionError: Max retries exceeded", "does not answer", supply.UNKNOWN),
        (1, "Found 1 known vulnerability\npillow 1.0 PYSEC-1", "pillow 1.0 PYSEC-1", 1),
    ],
)
def test_an_audit_says_what_it_found_and_when_it_could_not_ask(
    monkeypatch, code, said, outcome, end
):
    asked = []

    def service(module, *words):
        asked.extend(Path(words[-1]).read_text("utf-8").splitlines())
        return subprocess.CompletedProcess([module], code, stdout="", stderr=said)

    monkeypatch.setattr(supply, "_run", service)
    what, told, ended = supply.vulnerabilities()
    assert (outcome in told, ended) == (True, end) and "\n" not in told
    assert f"pillow=={version('pillow')}" in asked and str(len(asked)) in what
