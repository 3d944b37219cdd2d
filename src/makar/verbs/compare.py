"""Compare: every family that fits the data, on the same split, budget, seeds and metrics.

    conditions ─► protocol.json        cell = (family, seed) ─own process─► one line of results.jsonl ─► summary.json

A comparison that was stopped or killed goes on where it was when it is called again; families and seeds can be added to
it, other conditions are refused. Cells run through any `concurrent.futures.Executor`.
"""

from __future__ import annotations

import fcntl
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from makar.core import files, registry
from makar.core.errors import MakarError, did_you_mean
from makar.core.spaces import Columns, Levels, Reals, Tokens
from makar.data import load as load_data
from makar.data import rights
from makar.verbs._isolate import COMMAND, PILOT, Task, run, try_out
from makar.verbs.budget import Budget
from makar.verbs.chain import Chain
from makar.verbs.forecast import forecast
from makar.verbs.permit import permit
from makar.verbs.probe import probe
from makar.verbs.protocol import ANCHORS, PROTOCOL, RESULTS, Cell, Data, Protocol, libraries, read_results
from makar.verbs.score import enough
from makar.verbs.summary import Summary, summarise

SUMMARY = "summary.json"
_LOCK = ".lock"
_STOP = ".stop"
_SCORING = 30.0  # CPU seconds to score a cell at least
_SPACES: dict[str, type[Any]] = {"pictures": Levels, "text": Tokens, "rows": Columns, "points": Reals}


class Watch(ABC):
    """Is told how a comparison goes; see `makar.apps.table` for the terminal's."""

    def trying(self, protocol: Protocol) -> None:
        """Before the families are tried for a moment each, to see what they will cost."""
        return

    @abstractmethod
    def begin(self, protocol: Protocol, cells: int, done: int, workers: int, seconds: float | None) -> None:
        """Before the first cell: how many there are, how many are done, and wall seconds that the rest will take."""

    @abstractmethod
    def finished(self, cell: Cell) -> None:
        """After every cell."""

    @abstractmethod
    def end(self, complete: bool) -> None:
        """After the last one, or when it was stopped."""


class Quiet(Watch):
    """Says nothing."""

    def begin(self, protocol: Protocol, cells: int, done: int, workers: int, seconds: float | None) -> None:
        pass

    def finished(self, cell: Cell) -> None:
        pass

    def end(self, complete: bool) -> None:
        pass


def compare(
    spec: str,
    families: str | Sequence[str] = "all",
    budget: str = "20s",
    seeds: int = 3,
    out: Path | str = "comparison",
    *,
    workers: int = 2,
    n: int | None = None,
    options: dict[str, Any] | None = None,
    timeout: float | None = None,
    price: float | None = None,
    scoring: str | None = None,
    executor: Executor | None = None,
    watch: Watch | None = None,
    retry: bool = False,
) -> Summary:
    """Compare `families` ("all", names, or names with commas) on the data that `spec` names; results go to `out`.

    `n` things of each model are scored, by default 1000, of rows up to 4000 and of long texts 100. With `retry`,
    cells of an earlier call that did not come to an end are tried again. `scoring` is the budget in which one cell
    is drawn from and scored, by default twice a training's. `timeout` is in wall seconds a cell; `price` is money
    per CPU hour, and without one no costs are shown. Families that would get too few steps, or need too much
    memory, are left out.
    Raises MakarError for a family that does not fit, and where `out` holds a comparison under other conditions.
    """
    protocol = plan(spec, families, budget, seeds, n=n, options=options, timeout=timeout, price=price, scoring=scoring)
    protocol = foresee(protocol, Path(out), workers=workers, watch=watch)
    return carry_out(protocol, Path(out), workers=workers, executor=executor, watch=watch, retry=retry)


def plan(
    spec: str,
    families: str | Sequence[str] = "all",
    budget: str = "20s",
    seeds: int = 3,
    *,
    n: int | None = None,
    options: dict[str, Any] | None = None,
    timeout: float | None = None,
    price: float | None = None,
    scoring: str | None = None,
) -> Protocol:
    """The conditions of a comparison, and which cells it has. Loads the data and probes the machine."""
    limit = Budget.parse(budget, price)
    given = dict(options or {})
    dataset = load_data(spec, **given)
    rights.require_trainable(dataset.manifest)
    permit(Chain.here(), "train", dataset.manifest)
    n = enough(dataset) if n is None else n
    if seeds < 1 or n < 2:
        raise MakarError(f"a comparison needs at least one seed and two generated items, not {seeds} and {n}")
    spent = Budget.parse(scoring).cpu if scoring else max(_SCORING, 2.0 * (limit.cpu or limit.wall or 0.0))
    if spent is None:
        raise MakarError(f"the scoring's budget is CPU seconds, such as 60s, not '{scoring}'")
    return Protocol(
        data=Data.of(spec, given, dataset.manifest),
        families=choose(families, dataset.modality),
        seeds=tuple(range(seeds)),
        budget=budget,
        n=n,
        scoring=spent,
        timeout=timeout or 10.0 * (limit.cpu or limit.wall or 60.0) + 5.0 * spent + 300.0,
        price=price,
        machine=probe(),
        libraries=libraries(),
    )


def choose(families: str | Sequence[str], modality: str) -> tuple[str, ...]:
    """Names of families that are written for the space of this modality. Raises MakarError for one that is not."""
    space = _SPACES.get(modality)
    if space is None:
        raise MakarError(f"the modality '{modality}' is not known{did_you_mean(modality, _SPACES)}")
    fitting = tuple(name for name in registry.modules("families") if space in registry.load("families", name).spaces)
    if families == "all":
        return fitting
    names = [name.strip() for name in families.split(",")] if isinstance(families, str) else list(families)
    for name in names:
        registry.load("families", name)  # the sentence for a name that is not there is the registry's
        if name not in fitting:
            raise MakarError(f"'{name}' is not written for {modality}; these are: {', '.join(fitting)}")
    if not names:
        raise MakarError(f"no family was named; for {modality} there is: {', '.join(fitting)}")
    return tuple(dict.fromkeys(names))


def foresee(protocol: Protocol, out: Path, *, workers: int = 2, watch: Watch | None = None) -> Protocol:
    """The protocol with what each family was seen to cost; those that cannot do with the budget are left out.

    Families that `out` has results of, or that were tried there before, are not tried again. The anchors are made
    meanwhile and kept. A trial that fails as a whole is no reason not to race: then nothing is foreseen.
    """
    with _alone(out):
        old = _join(protocol, out)
        known = {trial.family for trial in old.trials} | {c.family for c in read_results(out, old) if c.kind == "cell"}
        new = tuple(family for family in protocol.families if family not in known)
        if not new:
            return old
        (watch or Quiet()).trying(protocol)
        text = protocol.model_copy(update={"families": new}).model_dump_json()
        found = try_out(Task(text, ANCHORS, workers, protocol.timeout, str(out.resolve() / _STOP), PILOT))
        if found is None:
            return protocol
        protocol = protocol.model_copy(
            update={"trials": (*old.trials, *found.trials), "overhead": found.overhead or old.overhead}
        )
        protocol.write(out)
        if not any(c.kind == "anchor" for c in read_results(out, protocol)):
            for cell in found.cells:
                files.append_line(
                    out / RESULTS, cell.model_copy(update={"protocol": protocol.digest}).model_dump_json()
                )
        return protocol


def carry_out(
    protocol: Protocol,
    out: Path,
    *,
    workers: int = 2,
    executor: Executor | None = None,
    watch: Watch | None = None,
    command: tuple[str, ...] = COMMAND,
    retry: bool = False,
) -> Summary:
    """Make the cells that `out` does not have yet, and with `retry` those that failed.

    Ctrl-C ends what is running and keeps what is finished.
    """
    watch = watch or Quiet()
    with _alone(out):
        protocol = _join(protocol, out)
        protocol.write(out)
        done = {(c.family, c.seed) for c in read_results(out, protocol) if c.status == "ok" or not retry}
        wanted = [(family, seed) for seed in protocol.seeds for family in protocol.racing]
        left = [cell for cell in wanted if cell not in done]
        if ("floor", 0) not in done:
            left.insert(0, (ANCHORS, 0))
        text, stop = protocol.model_dump_json(), str(out.resolve() / _STOP)
        tasks = [Task(text, family, seed, protocol.timeout, stop, command) for family, seed in left]
        undone = [cell for cell in left if cell in wanted]
        seconds = forecast(protocol, Counter(family for family, _ in undone), workers)
        watch.begin(protocol, len(wanted), len(wanted) - len(undone), workers, seconds)
        if executor is not None:
            complete = _make(tasks, executor, out, watch) and _anchor_the_slow(protocol, command, executor, out, watch)
        else:
            with ThreadPoolExecutor(max_workers=max(1, workers)) as own:
                complete = _make(tasks, own, out, watch) and _anchor_the_slow(protocol, command, own, out, watch)
        summary = summarise(protocol, read_results(out, protocol), interrupted=not complete)
        files.write_json(out / SUMMARY, summary.model_dump(mode="json"))
        watch.end(complete)
        return summary


def _join(protocol: Protocol, out: Path) -> Protocol:
    """The protocol with the families and seeds that the folder already has; other conditions are refused."""
    if not (out / PROTOCOL).exists():
        if (out / RESULTS).exists():
            raise MakarError(f"{out} holds results without a protocol; give another folder with --out")
        return protocol
    old = Protocol.read(out / PROTOCOL)
    if old.digest != protocol.digest:
        raise MakarError(
            f"{out} holds a comparison under other conditions: {old.differences(protocol)}; "
            "give another folder with --out"
        )
    return protocol.model_copy(
        update={
            "trials": protocol.trials or old.trials,
            "overhead": protocol.overhead or old.overhead,
            "families": tuple(dict.fromkeys([*old.families, *protocol.families])),
            "seeds": tuple(sorted({*old.seeds, *protocol.seeds})),
        }
    )


def _make(tasks: Sequence[Task], executor: Executor, out: Path, watch: Watch) -> bool:
    """Run the tasks and append every record as it comes. Returns whether all were made."""
    futures: dict[Future[list[Cell]], Task] = {executor.submit(run, task): task for task in tasks}
    kept: set[Future[list[Cell]]] = set()
    try:
        for future in as_completed(futures):
            cells = _keep(future, futures[future], out)
            kept.add(future)
            for cell in cells:
                watch.finished(cell)
    except KeyboardInterrupt:
        (out / _STOP).touch()
        for future in reversed(futures):  # the last first, so that none begins while others are called off
            if not future.cancel() and future not in kept:
                _keep(future, futures[future], out)
        return False
    return True


def _anchor_the_slow(protocol: Protocol, command: tuple[str, ...], executor: Executor, out: Path, watch: Watch) -> bool:
    """Floor and ceiling at the numbers of items that slow families were scored on, where they are not there yet."""
    cells = read_results(out, protocol)
    wanted = {c.drawn for c in cells if c.kind == "cell" and c.drawn and c.drawn != protocol.n}
    wanted -= {c.seed for c in cells if c.kind == "anchor"}
    text, stop = protocol.model_dump_json(), str(out.resolve() / _STOP)
    return _make(
        [Task(text, ANCHORS, n, protocol.timeout, stop, command) for n in sorted(wanted)], executor, out, watch
    )


def _keep(future: Future[list[Cell]], task: Task, out: Path) -> list[Cell]:
    """Append what a task has made. A task lost by its executor (a worker that died) is a crashed cell."""
    error = future.exception()
    if error is None:
        cells = future.result()
    else:
        digest = Protocol.model_validate_json(task.protocol).digest
        reason = f"the executor lost it: {type(error).__name__}: {error}"
        cells = [Cell(family=task.family, seed=task.seed, status="crashed", reason=reason, protocol=digest)]
    for cell in cells:
        files.append_line(out / RESULTS, cell.model_dump_json())
    return cells


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Hold the folder's lock, which the system lets go of when the process ends, however it does."""
    out.mkdir(parents=True, exist_ok=True)
    with open(out / _LOCK, "wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise MakarError(f"another comparison is writing to {out}; wait for it or give another --out") from None
        (out / _STOP).unlink(missing_ok=True)
        yield
        (out / _STOP).unlink(missing_ok=True)
