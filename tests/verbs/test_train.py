"""The loop: killed at random moments it is the unbroken run; Ctrl-C and bad numbers keep what there is."""

from __future__ import annotations

import itertools
import os
import signal
import time
from pathlib import Path

import pytest
import torch

import makar
from makar.core.errors import MakarError, NonFinite
from makar.core.learner import Batch
from makar.core.noise import Noise
from makar.data import Dataset
from makar.verbs import train
from makar.verbs.budget import Budget, Clock

STEPS = 120
SETTINGS = {"width": 32}


@pytest.fixture(scope="module")
def ring() -> Dataset:
    return makar.data("toy:ring8")


def unbroken(data: Dataset, place: Path | None = None, pause: float = 0.0) -> str:
    """Weights digest of the whole run; with a place, from and to checkpoints at every step."""
    run, codec = train.prepare("vae", data, Budget(steps=STEPS), seed=3, settings=SETTINGS)
    if place is not None:
        train.resume(run, place)
    with train.deterministic():
        for _ in train.training(run):
            if place is not None:
                train.save_checkpoint(run, place)
                time.sleep(pause)
    return train.settle(run, codec, data).weights_digest


def test_killed_at_twenty_random_moments_it_is_the_unbroken_run(ring: Dataset, tmp_path: Path) -> None:
    expected = unbroken(ring)
    place, answer = tmp_path / "checkpoint", tmp_path / "digest"
    generator = torch.Generator().manual_seed(11)
    waits = (0.02 + 0.12 * torch.rand(20, generator=generator)).tolist()
    kills = 0
    for wait in itertools.chain(waits, itertools.repeat(60.0)):
        child = os.fork()
        if child == 0:
            answer.write_text(unbroken(ring, place, pause=0.001))
            os._exit(0)
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline and os.waitpid(child, os.WNOHANG)[0] == 0:
            time.sleep(0.002)
        if answer.exists():
            break
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        kills += 1
        assert kills <= 20, "the last child was given a minute"
    assert answer.read_text() == expected
    assert kills >= 5


def test_a_checkpoint_of_another_run_is_refused(ring: Dataset, tmp_path: Path) -> None:
    run, _ = train.prepare("vae", ring, Budget(steps=5), seed=3, settings=SETTINGS)
    train.save_checkpoint(run, tmp_path / "c")
    other, _ = train.prepare("vae", ring, Budget(steps=5), seed=4, settings=SETTINGS)
    with pytest.raises(MakarError, match="belongs to another run"):
        train.resume(other, tmp_path / "c")


def test_interrupted_it_keeps_what_it_has(ring: Dataset) -> None:
    def stop(run: train.Run, step: train.Step) -> None:
        if step.step == 4:
            raise KeyboardInterrupt

    trained = train.fit("vae", ring, "50 steps", settings=SETTINGS, watch=stop)
    assert trained.record.steps == 4
    assert trained.record.events[0]["kind"] == "interrupted"
    assert len(makar.Fitted(trained).sample(3)) == 3


def test_a_bad_number_ends_the_run_before_the_step(ring: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = train.prepare("vae", ring, "50 steps", settings=SETTINGS)
    step, states = run.learner.step, []

    def poisoned(batch: Batch, noise: Noise) -> dict[str, float]:
        if run.pace.step == 5:
            states.append({k: v.clone() for k, v in run.model.state_dict().items()})
            batch = Batch(batch.x * float("inf"), batch.condition, batch.progress)
        return step(batch, noise)

    monkeypatch.setattr(run.learner, "step", poisoned)
    with pytest.raises(NonFinite):
        for _ in train.training(run):
            pass
    assert run.pace.step == 5
    assert all(torch.equal(v, run.model.state_dict()[k]) for k, v in states[0].items())


def test_every_epoch_is_a_permutation(ring: Dataset) -> None:
    run, _ = train.prepare("vae", ring, "50 steps", settings=SETTINGS)
    n = len(run.x)
    rows = torch.cat([run._rows(i * 100, 100) for i in range(2 * n // 100)])
    assert torch.equal(rows[:n].sort().values, torch.arange(n))
    assert not torch.equal(rows[:n], torch.arange(n))


def test_a_recorded_run_can_be_repeated(ring: Dataset) -> None:
    first = train.fit("vae", ring, "0.4s", settings=SETTINGS)
    again = train.fit("vae", ring, "0.4s", settings=SETTINGS, plan=first.record.plan)
    assert again.weights_digest == first.weights_digest
    assert again.record.steps == first.record.steps


def test_a_family_that_does_not_fit_says_which_do(ring: Dataset) -> None:
    with pytest.raises(MakarError, match=r"these fit: .*gaussian"):
        train.fit("pixelcnn", ring, "1 steps")
    with pytest.raises(MakarError, match="did you mean 'vae'"):
        train.fit("vea", ring, "1 steps")
    with pytest.raises(MakarError, match="has no setting 'widht'"):
        train.fit("vae", ring, "1 steps", settings={"widht": 3})


@pytest.mark.parametrize("name", ["state.safetensors", "state.json"])
@pytest.mark.parametrize("damage", [b"", b"{}", b"[1, 2", b"\x00" * 64])
def test_a_damaged_checkpoint_is_named_by_its_path(ring: Dataset, tmp_path: Path, name: str, damage: bytes) -> None:
    run, _ = train.prepare("gaussian", ring, "2 steps", 0)
    place = tmp_path / ".m.checkpoint"
    train.save_checkpoint(run, place)
    (place / name).write_bytes(damage)
    with pytest.raises(MakarError, match=rf"the checkpoint {place} cannot be taken up: .*; remove it to begin anew"):
        train.resume(run, place)


def resumed_at(ring: Dataset, place: Path, budget: Budget, steps: int, spent: float = 0.0) -> train.Run:
    """A run that goes on from the checkpoint of one that took so many steps and spent so many CPU seconds."""
    first, _ = train.prepare("vae", ring, budget, seed=3, settings=SETTINGS)
    first.clock = Clock(spent, spent)
    with train.deterministic():
        for _ in itertools.islice(train.training(first), steps):
            pass
    train.save_checkpoint(first, place)
    second, _ = train.prepare("vae", ring, budget, seed=3, settings=SETTINGS)
    assert train.resume(second, place)
    return second


def test_a_resumed_run_goes_on_with_the_chance_of_its_own_step(
    ring: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Noise is keyed by the step of the whole run: no step's noise is drawn twice after a resume."""
    run = resumed_at(ring, tmp_path / "c", Budget(steps=9), 5)
    asked: list[int] = []
    plain = Noise.step

    def step(seed: int, step: int, *rest: object) -> Noise:
        asked.append(step)
        return plain(seed, step, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Noise, "step", step)
    for _ in train.training(run):
        pass
    assert asked == [5, 6, 7, 8]


def test_a_resumed_run_has_spent_what_it_had_spent(ring: Dataset, tmp_path: Path) -> None:
    run = resumed_at(ring, tmp_path / "c", Budget(cpu=1000.0), 3, spent=400.0)
    assert run.clock.cpu >= 400.0
    assert run.clock.wall >= 400.0
    assert run.clock.cpu < 500.0
