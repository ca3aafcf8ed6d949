"""A journal whose truth lies in a store: what a kill leaves, who may write, how it stays small."""

import json
import os
import socket
import subprocess
import sys

import psutil
import pytest
from remote_tools import names_in

from srcli.errors import ImageError, OutputError
from srcli.io import stores
from srcli.io.addresses import Remote
from srcli.services import journal_log, lease
from srcli.services.fingerprint import Content, Settings
from srcli.services.journal import Journal, Status, results_in

SETTINGS, MODEL = Settings('{"scale": 4}'), "digest"
CONTENT = Content(bytes=7, stamp="etag", sha256="0" * 64)


def open_journal(store):
    return Journal(store / "out", SETTINGS, MODEL)


def finish(journal, store, name):
    source, output = store / f"in/{name}", store / f"out/{name}"
    journal.begin(source, output, CONTENT, overwrite=False)
    journal.sync()
    stores.write(b"larger", output)
    journal.done(source, output, 1.0, 6)


def row_in(store, name):
    """What the store says of a source, to who only looks."""
    with Journal.peek(store / "out", SETTINGS, MODEL) as journal:
        return journal.row(store / f"in/{name}")


def kill(store, journal):
    """As if the process had died: its rows that were not written are lost, its lease stays."""
    journal._home._is_closed.set()
    journal._home._lease._is_lost = True
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"],
        capture_output=True,
        text=True,
        check=True,
    )
    leave_lease(store, pid=int(gone.stdout))


def leave_lease(store, pid, host=None, started=0.0):
    holder = lease.Holder(host or socket.gethostname(), pid, started, "somebody")
    stores.write(json.dumps(lease.asdict(holder)).encode(), store / "out/.srcli-journal/lease.json")


def test_another_machine_knows_what_is_done(store):
    with open_journal(store) as journal:
        finish(journal, store, "a.png")
    with open_journal(store) as journal:
        assert journal.finished(store / "in/a.png", CONTENT) == store / "out/a.png"
    assert results_in(store / "out") == {store / "out/a.png"}


def test_a_row_that_runs_is_in_the_store_before_its_result_can_be(store):
    journal = open_journal(store)
    journal.begin(store / "in/a.png", store / "out/a.png", CONTENT, overwrite=False)
    journal.sync()
    stores.write(b"whole, but nobody wrote that down", store / "out/a.png")
    kill(store, journal)
    assert row_in(store, "a.png").status is Status.RUNNING
    with open_journal(store) as again:
        finish(again, store, "a.png")  # it may replace what it had begun


def test_what_was_not_written_down_may_be_done_again_but_not_lost(store):
    journal = open_journal(store)
    finish(journal, store, "a.png")
    finish(journal, store, "b.png")  # writes down that a.png is done
    kill(store, journal)
    with open_journal(store) as again:
        assert again.finished(store / "in/a.png", CONTENT) is not None
        assert again.finished(store / "in/b.png", CONTENT) is None


def test_a_result_that_is_gone_or_changed_is_not_taken_for_done(store):
    with open_journal(store) as journal:
        finish(journal, store, "a.png")
    stores.write(b"retouched by hand", store / "out/a.png")
    with open_journal(store) as journal:
        assert journal.finished(store / "in/a.png", CONTENT) is None
        with pytest.raises(OutputError, match="was changed since"):
            journal.begin(store / "in/a.png", store / "out/a.png", CONTENT, overwrite=False)


def test_a_second_run_is_refused_and_a_dead_one_is_not(store):
    with open_journal(store), pytest.raises(OutputError, match="another srcli is at work"):
        open_journal(store)
    leave_lease(store, pid=os.getpid(), started=psutil.Process().create_time() - 99)
    open_journal(store).close()


@pytest.mark.parametrize("is_alive", [True, False])
def test_a_run_on_another_machine_is_watched_for_its_heartbeat(store, monkeypatch, is_alive):
    monkeypatch.setattr(lease, "PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(lease, "_LOOK_SECONDS", 0.05)
    leave_lease(store, pid=1, host="elsewhere")
    if is_alive:
        pause = lease.time.sleep
        monkeypatch.setattr(
            lease.time, "sleep", lambda s: (pause(s), leave_lease(store, 1, "elsewhere", 2.0))
        )
        with pytest.raises(OutputError, match="process 1 on elsewhere"):
            open_journal(store)
    else:
        open_journal(store).close()


def test_a_run_that_ends_while_it_is_watched_is_nobody_s_trouble(store, monkeypatch):
    monkeypatch.setattr(lease, "_LOOK_SECONDS", 0.05)
    leave_lease(store, pid=1, host="elsewhere")
    place = store / "out/.srcli-journal/lease.json"
    monkeypatch.setattr(lease.time, "sleep", lambda s: stores.delete(place))
    open_journal(store).close()


@pytest.mark.parametrize("is_renewed", [True, False])
def test_who_was_thought_dead_writes_no_more(store, is_renewed):
    journal = open_journal(store)
    leave_lease(store, pid=1, host="elsewhere")
    if is_renewed:
        journal._home._lease.renew()
    with pytest.raises(OutputError, match="took over"):
        journal.sync()
    kill(store, journal)


def test_a_picture_that_fails_after_it_began_has_its_reason_elsewhere_too(store):
    with open_journal(store) as journal:
        journal.begin(store / "in/a.png", store / "out/a.png", CONTENT, overwrite=False)
        journal.failed(store / "in/a.png", ImageError("bad further on", hint="get another"))
    with open_journal(store) as journal:
        row = journal.row(store / "in/a.png")
    assert (row.status, row.error, row.tries) == (Status.FAILED, "bad further on", 1)


def test_many_small_objects_become_one(store, monkeypatch):
    monkeypatch.setattr(journal_log, "MANY_PARTS", 4)
    with open_journal(store) as journal:
        for number in range(10):
            finish(journal, store, f"{number}.png")
        parts = [n for n in names_in(store / "out", hidden=True) if n.endswith(".jsonl")]
        assert len(parts) <= 4
    with open_journal(store) as journal:
        done = [journal.finished(store / f"in/{n}.png", CONTENT) for n in range(10)]
        assert None not in done


def test_a_part_that_cannot_be_written_is_written_later(store, monkeypatch):
    with open_journal(store) as journal:
        journal.begin(store / "in/a.png", store / "out/a.png", CONTENT, overwrite=False)

        def refuse(*_):
            raise OutputError("the line is down", hint="wait")

        with monkeypatch.context() as patch:
            patch.setattr(stores, "write", refuse)
            with pytest.raises(OutputError, match="line is down"):
                journal.sync()
        journal.sync()
    assert row_in(store, "a.png").status is Status.RUNNING


def test_a_damaged_part_is_named(store):
    stores.write(b"{half", store / "out/.srcli-journal/0000000001.jsonl")
    with pytest.raises(OutputError, match=r"0000000001\.jsonl is damaged"):
        open_journal(store)
    open_twice = Remote(store.scheme, store.key)
    assert stores.entry_at(open_twice / "out/.srcli-journal/lease.json") is None
