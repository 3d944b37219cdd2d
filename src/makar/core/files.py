"""The one module through which every byte is written, and through which what others wrote is read.

A file is written beside its place, flushed to the disk and renamed into it; a directory is written whole under another
name and swapped in. After a crash at any moment there is the old or the new, never a mixture: the tests fail the k-th
operation for every k. All operations go through `disk`, which is what they replace.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from makar.core.errors import MakarError


class Disk(ABC):
    """The operations that change a disk."""

    @abstractmethod
    def write(self, path: Path, data: bytes) -> None:
        """Make a file with `data`, flushed to the disk."""

    @abstractmethod
    def append(self, path: Path, data: bytes) -> None:
        """Add `data` to the end of a file, flushed to the disk."""

    @abstractmethod
    def truncate(self, path: Path, size: int) -> None:
        """Cut a file to `size` bytes."""

    @abstractmethod
    def rename(self, source: Path, target: Path) -> None:
        """Move a file over `target`, or a directory to a name that is free."""

    @abstractmethod
    def mkdir(self, path: Path) -> None:
        """Make a directory and those above it."""

    @abstractmethod
    def remove(self, path: Path) -> None:
        """Remove a file or a directory with all in it."""

    @abstractmethod
    def settle(self, directory: Path) -> None:
        """Flush a directory's entries to the disk."""


class LocalDisk(Disk):
    """The machine's own disk."""

    def write(self, path: Path, data: bytes) -> None:
        with open(path, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def append(self, path: Path, data: bytes) -> None:
        with open(path, "ab") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def truncate(self, path: Path, size: int) -> None:
        os.truncate(path, size)

    def rename(self, source: Path, target: Path) -> None:
        os.replace(source, target)

    def mkdir(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)

    def remove(self, path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def settle(self, directory: Path) -> None:
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


disk: Disk = LocalDisk()


def _explained(error: OSError, path: Path) -> MakarError:
    return MakarError(f"{path} cannot be written ({error.strerror or error}); choose another place or free some space")


def read(path: Path | str, limit: int) -> bytes:
    """The bytes of a file from elsewhere, of which there may be at most `limit`.

    Raises MakarError for what is no file (a link, a folder, a pipe or a device, which might never end), for a larger
    file, and where the system refuses.
    """
    path = Path(path)
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    try:
        _require_readable(path, os.lstat(path), limit)  # before it is opened: to open a device can have effects
        with open(os.open(path, flags), "rb") as file:
            _require_readable(path, os.fstat(file.fileno()), limit)  # in case it was swapped since
            data = bytearray()
            while part := file.read(min(1 << 20, limit + 1 - len(data))):
                data += part
    except OSError as error:
        raise MakarError(f"{path} cannot be read ({error.strerror or error}); give the path of a file") from error
    except ValueError:  # a NUL or a lone surrogate in the name
        raise MakarError(f"{str(path)!r} cannot be the name of a file; give another") from None
    if len(data) > limit:
        raise _too_large(path, limit)
    return bytes(data)


def _require_readable(path: Path, status: os.stat_result, limit: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise MakarError(f"{path} cannot be read: it is {_kind(status.st_mode)}; give the file itself")
    if status.st_size > limit:
        raise _too_large(path, limit)


def _too_large(path: Path, limit: int) -> MakarError:
    return MakarError(f"{path} cannot be read: it is larger than {limit:,} bytes; give a smaller file")


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a link"
    return "a folder" if stat.S_ISDIR(mode) else "a pipe, a socket or a device"


def _beside(path: Path, word: str) -> Path:
    path = path.absolute()  # "." has no name
    return path.with_name(f".{path.name}.{word}")


def write_bytes(path: Path | str, data: bytes) -> None:
    """Write a file so that it is there whole or is as it was before. Raises MakarError where the disk refuses."""
    path = Path(path)
    new = _beside(path, f"new-{os.getpid()}")
    try:
        disk.mkdir(path.parent)
        disk.write(new, data)
        disk.rename(new, path)
        disk.settle(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            disk.remove(new)
        raise _explained(error, path) from error


def write_text(path: Path | str, text: str) -> None:
    """Write UTF-8 text as `write_bytes` does."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path | str, value: Any) -> None:
    """Write indented JSON as `write_bytes` does. NaN and infinities are refused by `json`."""
    write_text(path, to_json(value))


def to_json(value: Any) -> str:
    """The JSON that we write everywhere: indented, keys in the order given, no NaN."""
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def append_line(path: Path | str, line: str) -> None:
    """Add one line to a log. A last line torn by a crash is cut away first."""
    path = Path(path)
    try:
        disk.mkdir(path.parent)
        if path.exists():
            data = path.read_bytes()
            if data and not data.endswith(b"\n"):
                disk.truncate(path, data.rfind(b"\n") + 1)
        disk.append(path, line.encode("utf-8") + b"\n")
    except OSError as error:
        raise _explained(error, path) from error


def append_lines(path: Path | str, lines: Sequence[str]) -> None:
    """Add lines to a log with one flush. A last line torn by a crash is cut away first, and only the end is read.

    Where the disk refuses, the file is cut back to what it was; after a crash some of the lines may be there. Without
    lines, only the torn one is cut away.
    """
    path = Path(path)
    try:
        disk.mkdir(path.parent)
        fresh = not path.exists()
        size = 0 if fresh else last_line(path)[0]
        if not fresh and size < path.stat().st_size:
            disk.truncate(path, size)
        if lines:
            _append_whole(path, "".join(f"{line}\n" for line in lines).encode("utf-8"), size)
            if fresh:
                disk.settle(path.parent)
    except OSError as error:
        raise _explained(error, path) from error


def _append_whole(path: Path, data: bytes, size: int) -> None:
    """Add `data` to a file of `size` bytes, or leave it as it was."""
    try:
        disk.append(path, data)
    except OSError:
        with contextlib.suppress(OSError):
            disk.truncate(path, size)
        raise


def last_line(path: Path) -> tuple[int, bytes]:
    """Where the last whole line of a log ends, in bytes, and that line without its end; (0, b"") where there is none.

    Reads backwards from the end no further than it must.
    """
    with open(path, "rb") as file:
        start, data = file.seek(0, os.SEEK_END), b""
        while True:
            end = data.rfind(b"\n")
            before = data.rfind(b"\n", 0, max(end, 0))
            if before >= 0 or start == 0:
                return start + end + 1, data[before + 1 : max(end, 0)]
            step = min(start, max(4096, len(data)))
            start -= step
            file.seek(start)
            data = file.read(step) + data


@contextlib.contextmanager
def locked(path: Path | str, seconds: float = 30.0) -> Iterator[None]:
    """Hold the exclusive lock of a file, which is made where it is missing.

    The system gives a lock back when its process dies, however it dies: none is ever stale. Raises MakarError where
    another process holds it for longer than `seconds`.
    """
    path = Path(path)
    try:
        disk.mkdir(path.parent)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise _explained(error, path) from error
    try:
        _lock(handle, path, seconds)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, path: Path, seconds: float) -> None:
    import fcntl

    end = time.monotonic() + seconds
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise MakarError(
                    f"{path} has been locked by another process for {seconds:g} s; wait until it is done, or end it"
                ) from None
        time.sleep(0.002)


@contextlib.contextmanager
def claimed(path: Path | str, taken: str, seconds: float = 0.0) -> Iterator[None]:
    """Hold a file that stands for something that one process at a time may do; it is gone when that is done.

    Raises MakarError with the sentence `taken` where another process holds it for longer than `seconds`. Like `locked`
    it is given back by the system when the process dies; a file that was left then claims nothing.
    """
    path = Path(path)
    try:
        disk.mkdir(path.parent)
        handle = _claim(path, taken, time.monotonic() + seconds)
    except OSError as error:
        raise _explained(error, path) from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def _claim(path: Path, taken: str, end: float) -> int:
    import fcntl

    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), os.stat(path)):
                    return handle  # and not a file that its former holder has removed since it was opened
        except BlockingIOError:
            if time.monotonic() > end:
                os.close(handle)
                raise MakarError(taken) from None
        os.close(handle)
        time.sleep(0.002)


def _swapping(path: Path) -> contextlib.AbstractContextManager[None]:
    """Held while a directory is written or put right, whose other names beside it are the same for every process."""
    return claimed(_beside(path, "lock"), f"{path} is being written by another process; wait until it is done", 30.0)


def write_directory(path: Path | str, contents: Mapping[str, bytes]) -> None:
    """Write a directory of files so that it is there whole, or is as it was before.

    `contents` maps relative names to bytes. What was in the directory before is replaced.
    """
    path = Path(path)
    with _swapping(path):
        _swap_in(path, contents)


def _swap_in(path: Path, contents: Mapping[str, bytes]) -> None:
    _put_right(path)
    new, old = _beside(path, "new"), _beside(path, "old")
    try:
        disk.mkdir(new)
        for name, data in contents.items():
            place = new / name
            if place.parent != new:
                disk.mkdir(place.parent)
            disk.write(place, data)
        for directory in {(new / name).parent for name in contents} | {new}:
            disk.settle(directory)
        if path.exists():
            disk.rename(path, old)
        disk.rename(new, path)
        disk.settle(path.parent)
        disk.remove(old)
    except OSError as error:
        with contextlib.suppress(OSError, MakarError):
            _put_right(path)
        raise _explained(error, path) from error


def recover(path: Path | str) -> None:
    """Put right what a crash within `write_directory` left: the old directory back in place, no leftovers."""
    path = Path(path)
    if any(_beside(path, word).exists() for word in ("new", "old")):
        with _swapping(path):
            _put_right(path)


def _put_right(path: Path) -> None:
    new, old = _beside(path, "new"), _beside(path, "old")
    if not path.exists() and old.exists():
        disk.rename(old, path)
    for leftover in (new, old):
        if leftover.exists():
            disk.remove(leftover)


def remove(path: Path | str) -> None:
    """Remove a file or a directory."""
    path = Path(path)
    try:
        disk.remove(path)
    except OSError as error:
        raise MakarError(f"{path} cannot be removed ({error.strerror or error})") from error
