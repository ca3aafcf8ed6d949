"""The service as a deployment of Ray Serve: two replicas on this machine, many clients at once."""

import os
import re
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("ray.serve", reason="a deployment needs ray[serve]: pip install '.[test]'")

import ray  # noqa: E402
from pydantic import ValidationError  # noqa: E402
from ray import serve  # noqa: E402
from service_tools import Client, noise  # noqa: E402

from srcli.errors import UsageError  # noqa: E402
from srcli.web.cluster import Arguments, app  # noqa: E402
from srcli.web.settings import Limits  # noqa: E402

ROOT = Path(__file__).parents[2]
KEY = "0123456789abcdef-key"
HEADERS = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture(scope="module")
def deployed(tiny_weights, small_ray):
    """A client of two replicas, behind a key that only the driver's environment has."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100 << 20)
        patch.setenv("SRCLI_API_KEY", KEY)
        arguments = Arguments(model=str(tiny_weights), replicas=2, queue=4, max_megapixels=0.02)
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        serve.run(app(arguments), name="srcli")
        yield Client(None, port, patience=120)
        serve.shutdown()
        ray.shutdown()


def test_clients_of_every_kind_get_the_answers_of_the_service_itself(deployed, start):
    alone = start(limits=Limits(pixels=20_000))
    good = [noise(seed=seed) for seed in range(8)]
    bad = {b"no picture": "not-a-picture", noise(200, 150): "too-many-pixels", b"": "not-a-picture"}
    asked = [*good, *bad] * 2
    with ThreadPoolExecutor(4) as clients:  # no more than the queue of one replica
        answers = list(clients.map(lambda body: deployed(body=body, **HEADERS), asked))
    for body, answer in zip(asked, answers, strict=True):
        if body in bad:
            assert answer.problem == bad[body]
        else:
            assert (answer.status, answer.body) == (200, alone(body=body).body)


def test_whoever_comes_beyond_all_queues_is_refused_and_nobody_waits_for_ever(deployed):
    with ThreadPoolExecutor(24) as clients:
        answers = list(
            clients.map(lambda _: deployed(body=noise(140, 140), **HEADERS).status, range(24))
        )
    assert set(answers) <= {200, 503} and Counter(answers)[200] >= 1


def test_the_key_reaches_every_replica_and_health_needs_none(deployed):
    answers = [deployed(body=noise()) for _ in range(6)]
    assert {answer.problem for answer in answers} == {"no-key"}
    assert deployed("/health/ready").status == 200


@pytest.mark.parametrize("wrong", [{"modle": "swift"}, {"replicas": "0"}, {"cpus": "many"}])
def test_arguments_that_cannot_be_are_refused_before_anything_starts(wrong):
    with pytest.raises(ValidationError):
        Arguments(**wrong)


def test_a_key_too_short_to_be_one_is_refused_before_anything_starts(monkeypatch):
    monkeypatch.setenv("SRCLI_API_KEY", "secret")
    with pytest.raises(UsageError, match="too short"):
        app(Arguments())


def test_the_commands_and_the_configuration_of_the_page_are_understood():
    yaml = pytest.importorskip("yaml", reason="a configuration needs PyYAML, which ray brings")
    page = (ROOT / "docs/how-to/serve.md").read_text("utf-8")
    (text,) = re.findall(r"```yaml\n(.*?)```", page, re.S)
    (application,) = yaml.safe_load(text)["applications"]
    given = [application["args"]]
    for line in re.findall(r"^serve run srcli\.web\.cluster:app (.*)$", page, re.M):
        given.append(dict(each.split("=") for each in line.split()))
    assert len(given) == 3 and all(app(Arguments(**each)) for each in given)
    assert application["deployments"][0]["name"] == app(Arguments())._bound_deployment.name
