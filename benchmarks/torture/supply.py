"""What is installed and what is published: vulnerabilities, an SBOM, and the tests of packaging.

    python benchmarks/torture/supply.py [--sbom sbom.json]

Needs the extras `audit` and `test`. Ends with 0 if nothing is wrong, and with 3 if nothing is but
the vulnerability service cannot be reached: then nobody knows.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
UNKNOWN = 3
# How pip-audit says that it could not ask.
SIGNS_OF_SILENCE = ("could not be audited", "ConnectionError", "Connection", "NameResolution")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sbom", type=Path, help="where the SBOM goes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="srcli-supply-") as place:
        results = [vulnerabilities(), sbom(options.sbom or Path(place, "sbom.json")), packaging()]
    sys.stdout.write("| what | outcome |\n| --- | --- |\n")
    for what, outcome, _ in results:
        sys.stdout.write(f"| {what} | {outcome} |\n")
    return max(code for *_, code in results)


def vulnerabilities() -> tuple[str, str, int]:
    """Known vulnerabilities of the packages that srcli needs here, with all they need."""
    needed = sorted(_needed())
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(f"{name}=={version}" for name, version in needed))
        file.flush()
        words = ["--strict", "--no-deps", "--disable-pip", "-r", file.name]
        done = _run("pip_audit", *words)
    what = f"pip-audit, {len(needed)} packages"
    if done.returncode == 0:
        return what, "no known vulnerabilities", 0
    told = done.stderr + done.stdout
    if any(sign in told for sign in SIGNS_OF_SILENCE):
        return what, "unknown: the vulnerability service does not answer", UNKNOWN
    return what, told.strip().replace("\n", "; "), 1


def _needed() -> Iterator[tuple[str, str]]:
    """Everything that srcli needs without extras, from the metadata of what is installed."""
    from importlib.metadata import PackageNotFoundError, distribution

    from packaging.requirements import Requirement

    sys.path.insert(0, str(ROOT))
    from srcli_docs.dependencies import dependencies

    waiting = [each.package for each in dependencies() if not each.extra]
    seen = set[str]()
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name in seen:
            continue
        seen.add(name)
        try:
            found = distribution(name)
        except PackageNotFoundError:  # for another platform
            continue
        yield name, found.version
        for line in found.requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)


def sbom(path: Path) -> tuple[str, str, int]:
    """What srcli needs here without extras, in CycloneDX, against its schema and the law."""
    words = ["environment", "--pyproject", "pyproject.toml", "--output-reproducible"]
    done = _run("cyclonedx_py", *words, "--output-file", str(path), sys.executable)
    if done.returncode != 0:
        return "SBOM", done.stderr.strip().splitlines()[-1], 1
    needed = {_normal(name): version for name, version in _needed()}
    document = only(json.loads(path.read_text("utf-8")), set(needed))
    name_licences(document)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False), "utf-8")
    if faults := [*faults_of(document, needed), *_against_schema(path)]:
        return "SBOM", "; ".join(faults), 1
    return "SBOM", summary(document), 0


def summary(document: dict[str, Any]) -> str:
    """One line about a right one."""
    components = document["components"]
    unknown = [each["name"] for each in components if "licenses" not in each]
    told = f"{len(components)} components, {len(components) - len(unknown)} with a licence"
    without = f" (none: {', '.join(unknown)})" if unknown else ""
    return f"CycloneDX {document['specVersion']}, {told}{without}"


def only(document: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """The SBOM of an environment without what is there for something else."""
    kept = [each for each in document["components"] if _normal(each["name"]) in names]
    refs = {each["bom-ref"] for each in kept} | {document["metadata"]["component"]["bom-ref"]}
    edges = [
        edge | {"dependsOn": [ref for ref in edge.get("dependsOn", ()) if ref in refs]}
        for edge in document["dependencies"]
        if edge["ref"] in refs
    ]
    return document | {"components": kept, "dependencies": edges}


def name_licences(document: dict[str, Any]) -> None:
    """Of packages whose metadata has a licence, but no name that CycloneDX knows."""
    sys.path.insert(0, str(ROOT))
    from srcli_docs.dependencies import licence

    for each in document["components"]:
        # Empty where the package states none.
        if "licenses" not in each and (told := licence(each["name"])):
            each["licenses"] = [{"license": {"name": told, "acknowledgement": "declared"}}]


def faults_of(document: dict[str, Any], needed: dict[str, str]) -> Iterator[str]:
    """What an SBOM lacks: packages, their versions and addresses; or tells of this machine."""
    listed = {_normal(each["name"]): each for each in document["components"]}
    for name, version in needed.items():
        found = listed.get(name, {})
        if found.get("version") != version or not str(found.get("purl")).startswith("pkg:pypi/"):
            yield f"{name} {version} is not in it as a package"
    text = json.dumps(document)
    places = {str(ROOT), str(Path.home()), sys.prefix, sys.base_prefix} - {"/"}
    for place in sorted(places):
        if f'"{place}' in text:
            yield f"it tells of {place}"
    if "file:" in text:
        yield "it tells of a file:"


def _against_schema(path: Path) -> Iterator[str]:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = path.read_text("utf-8")
    version = SchemaVersion.from_version(json.loads(text)["specVersion"])
    if error := JsonStrictValidator(version).validate_str(text):
        yield str(error)[:300]


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def packaging() -> tuple[str, str, int]:
    """The wheel, the sdist, their bytes, the dependencies and the tree."""
    done = _run("pytest", "-q", "-p", "no:cacheprovider", "tests/packaging")
    return "tests/packaging", done.stdout.strip().splitlines()[-1].strip("= "), done.returncode


def _run(module: str, *words: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", module, *words]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    raise SystemExit(main())
