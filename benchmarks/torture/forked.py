"""Commands of srcli in forked children: torch is imported once, a run takes under a second.

A child is what a user starts: it runs `srcli.cli.app.main` with arguments, in a folder of its own,
with its own signals. It ends without Python's long goodbye.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
os.environ["OMP_NUM_THREADS"] = "1"  # tiny networks gain nothing from more

HANG_SECONDS = 60.0  # a run of these sizes takes less than one


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended: as a shell has it, 128 + n where signal n killed it."""

    code: int
    said: str  # on both of its outputs
    seconds: float
    hung: bool = False

    @property
    def fault(self) -> str:
        """What no run may ever do; empty where it did not."""
        if self.hung:
            return "hung"
        if "Traceback" in self.said or "Exception ignored" in self.said:
            return "traceback: " + self.said.strip()[-1500:]
        return ""


@dataclass(slots=True)
class Child:
    """A command under way."""

    pid: int
    log: Path
    started: float

    def kill(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait(self, seconds: float = HANG_SECONDS) -> Ended:
        """Its end; killed as hung after so long."""
        deadline = time.monotonic() + seconds
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid or time.monotonic() > deadline:
                break
            time.sleep(0.002)
        if not pid:
            os.kill(self.pid, signal.SIGKILL)
            _, status = os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        said = self.log.read_text(errors="replace")
        elapsed = time.monotonic() - self.started
        return Ended(128 - code if code < 0 else code, said, elapsed, hung=not pid)


def start(
    arguments: Sequence[object],
    *,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    before: Callable[[], None] = lambda: None,
    log: Path | None = None,
) -> Child:
    """Begin `srcli ARGUMENTS` in `folder`; `before` runs in the child, ahead of the command.

    What it says goes to `log`, by default beside the folder.
    """
    log = log or folder.with_name(f"{folder.name}.log")
    sys.stdout.flush()
    log.touch()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # from its first moment, the child's too
    started = time.monotonic()
    pid = os.fork()
    if pid:
        return Child(pid, log, started)
    code = 70
    try:
        _be_a_program(log, folder, environment or {})
        before()
        code = _main([str(each) for each in arguments])
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return Child(0, log, started)


def run(
    arguments: Sequence[object],
    *,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    before: Callable[[], None] = lambda: None,
    log: Path | None = None,
) -> Ended:
    """`srcli ARGUMENTS` in `folder`, to its end."""
    return start(arguments, folder=folder, environment=environment, before=before, log=log).wait()


def _be_a_program(log: Path, folder: Path, environment: Mapping[str, str]) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    null = os.open(os.devnull, os.O_RDONLY)
    for mine, theirs in ((null, 0), (descriptor, 1), (descriptor, 2)):
        os.dup2(mine, theirs)
    os.chdir(folder)
    os.environ.update(environment)


def _main(arguments: list[str]) -> int:
    from srcli.cli.app import main

    try:
        main(arguments)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


def import_everything() -> None:
    """What every child needs, once; no thread is started and nothing is computed."""
    from srcli.inference.large_pages import prefer_large_pages

    prefer_large_pages()  # as the command line does
    import torch

    import srcli.cli.app
    import srcli.services.batch
    import srcli.services.exporting.export
    import srcli.services.training.request
    import srcli.services.weights_cache  # noqa: F401

    torch.set_num_threads(1)
