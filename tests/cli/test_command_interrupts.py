"""A signal ends a command whatever a library does with the exception that it raises."""

import contextlib
import errno
import os
import signal
import time

import pytest

from srcli.cli import interrupts
from srcli.cli.app import main
from srcli.errors import ImageError


@pytest.fixture
def command(monkeypatch, capsys):
    """Run a command that does what it is told; its exit code and what it says."""

    def run(act):
        handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        monkeypatch.setattr("srcli.cli.app.app", lambda args: act())
        try:
            with pytest.raises(SystemExit) as ended:
                main([])
        finally:
            for number, handler in zip((signal.SIGINT, signal.SIGTERM), handlers, strict=True):
                signal.signal(number, handler)
        return ended.value.code, capsys.readouterr().err

    return run


def interrupt():
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.01)


def instead(error):
    """As a library in C does that looks only at whether there was an exception."""
    with contextlib.suppress(interrupts.Interrupted):
        interrupt()
    raise error


class Dropping:
    """Its end drops exceptions, as callbacks of libraries do."""

    def __del__(self):
        interrupt()


def drop_it_and_go_on():
    Dropping()
    time.sleep(10)


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(interrupt, id="raised"),
        pytest.param(lambda: instead(ValueError("no shape")), id="another exception"),
        pytest.param(lambda: instead(ImageError("a", hint="b")), id="an error of ours"),
        pytest.param(lambda: instead(SystemExit(4)), id="an exit code"),
        pytest.param(drop_it_and_go_on, id="dropped"),
    ],
)
def test_a_signal_ends_the_command_whatever_became_of_its_exception(command, act):
    began = time.monotonic()
    code, said = command(act)
    assert (code, said) == (130, "interrupted: nothing half done was kept\n")
    assert time.monotonic() - began < 5


def test_what_was_done_already_stays_done(command):
    assert command(lambda: instead(SystemExit(0)))[0] == 0


def test_without_a_signal_a_bug_stays_a_bug(monkeypatch):
    def bug(args):
        raise ValueError("of ours")

    monkeypatch.setattr("srcli.cli.app.app", bug)
    with pytest.raises(ValueError, match="of ours"):
        main([])


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_where_memory_is_out_a_command_says_so_in_two_lines(command, error):
    def act():
        raise error

    code, said = command(act)
    assert code == 5 and "no memory left" in said and "hint:" in said and len(said.split("\n")) == 3


def test_a_full_disk_that_nobody_foresaw_is_told_in_two_lines(command):
    def act():
        raise OSError(errno.ENOSPC, "No space left on device", "a.bin")

    code, said = command(act)
    assert (code, said.splitlines()[0]) == (5, "error: no space left to write a.bin")
