"""Files that appear whole or not at all, and the operating system's refusals said plainly."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile, gettempdir

from srcli.errors import DiskFullError, OutputError, SrcliError
from srcli.io.leftovers import held_folder, held_partial

if sys.platform != "win32":
    import fcntl

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_FLUSHED = {errno.EINVAL, errno.ENOTSUP}  # by file systems that have no such notion
_SMALL_BYTES = 1 << 16  # more than SQLite asks for at a time
_BLOCK_BYTES = 1 << 20
_REFUSED = {
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EROFS: "the file system is read-only",
    errno.ENOENT: "the folder does not exist",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EISDIR: "a folder has that name",
    errno.EEXIST: "a file has that name",
    errno.ENAMETOOLONG: "the name is too long for the file system",
}


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a sibling to write to; it becomes `path` only if the block succeeds.

    The sibling keeps the suffix of `path`, for writers that choose a format by it. Its bytes are
    on the disk before the name changes, so a power cut leaves the old file or the new one. On
    failure nothing is left behind, and what killed processes left of `path` is removed. A symbolic
    link keeps pointing where it pointed.

    Raises DiskFullError where no space is left, OutputError where the place refuses.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with replacing(folder / "a.txt") as partial:
    ...     _ = partial.write_text("whole")
    >>> [file.name for file in folder.iterdir()], (folder / "a.txt").read_text()
    (['a.txt'], 'whole')
    """
    with output_errors(path):
        target = _led_to(path)
        is_other = target.exists() and not target.is_file()
    if is_other:
        message = f"{path} is not a file that can be replaced"
        raise OutputError(message, hint="name another output file")
    with output_errors(path, target), held_partial(target) as partial, output_errors(path, partial):
        yield partial
        _flush(partial)
        partial.replace(target)
        _flush_folder(target.parent)


@contextmanager
def scratch(parent: Path | None = None) -> Iterator[Path]:
    """A folder in `parent`, by default where $TMPDIR says, gone at the end of the block.

    What killed processes left there is removed. Raises DiskFullError, or OutputError where the
    place refuses.
    """
    place = parent or scratch_place()
    hint = "choose another output, or change the folder"
    hint = hint if parent else "point $TMPDIR to a folder that you may write"
    with ExitStack() as stack:
        with output_errors(place, hint=hint):
            folder = stack.enter_context(held_folder(place))
        yield folder


@contextmanager
def output_errors(
    path: Path, *written: Path, hint: str = "choose another output, or change the folder"
) -> Iterator[None]:
    """Turn what the operating system says about writing `path` into a DiskFullError or OutputError.

    Only failures that name `path`, its folder or one of `written` are taken for refusals: a failure
    to read something else on the way passes through.
    """
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise full(path) from error
        ours = {str(place) for place in (path, path.parent, *written)}
        if error.errno in _REFUSED and {str(error.filename), str(error.filename2)} & ours:
            message = f"cannot write {path}: {_REFUSED[error.errno]}"
            raise OutputError(message, hint=hint) from error
        raise


def write_content(path: Path, content: BytesIO) -> None:
    """Write what a library has written to memory. Raises OSError.

    Of a view, as `getbuffer` gives it, CPython 3.12.0 and 3.12.1 die where an error holds it until
    the garbage collector comes (gh-111049). `getvalue` copies nothing either.
    """
    path.write_bytes(content.getvalue())


def insert_bytes(path: Path, place: int, data: bytes) -> None:
    """Put bytes into a file, ahead of what is at `place`: that moves up, block by block."""
    with path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        while end > place:  # from the end on, so that nothing is written over before it is read
            start = max(end - _BLOCK_BYTES, place)
            file.seek(start)
            block = file.read(end - start)
            file.seek(start + len(data))
            file.write(block)
            end = start
        file.seek(place)
        file.write(data)


def can_be(path: Path) -> bool:
    """Whether the system could have something of that name: not too long, and no zero in it.

    >>> can_be(Path("a.png")), can_be(Path("x" * 5000)), can_be(Path("a\\0b"))
    (True, False, False)
    """
    names = []
    try:
        while not _is_there(path) and path.name:  # a folder that is not there refuses no name
            names.append(path.name)
            path = path.parent
        for name in names:
            _is_there(path / name)
    except OSError as error:
        return error.errno != errno.ENAMETOOLONG
    except ValueError:
        return False
    return True


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


def scratch_place() -> Path:
    """Where files that nobody keeps go: $TMPDIR, else the system's folder for them.

    Raises OutputError where there is none that can be written.
    """
    try:
        return Path(gettempdir())
    except FileNotFoundError as error:
        message = "there is no folder for temporary files that can be written"
        raise OutputError(message, hint="point $TMPDIR to a folder that you may write") from error


def expanded(path: Path) -> Path:
    """The path with `~` replaced; as it is where nobody is called so, or has no home.

    >>> str(expanded(Path("~nobody-of-that-name/a")))
    '~nobody-of-that-name/a'
    """
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def is_full(error: OSError) -> bool:
    """Whether the operating system says that a disk or a quota is full."""
    return error.errno in _FULL


def refused(path: Path, what: str, error: OSError, *, hint: str) -> SrcliError:
    """An OutputError: `path` "cannot be made", or what `what` says; a DiskFullError if it is."""
    if is_full(error):
        return full(path)
    return OutputError(f"{path} {what}: {error.strerror}", hint=hint)


def full(path: Path) -> DiskFullError:
    """The error for a `path` for which no space is left."""
    hint = f"free some space on the disk of {path.absolute().parent}, or write elsewhere"
    return DiskFullError(f"no space left to write {path}", hint=hint)


def takes_no_file(folder: Path) -> bool:
    """Whether the disk is so full that there is not even room for a small file."""
    try:
        with TemporaryFile(dir=folder, buffering=0) as file:
            return (file.write(bytes(_SMALL_BYTES)) or 0) < _SMALL_BYTES
    except OSError as error:
        return is_full(error)


def has_writer(path: Path) -> bool:
    """Whether a process of this machine has the file open to write; False where nobody can tell.

    Linux lends a file out only while nobody writes it. The lease is given back at once, and who
    opens the file in between is not even delayed: the signal that would tell is one to be ignored.
    """
    if sys.platform != "linux":
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    finally:
        os.close(descriptor)
    return False


def _led_to(path: Path) -> Path:
    """Where a symbolic link leads in the end, any other path as it is."""
    if not path.is_symlink():
        return path
    try:
        return path.resolve(strict=True)
    except (OSError, RuntimeError) as error:  # Python before 3.13 has its own for circles
        if isinstance(error, OSError) and error.errno != errno.ELOOP:
            return path.resolve()  # there is no file yet, or whoever writes is told why not
        message = f"{path} is a link that leads in circles"
        raise OutputError(message, hint="remove it, or name another output file") from None


def _flush(partial: Path) -> None:
    with partial.open("rb+") as file:
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    if os.name != "posix":  # Windows neither needs nor allows it
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # it may be written though it cannot be listed, nor opened therefore
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_FLUSHED:
            raise
    finally:
        os.close(descriptor)
