"""What is kept under version control gives away no secret and no machine that it was made on."""

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOSTS = {  # where weights, papers and documentation are; all that is asked or pointed to
    "arxiv.org",
    "docs.pytorch.org",
    "docs.ray.io",
    "download.pytorch.org",
    "drive.google.com",
    "git-lfs.github.com",
    "github.com",
    "huggingface.co",
    "json-schema.org",
    "objectstorage.us-phoenix-1.oraclecloud.com",
    "openmodeldb.info",
    "raw.githubusercontent.com",
    "www.w3.org",
}
NOBODYS = re.compile(  # reserved for examples (RFC 2606), without a dot, or this machine
    r"[^.]*|.*\.(example|invalid|test|localhost)|(.*\.)?example\.(org|com|net)|a\.org|127\.[\d.]+"
)
ADDRESS = re.compile(r"https?://(?:[^/\s@]*@)?([A-Za-z0-9.-]+)")
FOLDERS = re.compile(
    r"(?<![\w.])(/(root|work|home/\w+|Users/\w+|opt/\w+|mnt/\w+)|[A-Z]:\\+Users)(?![\w-])"
)
SECRETS = {
    "private key": r"-----BEGIN [A-Z ]*PRIVATE KEY",
    "AWS": r"\b(AKIA|ASIA)[A-Z0-9]{16}\b",
    "GitHub": r"\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_\w{30,}",
    "Google": r"\bAIza[\w-]{35}",
    "Hugging Face": r"\bhf_[A-Za-z0-9]{30,}",
    "package index": r"\bpypi-[\w-]{40,}",
    "Slack": r"\bxox[abprs]-[\w-]{10,}",
    "web token": r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.",
    "API key": r"\bsk-[A-Za-z0-9_-]{20,}",
    "address with a password": r"\w://[^/\s:'\"]+:(?!secret|pass|\{|\$)[^/\s@'\"]{6,}@",
}


@cache
def texts():
    """Every tracked file that is a text, by its name."""
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("this tree is not under version control")
    command = ["git", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = {name: (ROOT / name) for name in listed.split("\0") if name}
    contents = {name: path.read_bytes() for name, path in files.items() if path.is_file()}
    return {name: data.decode() for name, data in contents.items() if b"\0" not in data}


def found(pattern):
    """Where a pattern matches: `file: text`."""
    return [
        f"{name}: {match.group()}"
        for name, text in texts().items()
        for match in re.finditer(pattern, text)
    ]


def test_all_files_are_looked_at():
    assert {"pyproject.toml", "weights.toml", "tests/packaging/test_tree.py"} < set(texts())
    assert len(texts()) > 400


@pytest.mark.parametrize("kind", SECRETS)
def test_no_file_holds_a_secret(kind):
    assert found(SECRETS[kind]) == []


def test_no_file_names_a_folder_of_somebodys_machine():
    assert found(FOLDERS) == []


def test_no_file_names_a_host_that_is_not_known():
    named = {(match[1], name) for name, text in texts().items() for match in ADDRESS.finditer(text)}
    odd = {(host, name) for host, name in named if host not in HOSTS}
    assert {each for each in odd if not NOBODYS.fullmatch(each[0])} == set()


@pytest.mark.parametrize(
    ("kind", "planted"),
    [
        ("AWS", "AKIA" + "A" * 16),
        ("Hugging Face", "hf" + "_" + "a" * 34),
        ("private key", "-----BEGIN RSA " + "PRIVATE KEY"),
        ("address with a password", "https://me:" + "hunter22@host"),
    ],
)
def test_a_planted_secret_would_be_found(kind, planted):
    assert re.search(SECRETS[kind], planted)


def test_a_planted_folder_would_be_found():
    assert all(FOLDERS.search(f"in {place}/x") for place in ("/" + "root", "/home" + "/me"))
