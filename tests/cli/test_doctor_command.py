"""`srcli doctor`."""

import json
import socket

import pytest

from srcli.cli.app import main


@pytest.fixture
def doctor(capsys, monkeypatch):
    def run(*arguments, offline=True):
        monkeypatch.setenv("SRCLI_OFFLINE", str(int(offline)))
        with pytest.raises(SystemExit) as ended:
            main(["doctor", *arguments])
        assert ended.value.code == 0
        return capsys.readouterr().out

    return run


def test_doctor_names_every_device_with_the_reason_where_one_is_refused(doctor):
    report = json.loads(doctor("--json"))
    devices = {device["name"].split(":")[0]: device for device in report["devices"]}
    assert {"cpu", "cuda", "mps"} <= devices.keys()
    assert devices["cpu"]["free_bytes"] > 0 and "fp32" in devices["cpu"]["precisions"]
    for device in devices.values():
        assert device["refused"] is None or len(device["refused"]) > 10


def test_doctor_opens_no_connection_when_offline(doctor, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket, "create_connection", refuse)
    assert "offline" in doctor()


def test_doctor_says_why_a_source_does_not_answer(doctor, monkeypatch):
    def dead(*_, **__):
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(socket, "create_connection", dead)
    assert "does not answer: Connection refused" in doctor(offline=False)
