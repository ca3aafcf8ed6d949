"""The service over HTTP, as its clients see it."""

import json
import os
import socket
import time
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from service_tools import LIMITS, noise

from srcli.errors import UsageError
from srcli.io.formats import PictureFormat
from srcli.services.job import PictureOptions
from srcli.services.sizes import TargetSize
from srcli.services.upscale import upscale_file
from srcli.web.files import own_folder
from srcli.web.settings import Limits, ServeSettings


def by_library(engine, folder, body, **options):
    """What the library makes of a picture."""
    (folder / "in").write_bytes(body)
    options = PictureOptions(**{"overwrite": True, **options})
    kind = options.format or PictureFormat.PNG
    report = upscale_file(engine, folder / "in", folder / f"out{kind.suffix}", options)
    return Path(report.output).read_bytes()


@pytest.mark.parametrize(("kind", "type_"), [("png", "image/png"), ("webp", "image/webp")])
def test_a_picture_comes_back_as_the_library_makes_it(ask, engine, tmp_path, kind, type_):
    answer = ask(f"/upscale?scale=3&format={kind}", noise(), Content_Type="image/png")
    wanted = dict(size=TargetSize(scale=3), format=PictureFormat(kind))
    assert (answer.status, answer.headers["content-type"]) == (200, type_)
    assert answer.body == by_library(engine, tmp_path, noise(), **wanted)
    assert answer.headers["srcli-size"] == "27x21"


def test_a_form_and_a_query_say_the_same(ask):
    asked = "/upscale?long_side=50&strength=0.5&metadata=false"
    plain = ask(asked, noise())
    form = ask.form(picture=noise(), long_side=50, strength=0.5, metadata="false")
    mixed = ask.form("/upscale?long_side=50", picture=noise(), strength=0.5, metadata="no")
    assert plain.status == 200 and plain.body == form.body == mixed.body
    assert Image.open(BytesIO(plain.body)).size == (50, 39)


@pytest.mark.parametrize(
    ("query", "body", "status", "problem"),
    [
        ("", b"", 422, "not-a-picture"),
        ("", b"hello", 422, "not-a-picture"),
        (
            "",
            b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
            422,
            "not-a-picture",
        ),
        (
            "",
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n",
            422,
            "not-a-picture",
        ),
        ("", b"P6 2 2 255 " + bytes(12), 422, "not-a-picture"),
        ("", noise()[:-30], 422, "not-a-picture"),
        ("", noise(150, 140), 413, "too-many-pixels"),
        ("", bytes(200_001), 413, "too-many-bytes"),
        ("scale=64", noise(20, 20), 422, "result-too-large"),
        ("scale=0", noise(), 422, "invalid-parameters"),
        ("scale=nan", noise(), 422, "invalid-parameters"),
        ("scale=2&scale=3", noise(), 422, "invalid-parameters"),
        ("scale=2&width=9", noise(), 422, "impossible"),
        ("model=/etc/passwd", noise(), 422, "invalid-parameters"),
        ("format=heic", noise(), 422, "invalid-parameters"),
        ("colour=red", noise(), 422, "invalid-parameters"),
        ("format=webp&width=20000&height=1000000", noise(20000, 1), 422, "impossible"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_reason(ask, query, body, status, problem):
    answer = ask(f"/upscale?{query}", body)
    assert (answer.status, answer.problem) == (status, problem)


def test_a_message_of_the_service_names_parameters_not_options_or_files(ask):
    told = ask("/upscale?scale=2&long_side=9", noise()).body.decode()
    told += ask("/upscale", noise()[:-30]).body.decode()
    assert "long_side" in told and "--" not in told and "srcli-serve" not in told


@pytest.mark.parametrize("fields", [{}, {"scale": 2}, {"file": "x"}])
def test_a_form_without_a_picture_is_refused(ask, fields):
    assert ask.form(**fields).problem == "bad-request"


def test_a_form_that_breaks_off_or_a_strange_type_is_refused(ask):
    broken = ask("/upscale", b"--B\r\nxx", Content_Type="multipart/form-data; boundary=B")
    assert (broken.status, broken.problem) == (400, "bad-request")
    assert ask("/upscale", b"x", Content_Type="multipart/form-data").status == 400
    assert ask("/upscale", b"{}", Content_Type="application/json").status == 415


@pytest.mark.parametrize(
    ("charset", "text"), [("idna", b"xn--" + b"a" * 80), ("unicode_escape", b"\\ud800")]
)
def test_a_form_in_a_charset_that_makes_no_text_is_refused(ask, charset, text):
    head = b'--B\r\nContent-Disposition: form-data; name="'
    body = head + text + b'"\r\n\r\n2\r\n' + head + b'picture"; filename="a"\r\n\r\nx\r\n--B--\r\n'
    kind = f"multipart/form-data; boundary=B; charset={charset}"
    assert ask("/upscale", body, Content_Type=kind).status == 400


def test_the_networks_and_the_state_are_told(ask):
    (model,) = json.loads(ask("/models").body)
    assert (model["name"], model["scale"], model["is_default"]) == ("tiny", 4, True)
    assert ask("/health/live").status == ask("/health/ready").status == 200
    ask("/upscale?model=tiny", noise())
    numbers = ask("/metrics").body.decode()
    assert 'srcli_requests_total{path="/upscale",status="200"}' in numbers
    assert "process_resident_memory_bytes" in numbers
    wait_for(lambda: "srcli_inside 0.0" in ask("/metrics").body.decode())


@pytest.mark.parametrize("path", ["/", "/models", "/nothing", "/upscale"])
def test_every_answer_forbids_what_it_does_not_need(ask, path):
    headers = ask(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]


def test_a_key_is_asked_for_where_there_is_one(start):
    key = "correct horse battery"
    ask = start(api_key=key)
    right = {"Authorization": f"Bearer {key}"}
    for path, body in (("/upscale", noise()), ("/models", None), ("/metrics", None)):
        assert ask(path, body).problem == "no-key"
        assert ask(path, body, Authorization="Bearer wrong horse battery").status == 401
        assert ask(path, body, Authorization=f"Basic {key}").status == 401
        assert ask(path, body, **right).status == 200
    assert ask("/health/live").status == ask("/").status == 200
    assert key not in repr(ask.service.settings)


def test_a_service_of_this_machine_answers_to_its_own_names_and_pages(ask):
    assert ask("/models", Host="evil.example").problem == "wrong-host"
    assert ask("/models", Host="localhost:1").status == 200
    own = f"127.0.0.1:{ask.port}"
    assert ask("/upscale", noise(), Origin=f"http://{own}").status == 200
    for origin in ("http://evil.example", "null", "http://["):
        assert ask("/upscale", noise(), Origin=origin).problem == "wrong-origin"


def connected(ask, head):
    client = socket.create_connection(("127.0.0.1", ask.port), timeout=15)
    client.sendall(head)
    return client


def test_a_client_that_sends_too_slowly_is_told_so_and_one_that_says_nothing_is_left(ask):
    head = b"POST /upscale HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999\r\n\r\n"
    with connected(ask, head) as slow, connected(ask, b"GET / HT") as silent:
        started = time.perf_counter()
        slow.sendall(b"x")
        assert slow.recv(4096).startswith(b"HTTP/1.1 408 ")
        assert time.perf_counter() - started < 3
        assert silent.recv(4096) == b""
        assert time.perf_counter() - started < 5


def wait_for(condition):
    end = time.perf_counter() + 15
    while not condition():
        assert time.perf_counter() < end
        time.sleep(0.01)


def test_work_that_nobody_waits_for_is_given_up_and_its_files_go(start, engine, monkeypatch):
    ask = start(limits=Limits(result_pixels=10**9))
    body = noise(800, 700)
    head = f"POST /upscale HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    with connected(ask, head.encode() + body):
        wait_for(lambda: ask.service._inside == 1)
        assert list(ask.service._root.iterdir())
    wait_for(lambda: ask.service._inside == 0)
    assert list(ask.service._root.iterdir()) == []
    assert 'srcli_pictures_total{model="tiny"}' not in ask.service.metrics.text().decode()


def test_too_many_at_once_are_refused_and_told_when_to_come_again(start):
    ask = start(limits=Limits(inside=1, uploads=1, connections=3))
    head = b"POST /upscale HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n"
    with connected(ask, head):
        wait_for(lambda: ask.service._uploads == 1)
        busy = ask("/upscale", noise())
        assert (busy.status, busy.problem, busy.headers["retry-after"]) == (503, "busy", "2")
        with connected(ask, b"G"), connected(ask, b"G"):
            assert ask("/models").problem == "busy"
    wait_for(lambda: ask.service._uploads == 0)
    assert ask("/upscale", noise()).status == 200


def test_a_picture_that_takes_too_long_is_given_up(start):
    ask = start(limits=Limits(work_seconds=0.05))
    assert ask("/upscale", noise(600, 600)).problem == "too-long"
    wait_for(lambda: ask.service._inside == 0)


def test_a_service_that_ends_takes_nothing_new(start):
    ask = start()
    ask.service.is_closing = True
    assert ask("/health/ready").problem == ask("/upscale", noise()).problem == "closing"
    assert ask("/health/live").status == 200


def test_a_fault_of_ours_tells_nothing_of_itself(start, monkeypatch, caplog):
    ask = start()
    monkeypatch.setattr(ask.service, "order", lambda *_: 1 / 0)
    answer = ask("/upscale", noise())
    assert (answer.status, answer.problem) == (500, "bug")
    assert b"ZeroDivision" not in answer.body
    wait_for(lambda: "ZeroDivisionError" in caplog.text)  # the log is for the operator


@pytest.mark.parametrize(
    "wrong",
    [{"api_key": "short"}, {"api_key": "ä" * 20}, {"port": 99999}, {"host": "999.1.2.3"}],
)
def test_settings_that_cannot_be_are_refused(start, wrong):
    with pytest.raises(UsageError):
        start(**wrong)


def test_limits_start_above_nothing():
    with pytest.raises(UsageError):
        Limits(inside=0)
    assert ServeSettings(host="::1").is_local and not ServeSettings(host="0.0.0.0").is_local
    assert LIMITS.inside > 1


def test_what_a_killed_service_left_is_removed_and_what_a_living_one_has_is_not(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dead, other = tmp_path / "srcli-serve-dead", tmp_path / "srcli-serve-other"
    for folder in (dead, other):
        folder.mkdir()
    (dead / "lock").touch()
    with own_folder() as living:
        (living / "picture").touch()
        for folder in (dead, other, living.parent):
            os.utime(folder, (0, 0))
        with own_folder():
            assert (living / "picture").exists() and other.exists() and not dead.exists()
    assert list(tmp_path.iterdir()) == [other]
