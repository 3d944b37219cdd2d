"""A comparison survives whatever its cells do, goes on where it was, and says what it measured honestly."""

from __future__ import annotations

import base64
import io
import json
import pickle
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import makar
from makar.core import registry
from makar.core.errors import MakarError
from makar.core.spaces import Columns
from makar.verbs import _isolate
from makar.verbs.cell import affordable, bound, in_turn, preview, thin
from makar.verbs.compare import Watch, carry_out, choose, foresee, plan
from makar.verbs.forecast import forecast
from makar.verbs.pilot import judge
from makar.verbs.protocol import RESULTS, Cell, Protocol, Trial, read_results
from makar.verbs.train import encode, fit
from tests.verbs import made_up

# A cell that does what its family's name says, at once and without importing anything of ours.
_CELL = """
import json, os, signal, sys, time
log, protocol, family, seed, out = sys.argv[1:]
open(log, "a").write(f"{family} {seed}\\n")
kind = "anchor" if family == "anchors" else "cell"
def write(**more):
    name = "floor" if kind == "anchor" else family
    open(out, "w").write(json.dumps({"kind": kind, "family": name, "seed": int(seed)} | more) + "\\n")
if kind == "anchor" and os.path.exists(log + ".no-anchors"): sys.exit("no anchors today")
if family == "raises": raise ValueError("three is not a number")
if family == "exits": os._exit(7)
if family == "killed": os.kill(os.getpid(), signal.SIGKILL)
if family == "hangs":
    while os.read(0, 1): pass  # as a real cell does, it leaves when its parent is gone
    sys.exit(3)
if family == "silent": sys.exit(0)
if family == "garbage": open(out, "w").write("{not json"); sys.exit(0)
if family == "hungry": held = b"x" * (48 * 2**20); time.sleep(0.4)
if family == "busy":
    while time.process_time() < 0.3: pass
if family == "slow": write(drawn=250, scores={"fd[x]@1/2": {"value": 0.5}}); sys.exit(0)
write(scores={"fd[x]@2/2": {"value": 0.5, "low": 0.4, "high": 0.6, "n": 2, "higher_is_better": False}})
"""


class Told(Watch):
    """Remembers what it was told, and may interrupt at the first cell."""

    def __init__(self, interrupt: bool = False) -> None:
        self.begun: list[tuple[int, int]] = []
        self.cells: list[Cell] = []
        self.complete: bool | None = None
        self._interrupt = interrupt

    def begin(self, protocol: Protocol, cells: int, done: int, workers: int, seconds: float | None) -> None:
        self.begun.append((cells, done))

    def finished(self, cell: Cell) -> None:
        self.cells.append(cell)
        if self._interrupt:
            raise KeyboardInterrupt

    def end(self, complete: bool) -> None:
        self.complete = complete


class Inline(Executor):
    """Does everything at once, after sending it through pickle as a cluster would."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        sent, given = pickle.loads(pickle.dumps((fn, args)))
        future.set_result(sent(*given))
        return future


class Losing(Executor):
    """Loses whatever it is given."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_exception(RuntimeError("the worker is gone"))
        return future


@pytest.fixture
def command(tmp_path: Path) -> tuple[str, ...]:
    script = tmp_path / "cell.py"
    script.write_text(_CELL)
    return (sys.executable, "-S", "-E", str(script), str(tmp_path / "log"))


def run(out: Path, command: tuple[str, ...], *families: str, seeds: int = 1, **changes: Any) -> dict[str, Cell]:
    """Carry out a comparison and return its cells by family and seed."""
    watch = changes.pop("watch", None)
    executor = changes.pop("executor", None)
    protocol = made_up.protocol(families=families, seeds=tuple(range(seeds)), **changes)
    carry_out(protocol, out, workers=2, command=command, watch=watch, executor=executor)
    return {f"{c.family} {c.seed}": c for c in read_results(out, protocol)}


def lines(command: tuple[str, ...]) -> list[str]:
    return Path(command[-1]).read_text().split("\n")[:-1]


def test_every_way_to_fail_is_one_marked_cell_and_the_others_go_on(tmp_path: Path, command: tuple[str, ...]) -> None:
    families = ("good", "raises", "exits", "killed", "hangs", "silent", "garbage")
    cells = run(tmp_path / "out", command, *families, timeout=1.5)
    said = {name: (cells[f"{name} 0"].status, cells[f"{name} 0"].reason) for name in families}
    assert said == {
        "good": ("ok", ""),
        "raises": ("failed", "ValueError: three is not a number"),
        "exits": ("crashed", "the process ended with exit code 7"),
        "killed": ("crashed", "the process was killed by SIGKILL; the system may have run out of memory"),
        "hangs": ("timeout", "it had not finished after 1.5 s and was ended"),
        "silent": ("crashed", "the process ended without a result"),
        "garbage": ("crashed", "the process ended without a result"),
    }
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert {f["family"] for f in summary["families"] if f["verdict"] == "failed"} == set(families) - {"good"}


def test_it_goes_on_where_it_was_and_can_be_added_to(tmp_path: Path, command: tuple[str, ...]) -> None:
    out = tmp_path / "out"
    run(out, command, "a", "b")
    assert sorted(lines(command)) == ["a 0", "anchors 0", "b 0"]
    told = Told()
    run(out, command, "b", "c", seeds=2, watch=told)
    # the families and seeds that were there stay, so the union of both is filled
    assert sorted(lines(command)[3:]) == ["a 1", "b 1", "c 0", "c 1"]
    assert told.begun == [(6, 2)]
    assert told.complete
    assert len((out / RESULTS).read_text().splitlines()) == 7
    assert Protocol.read(out / "protocol.json").families == ("a", "b", "c")


def test_anchors_that_failed_are_tried_again(tmp_path: Path, command: tuple[str, ...]) -> None:
    out, obstacle = tmp_path / "out", Path(command[-1] + ".no-anchors")
    obstacle.touch()
    cells = run(out, command, "a")
    assert (cells["anchors 0"].kind, cells["anchors 0"].status) == ("anchor", "crashed")
    assert cells["anchors 0"].reason == "the process ended with exit code 1: no anchors today"
    assert json.loads((out / "summary.json").read_text())["complete"], "the trainings are all there"
    obstacle.unlink()
    assert set(run(out, command, "a")) == {"a 0", "floor 0"}
    assert lines(command).count("a 0") == 1


def test_what_failed_is_tried_again_only_when_asked(tmp_path: Path, command: tuple[str, ...]) -> None:
    out = tmp_path / "out"
    run(out, command, "a", "raises")
    run(out, command, "a", "raises")
    assert sorted(lines(command)) == ["a 0", "anchors 0", "raises 0"]
    told = Told()
    protocol = made_up.protocol(families=("a", "raises"), seeds=(0,))
    carry_out(protocol, out, workers=1, command=command, retry=True, watch=told)
    assert lines(command)[3:] == ["raises 0"]
    assert told.begun == [(2, 1)]
    assert [c.family for c in read_results(out, protocol) if c.kind == "cell"] == ["a", "raises"]


def test_a_torn_last_line_is_made_again_and_no_other(tmp_path: Path, command: tuple[str, ...]) -> None:
    out = tmp_path / "out"
    run(out, command, "a")
    results = out / RESULTS
    whole = results.read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    torn = json.loads(last)
    for cut in (1, len(last) // 2, len(last) - 1):
        results.write_bytes(whole[: len(whole) - len(last) + cut])
        cells = run(out, command, "a")
        assert set(cells) == {"a 0", "floor 0"}
        assert all(json.loads(line) for line in results.read_text().splitlines())
        again = lines(command)[-1]
        assert again == ("anchors 0" if torn["kind"] == "anchor" else "a 0")
        whole = results.read_bytes()
        last = whole.splitlines(keepends=True)[-1]
        torn = json.loads(last)


def test_a_broken_line_within_is_named(tmp_path: Path, command: tuple[str, ...]) -> None:
    run(tmp_path, command, "a")
    results = tmp_path / RESULTS
    results.write_bytes(b"{]\n" + results.read_bytes())
    with pytest.raises(MakarError, match="line 1 cannot be read"):
        run(tmp_path, command, "a")


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"budget": "5s"}, r"budget \(20s and 5s\)"),
        ({"n": 500}, r"n \(1000 and 500\)"),
        ({"libraries": {}}, "libraries"),
    ],
)
def test_other_conditions_are_refused_in_one_sentence(
    tmp_path: Path, command: tuple[str, ...], change: dict[str, Any], names: str
) -> None:
    run(tmp_path / "out", command, "a")
    before = (tmp_path / "out" / RESULTS).read_bytes()
    with pytest.raises(MakarError, match=f"other conditions: {names}.*another folder"):
        run(tmp_path / "out", command, "a", **change)
    assert (tmp_path / "out" / RESULTS).read_bytes() == before


def test_what_does_not_change_a_score_does_not_change_the_conditions() -> None:
    one = made_up.protocol()
    probed = one.machine.model_copy(update={"fp32_gflops": 1.0, "copy_gbs": 2.0})
    other = made_up.protocol(machine=probed, timeout=1.0, families=("vae",), seeds=(4,), price=3.0)
    assert one.digest == other.digest
    data = one.data.model_copy(update={"digest": "1e" * 32})
    assert one.digest != made_up.protocol(data=data).digest


def test_two_comparisons_do_not_share_a_folder(tmp_path: Path, command: tuple[str, ...]) -> None:
    class Second(Told):
        def finished(self, cell: Cell) -> None:
            with pytest.raises(MakarError, match="another comparison is writing"):
                run(tmp_path / "out", command, "b")
            super().finished(cell)

    told = Second()
    run(tmp_path / "out", command, "a", watch=told)
    assert [cell.family for cell in told.cells if cell.kind == "cell"] == ["a"]


def test_an_interrupt_ends_what_runs_and_keeps_what_is_finished(tmp_path: Path, command: tuple[str, ...]) -> None:
    told = Told(interrupt=True)
    start = time.monotonic()
    cells = run(tmp_path, command, "hangs", "a", "hangs2", seeds=2, watch=told)
    assert time.monotonic() - start < 20.0  # a hanging cell would wait for as long as its parent lives
    assert told.complete is False
    assert "hangs 0" not in cells, "an interrupted cell leaves no record, so that it is made again"
    assert len(cells) >= 1
    assert not (tmp_path / ".stop").exists()
    assert not json.loads((tmp_path / "summary.json").read_text())["complete"]
    first = Told()
    run(tmp_path, command, "hangs", "a", "hangs2", seeds=2, watch=first, timeout=1.0)
    assert first.complete


def test_a_comparison_killed_outright_goes_on_where_it_was(tmp_path: Path, command: tuple[str, ...]) -> None:
    out = tmp_path / "out"
    protocol = made_up.protocol(families=("a", "hangs", "b"), seeds=(0,), timeout=1.0)
    code = (
        "import sys; from pathlib import Path; from makar.verbs.compare import carry_out; "
        "from makar.verbs.protocol import Protocol; "
        "given = Protocol.model_validate_json(sys.argv[1]); "
        "carry_out(given, Path(sys.argv[2]), workers=1, command=tuple(sys.argv[3:]))"
    )
    patient = protocol.model_copy(update={"timeout": 600.0}).model_dump_json()
    process = subprocess.Popen([sys.executable, "-c", code, patient, str(out), *command])
    deadline = time.monotonic() + 120.0
    results = out / RESULTS
    while not (results.exists() and results.read_bytes().count(b"\n") == 2 and "hangs 0" in lines(command)):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert lines(command) == ["anchors 0", "a 0", "hangs 0"]
    carry_out(protocol, out, workers=1, command=command)
    assert lines(command) == ["anchors 0", "a 0", "hangs 0", "hangs 0", "b 0"]
    status = {cell.family: cell.status for cell in read_results(out, protocol)}
    assert status == {"floor": "ok", "a": "ok", "hangs": "timeout", "b": "ok"}


def test_memory_and_time_are_the_childs_own(tmp_path: Path, command: tuple[str, ...]) -> None:
    cells = run(tmp_path, command, "hungry", "busy")
    own = Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]
    peak = cells["hungry 0"].peak_mib
    assert peak is not None
    assert 48 <= peak < 100
    assert int(own) / 1024 > 100, "the parent must be larger than the child for this to show anything"
    assert 0.25 <= cells["busy 0"].process["cpu_seconds"] < 2.0
    assert cells["busy 0"].process["seconds"] >= 0.25


def test_any_executor_will_do(tmp_path: Path, command: tuple[str, ...]) -> None:
    cells = run(tmp_path / "inline", command, "a", "raises", executor=Inline())
    assert {name: cell.status for name, cell in cells.items()} == {"floor 0": "ok", "a 0": "ok", "raises 0": "failed"}
    lost = run(tmp_path / "lost", command, "a", executor=Losing())
    assert lost["a 0"].status == "crashed"
    assert "the worker is gone" in lost["a 0"].reason


def test_a_cell_leaves_with_its_parent() -> None:
    code = "from makar.verbs.cell import leave_with_parent; leave_with_parent()"
    ended = subprocess.run([sys.executable, "-c", code], stdin=subprocess.DEVNULL, check=False, timeout=120)
    assert ended.returncode == 3


def test_families_are_chosen_by_what_they_are_written_for() -> None:
    for_text, for_pictures = choose("all", "text"), choose("all", "pictures")
    assert "ngram" in for_text
    assert "gaussian" in for_pictures
    assert set(for_text) | set(for_pictures) <= set(registry.modules("families"))
    assert choose("gaussian, gaussian", "pictures") == ("gaussian",)
    with pytest.raises(MakarError, match="'gaussian' is not written for text; these are: "):
        choose("gaussian", "text")
    with pytest.raises(MakarError, match="did you mean 'gaussian'"):
        choose("gausian", "pictures")


def trial(family: str, **changes: Any) -> Trial:
    given: dict[str, Any] = {"family": family, "training": 20.0, "steps": 400, "tile": 0.1, "nats": 0.01}
    return Trial(**(given | changes))


def test_the_cost_is_said_beforehand() -> None:
    """Overhead + training + drawing (32 tiles of 0.1 s, 20 single items, 2 for the preview) + 500 likelihoods."""
    protocol = made_up.protocol(trials=(trial("vae"), trial("gan", training=1.0)), overhead=10.0, scoring=60.0)
    each = 10.0 + 20.0 + 0.1 * (32 + 30 + 2) + 5.0
    assert forecast(protocol, {"vae": 4}, 2) == pytest.approx(2 * each)
    assert forecast(protocol, {"vae": 1, "gan": 1}, 2) == pytest.approx(max(each, each - 9.5))
    assert forecast(protocol, {"vae": 1, "hmm": 1}, 2) is None, "a family that was not tried is not guessed"
    assert forecast(protocol, {"vae": 0}, 2) == 0.0


def test_a_slow_family_is_forecast_within_the_scoring_s_budget() -> None:
    slow = made_up.protocol(trials=(trial("vae", tile=4.0, nats=10.0),), overhead=0.0, scoring=60.0)
    # 7 tiles are paid for, so 125 items in 4 tiles, 2 single ones and a preview; a quarter of the budget to read
    assert forecast(slow, {"vae": 1}, 1) == pytest.approx(20.0 + 4.0 * (4 + 2 + 2) + 15.0)
    unknown = made_up.protocol(trials=(trial("vae", tile=None, nats=None),), overhead=0.0, scoring=60.0)
    assert forecast(unknown, {"vae": 1}, 1) == pytest.approx(20.0 + 30.0)


@pytest.mark.parametrize(
    ("tile", "n"), [(0.1, 1000), (0.9, 1000), (1.0, 500), (1.9, 250), (7.0, 125), (15.0, 62), (20.0, 0)]
)
def test_scoring_rests_on_as_many_items_as_its_budget_pays_for(tile: float, n: int) -> None:
    assert affordable(made_up.protocol(n=1000, scoring=60.0), tile) == n


def notes(steps: Sequence[float], **facts: Any) -> list[dict[str, Any]]:
    return [{"descends": True, "flops": 1e9}, *({"step": s, "done": False} for s in steps), facts]


@pytest.mark.parametrize(
    ("said", "steps", "training", "refused"),
    [
        (notes([0.5, 0.1, 0.11, 0.1], tile=0.2, nats=0.01), 195, 20.0, ""),
        (notes([2.0, 0.8], peak_mib=300.0), 23, 20.0, r"23 steps in 20 CPU seconds.*--budget 44s"),
        (notes([], code=-24), 6, 20.0, r"6 steps in 20 CPU seconds.*--budget 170s"),
        ([{"descends": False, "flops": 1.0}, {"step": 1.5, "done": True}], None, 1.5, ""),
        ([{"descends": False, "flops": 1.0}, {"code": -24}], None, 20.0, ""),
        ([{"memory": True}], None, 20.0, r"more than 4 GiB"),
        ([{"refused": "the family 'x' is for Reals"}], None, 20.0, "is for Reals"),
        ([{"failed": "ValueError: a bug"}], None, 20.0, ""),
    ],
)
def test_what_a_trial_comes_to(said: list[dict[str, Any]], steps: int | None, training: float, refused: str) -> None:
    """A family is left out only for a reason that one can act on; what was not seen is reckoned at its whole budget."""
    found = judge(made_up.protocol(budget="20s"), "vae", said)
    assert found.steps == steps
    assert found.training == pytest.approx(training)
    assert re.search(refused, found.refused) if refused else not found.refused


def test_a_budget_in_steps_leaves_nobody_out() -> None:
    """Who asks for ten steps gets ten."""
    found = judge(made_up.protocol(budget="10 steps"), "vae", notes([1.0, 0.5]))
    assert (found.steps, found.refused) == (10, "")
    assert found.training == pytest.approx(6.0)


def test_a_family_that_is_left_out_has_no_cell_and_a_reason(tmp_path: Path, command: tuple[str, ...]) -> None:
    left = (trial("b", refused="it would get 3 steps"),)
    told = Told()
    cells = run(tmp_path, command, "a", "b", trials=left, watch=told)
    assert set(cells) == {"a 0", "floor 0"}
    assert told.begun == [(1, 0)]
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["complete"]
    assert summary["left_out"] == {"b": "it would get 3 steps"}
    assert "b" not in {f["family"] for f in summary["families"]}


def test_floor_and_ceiling_are_made_at_every_number_of_items_that_was_scored(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    """The cell named "slow" says that it drew 250 items, so the anchors are made at 250 as well, once."""
    cells = run(tmp_path, command, "a", "slow")
    assert set(cells) == {"a 0", "slow 0", "floor 0", "floor 250"}
    run(tmp_path, command, "a", "slow")
    assert sorted(lines(command)) == ["a 0", "anchors 0", "anchors 250", "slow 0"]


def test_a_pilot_tries_real_families_and_makes_the_anchors(tmp_path: Path) -> None:
    """The real thing on small data: costs, a family that makes one pass, and anchors that carry_out need not make."""
    protocol = plan("toy:ring8", "gaussian,vae", "2s", 1, n=100, options={"n": 300})
    found = foresee(protocol, tmp_path, workers=2)
    trials = {t.family: t for t in found.trials}
    assert set(trials) == {"gaussian", "vae"}
    assert trials["gaussian"].steps is None
    assert trials["gaussian"].training < 1.0
    assert (trials["vae"].steps or 0) >= 50
    assert trials["vae"].training <= 2.0
    assert all(t.tile is not None and t.nats is not None and not t.refused for t in trials.values())
    assert {c.family for c in read_results(tmp_path, found) if c.kind == "anchor"} == {"floor", "ceiling"}
    assert forecast(found, {"gaussian": 1, "vae": 1}, 1) == pytest.approx(
        2 * (found.overhead or 0.0) + sum(t.training for t in found.trials), rel=0.9
    )
    again = Told()
    assert foresee(protocol, tmp_path, workers=2, watch=again).trials == found.trials, "nobody is tried twice"


def test_a_percentile_is_claimed_only_from_enough_requests() -> None:
    """evaluation.md A.8: p90 takes 44 requests with none slower, 64 with one, 127 with five, 197 with ten."""
    for count, slower in ((44, 0), (64, 1), (127, 5), (197, 10)):
        latencies = [float(i) for i in range(count)]
        assert bound(latencies, 0.9) == count - 1 - slower
        assert bound(latencies[:-1], 0.9) == (None if slower == 0 else count - 2 - (slower - 1))
    assert bound([1.0] * 458, 0.99) is None
    assert bound([1.0] * 459, 0.99) == 1.0


def test_a_history_is_thinned_to_its_end() -> None:
    history = [{"step": float(i), "loss": 1.0 / 3.0} for i in range(1, 1001)]
    thinned = thin(history)
    assert len(thinned) <= 200
    assert thinned[-1] == {"step": 1000.0, "loss": 0.333333}
    assert len({round((b["step"] or 0) - (a["step"] or 0)) for a, b in pairwise(thinned)}) == 1
    assert thin([]) == ()


def test_a_task_needs_no_shared_folder_for_its_protocol(tmp_path: Path, command: tuple[str, ...]) -> None:
    text = made_up.protocol().model_dump_json()
    made = _isolate.run(_isolate.Task(text, "a", 3, 30.0, str(tmp_path / "nowhere" / "stop"), command))
    assert [(c.family, c.seed, c.protocol) for c in made] == [("a", 3, made_up.protocol().digest)]


@pytest.mark.slow
def test_a_dask_cluster_is_an_executor_like_any_other(tmp_path: Path) -> None:
    """The real thing: a local cluster, real cells. In a process of its own, since dask leaves loops and threads."""
    pytest.importorskip("distributed")
    words = ["compare", "toy:ring8", "--families", "gaussian,kernel", "--budget", "2s", "--seeds", "1"]
    place = ["--cluster", "local", "--out", str(tmp_path / "out")]
    code = "import sys; from makar.apps.cli import main; sys.argv[0] = 'makar'; main()"
    done = subprocess.run([sys.executable, "-c", code, *words, *place], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    protocol = Protocol.read(tmp_path / "out" / "protocol.json")
    cells = {cell.family: cell.status for cell in read_results(tmp_path / "out", protocol)}
    assert cells == {"floor": "ok", "ceiling": "ok", "gaussian": "ok", "kernel": "ok"}


def test_a_preview_shows_every_class_in_turn() -> None:
    assert in_turn(None, 3) == [0, 1, 2]
    assert in_turn([0, 0, 0, 1, 1, 1, 2, 2, 2], 5) == [0, 3, 6, 1, 4]
    assert in_turn([0, 0, 0, 2], 4) == [0, 3, 1, 2], "a class that is used up leaves its place to the others"


def test_a_pilot_of_a_labelled_table_tries_the_models_that_will_race(tmp_path: Path) -> None:
    """Conditioned on the class and without a column of it, as in training: the likelihood of a row has its share."""
    lines = ["x,y,k", *(f"{i % 17},{i * i % 23},{'ab'[i % 2]}" for i in range(120))]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    options = {"label": "k", "licence": "CC0-1.0"}
    protocol = plan(f"csv:{tmp_path / 't.csv'}", "gaussian,bayesnet", "2s", 1, n=100, options=options)
    found = foresee(protocol, tmp_path / "out", workers=2)
    assert {t.family for t in found.trials if t.tile is not None and t.nats is not None} == {"gaussian", "bayesnet"}
    given = encode(makar.data(f"csv:{tmp_path / 't.csv'}", **options))
    assert given.condition is not None
    space = given.codec.space
    assert isinstance(space, Columns)
    assert [column.name for column in space.columns] == ["x", "y"]


def test_a_rare_class_leaves_the_preview_whole() -> None:
    """Ten classes of which one has a single picture among 62: forty are shown, and no column is named."""
    data = makar.data("digits")
    assert data.train.labels is not None
    common = [i for i, label in enumerate(data.train.labels.tolist()) if label != 3][:61]
    rare = data.train.labels.tolist().index(3)
    places = [*common, rare]
    labels = torch.tensor(data.train.labels[places])
    trained = fit("independent", data, "1s")
    shown = preview(trained, data, 0, [data.train.things[i] for i in places], labels)
    assert shown.captions == ()
    assert shown.png is not None
    assert Image.open(io.BytesIO(base64.b64decode(shown.png))).size == (10 * 9 - 1, 4 * 9 - 1)
    full = torch.arange(100) % 10
    named = preview(trained, data, 0, [data.train.things[i] for i in range(100)], full)
    assert named.captions == data.classes
