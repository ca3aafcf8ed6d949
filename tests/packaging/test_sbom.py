"""What is held against an SBOM before it is handed on."""

import sys
from pathlib import Path

import pytest

TORTURE = Path(__file__).parents[2] / "benchmarks/torture"
sys.path.insert(0, str(TORTURE))

import supply  # noqa: E402

NEEDED = {"torch": "2.6.0", "typing-extensions": "4.12.2"}


@pytest.fixture
def document():
    def component(name, version):
        purl = f"pkg:pypi/{name}@{version}"
        return {"name": name, "version": version, "bom-ref": f"{name}=={version}", "purl": purl}

    parts = [component("torch", "2.6.0"), component("typing_extensions", "4.12.2")]
    parts.append(component("jupyter", "1.0"))
    edges = [
        {"ref": "root", "dependsOn": ["torch==2.6.0", "jupyter==1.0"]},
        {"ref": "jupyter==1.0"},
    ]
    root = {"component": {"bom-ref": "root", "name": "srcli"}}
    return {"metadata": root, "components": parts, "dependencies": edges}


def test_what_is_installed_for_something_else_is_left_out(document):
    kept = supply.only(document, set(NEEDED))
    assert [each["name"] for each in kept["components"]] == ["torch", "typing_extensions"]
    assert kept["dependencies"] == [{"ref": "root", "dependsOn": ["torch==2.6.0"]}]
    assert not list(supply.faults_of(kept, NEEDED))


@pytest.mark.parametrize("change", [{"version": "2.7.0"}, {"purl": ""}, {"name": "torchvision"}])
def test_a_package_that_is_not_in_it_as_it_is_installed_is_a_fault(document, change):
    document["components"][0] |= change
    assert list(supply.faults_of(document, NEEDED)) == ["torch 2.6.0 is not in it as a package"]


def test_a_licence_is_named_where_the_package_states_one(document, monkeypatch):
    stated = {"torch": "BSD", "jupyter": "BSD"}
    monkeypatch.setattr("srcli_docs.dependencies.licence", lambda name: stated.get(name, ""))
    supply.name_licences(document)
    named = [each.get("licenses", [{}])[0].get("license") for each in document["components"]]
    bsd = {"name": "BSD", "acknowledgement": "declared"}
    assert named == [bsd, None, bsd]
    told = supply.summary(document | {"specVersion": "1.6"})
    assert told == "CycloneDX 1.6, 3 components, 2 with a licence (none: typing_extensions)"


@pytest.mark.parametrize("place", [str(Path.home()), sys.prefix, str(supply.ROOT), "file:"])
def test_a_place_of_this_machine_is_a_fault(document, place):
    document["components"][1]["externalReferences"] = [{"url": f"{place}/x.whl"}]
    assert any(place in fault for fault in supply.faults_of(document, NEEDED))
