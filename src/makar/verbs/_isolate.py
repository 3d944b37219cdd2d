"""One cell of a comparison in a process of its own.

Whatever a cell does (raise, be killed for memory, never return), it becomes a record with a reason, and the other
cells go on. The process is given one thread; its CPU seconds come from `wait4`. Its peak memory is read from the
process's own high-water mark: the maximum in `wait4`'s usage also counts the parent's pages between fork and exec,
which here reported 980 MiB for a child that held 9.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from pydantic import ValidationError

from makar.verbs.protocol import ANCHORS, Cell, Protocol, Record, Status, Trial

COMMAND = (sys.executable, "-m", "makar.verbs.cell")
PILOT = (sys.executable, "-m", "makar.verbs.pilot")
_POLL = 0.05  # seconds between looks at the process
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True)
class Task:
    """A cell to be made. It can be pickled, and needs nothing but the data on the machine where it runs."""

    protocol: str  # as JSON
    family: str
    seed: int
    timeout: float  # wall seconds
    stop: str  # a file; once it exists, the cell is ended and makes no record
    command: tuple[str, ...] = COMMAND


@dataclass(frozen=True)
class _End:
    """How a process ended."""

    code: int  # as subprocess gives it: negative for a signal
    cause: str  # "", "timeout" or "stopped"
    seconds: float
    cpu_seconds: float
    peak_mib: float | None


def run(task: Task) -> list[Cell]:
    """The records of one task: one for a cell, one for each anchor, none if it was stopped. Never raises for a cell."""
    with tempfile.TemporaryDirectory(prefix="makar-cell-") as name:
        folder = Path(name)
        (folder / "protocol.json").write_text(task.protocol, encoding="utf-8")
        with open(folder / "log", "wb") as log:
            end = _execute(task, folder, log)
        if end.cause == "stopped":
            return []
        said = _read(folder / "out.jsonl") if end.code == 0 else []
        tail = (folder / "log").read_bytes()[-8000:].decode("utf-8", "replace")
    process = {"seconds": round(end.seconds, 3), "cpu_seconds": round(end.cpu_seconds, 3)}
    digest = Protocol.model_validate_json(task.protocol).digest
    if not said:
        status, reason = _explain(end, task.timeout, tail)
        kind: Literal["cell", "anchor"] = "anchor" if task.family == ANCHORS else "cell"
        said = [Cell(kind=kind, family=task.family, seed=task.seed, status=status, reason=reason)]
    update: dict[str, Any] = {"process": process, "protocol": digest}
    return [cell.model_copy(update=update | {"peak_mib": cell.peak_mib or end.peak_mib}) for cell in said]


class Found(Record):
    """What a pilot has found."""

    trials: tuple[Trial, ...]
    overhead: float | None
    cells: tuple[Cell, ...]


def try_out(task: Task) -> Found | None:
    """What the pilot found, whose workers are the task's seed; None where it did not come to an end."""
    with tempfile.TemporaryDirectory(prefix="makar-pilot-") as name:
        folder = Path(name)
        (folder / "protocol.json").write_text(task.protocol, encoding="utf-8")
        with open(folder / "log", "wb") as log:
            end = _execute(task, folder, log)
        if end.cause or end.code:
            return None
        return Found.model_validate_json((folder / "out.jsonl").read_bytes())


def _execute(task: Task, folder: Path, log: IO[bytes]) -> _End:
    """Start the process and see it to its end."""
    arguments = [str(folder / "protocol.json"), task.family, str(task.seed), str(folder / "out.jsonl")]
    start = time.perf_counter()
    # The child reads its standard input and leaves when it closes: nothing outlives a parent that was killed.
    process = subprocess.Popen(
        [*task.command, *arguments],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=os.environ | dict.fromkeys(_THREADS, "1"),
        start_new_session=True,
    )
    cause, peak = "", None
    while True:
        peak = _high_water(process.pid) or peak
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        late = time.perf_counter() - start > task.timeout
        if late or os.path.exists(task.stop):
            cause = "timeout" if late else "stopped"
            os.killpg(process.pid, signal.SIGKILL)
            _, status, usage = os.wait4(process.pid, 0)
            break
        time.sleep(_POLL)
    process.returncode = os.waitstatus_to_exitcode(status)  # so that Popen does not wait for it again
    if process.stdin is not None:
        process.stdin.close()
    seconds = time.perf_counter() - start
    return _End(process.returncode, cause, seconds, usage.ru_utime + usage.ru_stime, peak)


def _high_water(pid: int) -> float | None:
    """Most memory in MiB that a process has held so far, where the system tells."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return round(int(found[0]) / 1024, 1) if found else None


def _read(path: Path) -> list[Cell]:
    """What the process wrote; nothing where that is not there or not whole."""
    if not path.exists():
        return []
    try:
        return [Cell.model_validate_json(line) for line in path.read_bytes().splitlines() if line.strip()]
    except ValidationError:
        return []


def _explain(end: _End, timeout: float, tail: str) -> tuple[Status, str]:
    """Status and reason of a process that left no record."""
    last = next((line.strip() for line in reversed(tail.splitlines()) if line.strip()), "")
    if end.cause == "timeout":
        return "timeout", f"it had not finished after {timeout:g} s and was ended"
    if end.code < 0:
        hint = "; the system may have run out of memory" if end.code == -signal.SIGKILL else ""
        return "crashed", f"the process was killed by {signal.Signals(-end.code).name}{hint}"
    if "Traceback (most recent call last)" in tail:
        return "failed", last[:300]
    if end.code == 0:
        return "crashed", "the process ended without a result"
    return "crashed", f"the process ended with exit code {end.code}" + (f": {last[:200]}" if last else "")
