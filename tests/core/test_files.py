"""Writing: the k-th operation fails, for every k; there is the old or the new, never a mixture. Reading: only files."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from makar.core import files
from makar.core.errors import MakarError


class Faulty(files.Disk):
    """Fails at operation k: once (an error that passes), or from then on (a crash, or a disk that is gone)."""

    def __init__(self, k: int, for_good: bool) -> None:
        self.inner, self.k, self.for_good, self.count = files.LocalDisk(), k, for_good, 0

    def _count(self) -> None:
        self.count += 1
        if self.count == self.k or (self.for_good and self.count > self.k):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def write(self, path: Path, data: bytes) -> None:
        self.count += 1
        if self.count == self.k or (self.for_good and self.count > self.k):
            if self.count == self.k:
                path.write_bytes(data[: len(data) // 2])  # torn
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.inner.write(path, data)

    def append(self, path: Path, data: bytes) -> None:
        self.count += 1
        if self.count >= self.k:
            with open(path, "ab") as file:
                file.write(data[: len(data) // 2])
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.inner.append(path, data)

    def truncate(self, path: Path, size: int) -> None:
        self._count()
        self.inner.truncate(path, size)

    def rename(self, source: Path, target: Path) -> None:
        self._count()
        self.inner.rename(source, target)

    def mkdir(self, path: Path) -> None:
        self._count()
        self.inner.mkdir(path)

    def remove(self, path: Path) -> None:
        self._count()
        self.inner.remove(path)

    def settle(self, directory: Path) -> None:
        self._count()
        self.inner.settle(directory)


def contents(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


def attempt(act: Callable[[], object]) -> bool:
    """Whether `act` was refused, in the sentence that it should be."""
    try:
        act()
    except MakarError as error:
        return "cannot be written" in str(error)
    return False


OLD = {"a.txt": b"old a" * 9, "deep/b.txt": b"old b" * 9}
NEW = {"a.txt": b"new a" * 9, "c.txt": b"new c" * 9}


@pytest.mark.parametrize("for_good", [False, True], ids=["error", "crash"])
@pytest.mark.parametrize("present", [False, True], ids=["fresh", "replace"])
def test_directory_is_old_or_new_for_every_failing_operation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, for_good: bool, present: bool
) -> None:
    k, outcomes = 0, set()
    while True:
        k += 1
        path = tmp_path / f"{k}" / "bundle"
        path.parent.mkdir()
        if present:
            files.write_directory(path, OLD)
        faulty = Faulty(k, for_good)
        with monkeypatch.context() as patch:
            patch.setattr(files, "disk", faulty)
            failed = attempt(lambda path=path: files.write_directory(path, NEW))  # type: ignore[misc]
        files.recover(path)
        found = contents(path) if path.exists() else None
        assert found in ((OLD if present else None), NEW)
        assert os.listdir(path.parent) in ([], ["bundle"]), "nothing is left behind"
        outcomes.add((failed, found == NEW))
        if faulty.count < k:
            break
    assert k >= 8
    assert (False, True) in outcomes
    assert (True, False) in outcomes


@pytest.mark.parametrize("for_good", [False, True], ids=["error", "crash"])
def test_file_is_old_or_new_for_every_failing_operation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, for_good: bool
) -> None:
    k = 0
    while True:
        k += 1
        path = tmp_path / f"{k}.json"
        files.write_text(path, "old")
        faulty = Faulty(k, for_good)
        with monkeypatch.context() as patch:
            patch.setattr(files, "disk", faulty)
            attempt(lambda path=path: files.write_text(path, "new and longer"))  # type: ignore[misc]
        assert path.read_text() in ("old", "new and longer")
        if faulty.count < k:
            assert path.read_text() == "new and longer"
            break
    assert k >= 4


def test_a_torn_line_is_cut_away_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log.jsonl"
    files.append_line(log, "one")
    with monkeypatch.context() as patch:
        patch.setattr(files, "disk", Faulty(2, True))
        with pytest.raises(MakarError):
            files.append_line(log, "torn in the middle")
    assert log.read_bytes() != b"one\n"
    files.append_line(log, "two")
    assert log.read_bytes() == b"one\ntwo\n"


LINES = ["three", "four" * 2000, "five"]


@pytest.mark.parametrize("for_good", [False, True], ids=["error", "crash"])
@pytest.mark.parametrize("before", [None, b"one\ntwo\n", b"one\ntwo\ntor"], ids=["fresh", "whole", "torn"])
def test_lines_are_appended_together_or_a_beginning_of_them_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, for_good: bool, before: bytes | None
) -> None:
    k = 0
    while True:
        k += 1
        log = tmp_path / f"{k}.jsonl"
        if before is not None:
            log.write_bytes(before)
        faulty = Faulty(k, for_good)
        with monkeypatch.context() as patch:
            patch.setattr(files, "disk", faulty)
            failed = attempt(lambda log=log: files.append_lines(log, LINES))  # type: ignore[misc]
        whole = b"one\ntwo\n" if before else b""
        assert (log.read_bytes() if log.exists() else b"").startswith(whole), "what was there is never lost"
        files.append_lines(log, [])
        after = (log.read_bytes() if log.exists() else b"").removeprefix(whole).decode().splitlines()
        assert after == LINES[: len(after)]
        assert failed or after == LINES
        if faulty.count < k:
            assert not failed
            break
    assert k >= 3


def test_lines_that_the_disk_refuses_leave_the_log_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(Faulty):
        """Takes half of what is appended, as a disk does that runs full; all else it can."""

        def append(self, path: Path, data: bytes) -> None:
            with open(path, "ab") as file:
                file.write(data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    log = tmp_path / "log.jsonl"
    files.append_lines(log, ["one"])
    monkeypatch.setattr(files, "disk", Full(10**9, False))
    with pytest.raises(MakarError, match="cannot be written"):
        files.append_lines(log, LINES)
    assert log.read_bytes() == b"one\n"


@pytest.mark.parametrize(
    ("data", "size", "line"),
    [
        (b"", 0, b""),
        (b"torn", 0, b""),
        (b"\n", 1, b""),
        (b"one\n", 4, b"one"),
        (b"one\ntwo\n", 8, b"two"),
        (b"one\ntwo\ntorn", 8, b"two"),
        (b"a\n" + b"x" * 100_000 + b"\n" + b"y" * 9000, 100_003, b"x" * 100_000),
        (b"x" * 4095 + b"\n" + b"y" * 4095 + b"\n", 8192, b"y" * 4095),
    ],
)
def test_the_last_line_is_found_from_the_end(tmp_path: Path, data: bytes, size: int, line: bytes) -> None:
    (tmp_path / "log").write_bytes(data)
    assert files.last_line(tmp_path / "log") == (size, line)


def test_a_lock_is_exclusive_and_comes_back(tmp_path: Path) -> None:
    with files.locked(tmp_path / "lock"), pytest.raises(MakarError, match="locked by another"):  # noqa: SIM117
        with files.locked(tmp_path / "lock", seconds=0.01):
            pass
    with files.locked(tmp_path / "lock", seconds=0.01):
        pass


def test_written_files_have_the_usual_mode(tmp_path: Path) -> None:
    files.write_text(tmp_path / "a", "x")
    (tmp_path / "b").write_text("x")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError):
        files.to_json({"x": float("nan")})


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    place, data = tmp_path / "a", bytes(range(256)) * 9000
    place.write_bytes(data)
    assert files.read(place, len(data)) == data
    with pytest.raises(MakarError, match="larger than"):
        files.read(place, len(data) - 1)
    place.write_bytes(b"")
    assert files.read(place, 0) == b""


def odd(place: Path) -> dict[str, Path]:
    """What is no file, or no small one, by kind."""
    (place / "file").write_text("x")
    (place / "a link").symlink_to(place / "file")
    (place / "broken").symlink_to(place / "nowhere")
    (place / "a folder").mkdir()
    os.mkfifo(place / "a pipe")
    with open(place / "larger", "wb") as file:
        file.truncate(1 << 40)  # sparse: no disk is used
    names = {name: place / name for name in ("a link", "broken", "a folder", "a pipe", "larger")}
    return names | {"a device": Path("/dev/zero"), "No such file": place / "nowhere", "too long": place / ("x" * 5000)}


@pytest.mark.parametrize("limit", [0, 1 << 20, 1 << 50])
def test_only_files_are_read(tmp_path: Path, limit: int) -> None:
    for kind, place in odd(tmp_path).items():
        if kind == "larger" and limit == 1 << 50:
            continue
        with pytest.raises(MakarError, match="a link" if kind == "broken" else kind):
            files.read(place, limit)


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_what_can_be_no_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(MakarError, match="cannot be the name"):
        files.read(tmp_path / name, 9)


def test_a_file_that_becomes_a_pipe_does_not_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, look = tmp_path / "a", os.lstat
    place.write_text("x")

    def swapped(path: Path) -> os.stat_result:
        status = look(path)
        place.unlink()
        os.mkfifo(place)
        return status

    monkeypatch.setattr(os, "lstat", swapped)
    with pytest.raises(MakarError, match="a pipe"):
        files.read(place, 9)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="the system has no such files")
def test_files_without_a_size_or_that_fail_are_no_crash() -> None:
    assert files.read("/proc/self/status", 1 << 20)
    with pytest.raises(MakarError, match=r"cannot be read|larger"):
        files.read("/proc/self/mem", 9)


def test_two_processes_that_write_one_directory_leave_one_of_both_whole(tmp_path: Path) -> None:
    """Each writes many times at once with the other: never a mixture, no error, nothing left beside it."""
    words = (
        "import sys; from makar.core import files\n"
        "for _ in range(25): files.write_directory(sys.argv[1], {f'{k}.txt': sys.argv[2].encode() for k in range(6)})"
    )
    place = tmp_path / "m"
    running = [subprocess.Popen([sys.executable, "-c", words, str(place), word]) for word in ("one", "two")]
    assert [process.wait(timeout=120) for process in running] == [0, 0]
    held = {path.read_text() for path in place.iterdir()}
    assert len(held) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m"]


def test_a_claim_keeps_others_out_and_goes_with_its_holder(tmp_path: Path) -> None:
    claim = tmp_path / ".m.training"
    with files.claimed(claim, "taken"):
        with pytest.raises(MakarError, match=r"^taken$"), files.claimed(claim, "taken"):
            pass
        assert claim.exists(), "who was refused takes nothing away"
    assert not claim.exists()
    claim.touch()  # left by a process that was killed
    with files.claimed(claim, "taken"):
        pass
    assert not claim.exists()
