"""Writing: the k-th operation fails, for every k; there is the old or the new, never a mixture."""

from __future__ import annotations

import errno
import os
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


def test_written_files_have_the_usual_mode(tmp_path: Path) -> None:
    files.write_text(tmp_path / "a", "x")
    (tmp_path / "b").write_text("x")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError):
        files.to_json({"x": float("nan")})
