"""Detectors: what they tell apart, that their rates are as stated, that they fail honestly and never say "real"."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import makar
from makar.core.errors import MakarError
from makar.data import Dataset
from makar.verbs.audits import detector
from makar.verbs.audits._distort import ATTACKS, distorted
from makar.verbs.audits._result import Result
from makar.verbs.audits._traces import traces
from makar.verbs.audits.detector import Detector
from makar.verbs.chain import Chain
from makar.verbs.detect import detect, evidence
from makar.verbs.sample import asked_labels, draw
from makar.verbs.score import yardstick
from makar.verbs.train import fit


@cache
def digits() -> Dataset:
    return makar.data("digits", held_out=1100)


@cache
def outputs(family: str) -> list[np.ndarray]:
    trained = fit(family, digits(), "1 steps")
    return list(trained.codec.decode(draw(trained, 300, 0, asked_labels(trained, 300, None, 0))))


@cache
def trained_on(family: str = "gaussian") -> Detector:
    return detector.train(digits().held_out.things[:700], {family: outputs(family)[:150]}, "pictures", 17)


@cache
def judged() -> Result:
    made = {"gaussian": outputs("gaussian")[150:], "kernel": outputs("kernel"), "copies": digits().train.things[:200]}
    return detector.judged(trained_on(), digits().held_out.things[700:], made)


def test_what_it_learnt_and_an_unseen_family_are_told_from_real_digits() -> None:
    assert judged().figure("auroc[gaussian;learnt;attack=none").low > 0.9
    assert judged().figure("auroc[kernel;unseen;attack=none").low > 0.8


def test_a_generator_that_hands_out_real_items_cannot_be_told_and_that_is_shown() -> None:
    """Copies of training items are real pictures: half right is all there can be, and the result is an alarm."""
    copies = judged().figure("auroc[copies;unseen;attack=none")
    assert copies.low < 0.5 < copies.high + 0.03
    assert judged().finding == "alarm"
    assert copies.name in judged().details["weak"]


def test_every_attack_has_its_figures_and_the_failure_of_the_rate_is_shown() -> None:
    for attack in ("none", *ATTACKS["pictures"]):
        figure = judged().figure(f"false positives[attack={attack}]")
        assert figure.n == 400
    beyond = judged().details["false positives beyond the rate"]
    assert not any("attack=none" in name for name in beyond)
    assert any("attack=blur" in name for name in beyond), "distortions carry clean digits over the threshold"


def test_false_positives_are_beta_binomial() -> None:
    from scipy.stats import betabinom

    for called, fresh, clean in ((0, 100, 250), (3, 100, 250), (12, 400, 233), (1, 50, 5000)):
        k = int(0.01 * (clean + 1))
        assert detector.by_chance(called, fresh, clean) == pytest.approx(
            betabinom.sf(called - 1, fresh, k, clean + 1 - k)
        )
    assert detector.by_chance(7, 100, 50) == 1.0, "too few clean items have no threshold"


def test_its_false_positives_are_at_the_stated_rate_on_clean_items() -> None:
    """The rate is a p-value: over splits of clean items it is at most its level, in the mean."""
    real = digits().held_out.things
    chance = np.random.default_rng(0)
    shares = []
    for _ in range(8):
        order = chance.permutation(len(real))
        found = detector.train([real[i] for i in order[:700]], {"gaussian": outputs("gaussian")}, "pictures", 17)
        scores = found.score([real[i] for i in order[700:]])
        shares.append(np.mean([found.false_positives(float(s)) <= 0.05 for s in scores]))
    assert np.mean(shares) <= 0.05 + 3 * np.std(shares) / np.sqrt(8)


def test_threshold_and_p_value_agree() -> None:
    found = trained_on()
    for score in (*found.clean[-5:], found.clean[-1] + 1.0, found.clean[0] - 1.0):
        assert (score > found.threshold) == (found.false_positives(float(score)) <= detector.RATE)


def test_saved_and_loaded_it_gives_the_same_scores(tmp_path: Path) -> None:
    place = detector.save(trained_on(), tmp_path / "d")
    assert sorted(p.suffix for p in place.iterdir()) == [".json", ".safetensors"]
    again = detector.load(place)
    things = outputs("kernel")[:20]
    assert np.array_equal(again.score(things), trained_on().score(things))
    assert again.families == ("gaussian",)


@pytest.mark.parametrize("name", ["detector.json", "detector.safetensors"])
def test_an_altered_detector_is_refused(tmp_path: Path, name: str) -> None:
    place = detector.save(trained_on(), tmp_path / "d")
    data = bytearray((place / name).read_bytes())
    for changed in (bytes(data[: len(data) // 2]), b"", b"[]"):
        (place / name).write_bytes(changed)
        with pytest.raises(MakarError):
            detector.load(place)
    (place / name).unlink()
    with pytest.raises(MakarError, match="there is no detector"):
        detector.load(place)


def test_a_detector_of_another_number_of_traces_is_refused(tmp_path: Path) -> None:
    place = detector.save(trained_on(), tmp_path / "d")
    plain = json.loads((place / "detector.json").read_text())
    (place / "detector.json").write_text(json.dumps(plain | {"families": 3}))
    with pytest.raises(MakarError, match="no whole detector"):
        detector.load(place)


def write(picture: np.ndarray, path: Path) -> Path:
    Image.fromarray((picture[..., 0] * (255 / 16)).round().astype(np.uint8)).save(path)
    return path


def kept_here() -> Chain:
    """This test's workspace, with a detector of pictures in it."""
    chain = Chain.here()
    detector.save(trained_on(), detector.root(chain.home) / "pictures")
    return chain


def test_a_verdict_stays_unknown_and_never_says_real(tmp_path: Path) -> None:
    chain = kept_here()
    pictures = [*outputs("gaussian")[150:170], *digits().held_out.things[700:720]]
    verdicts = [detect(write(p, tmp_path / f"{i}.png"), chain) for i, p in enumerate(pictures)]
    for v in verdicts:
        assert v.verdict == "unknown"
        assert v.ai is None
        assert not {"real", "authentic", "genuine", "human"} & set(v.why.replace(",", " ").split())
    resembling = [v for v in verdicts if "resembles what gaussian make" in v.why]
    assert len(resembling) >= 10
    assert f"on {len(trained_on().clean)} clean items" in resembling[0].why
    assert "no proof" in resembling[0].why
    assert all("says nothing" in v.why for v in verdicts[20:] if v not in resembling)
    assert verdicts[0].found[-1]["n"] == len(trained_on().clean)


def test_a_detector_of_pictures_says_nothing_of_text(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a text")
    chain = kept_here()
    assert detect(path, chain) == evidence(path, chain)


def test_text_of_a_model_is_told_from_the_grammar_it_learnt() -> None:
    data = makar.data("grammar:small", n=600, held_out=400)
    trained = fit("ngram", data, "1 steps", 0, {"order": 2})
    made = trained.codec.decode(draw(trained, 120, 0))
    found = detector.train(data.held_out.things[:250], {"ngram": made[:60]}, "text")
    result = detector.judged(found, data.held_out.things[250:], {"ngram": made[60:]})
    assert result.figure("auroc[ngram;learnt;attack=none").low > 0.9
    assert {f.name.partition("attack=")[2].partition("]")[0] for f in result.figures if "auroc" in f.name} == {
        "none", *ATTACKS["text"],
    }  # fmt: skip


def test_too_little_to_learn_from_is_refused() -> None:
    with pytest.raises(MakarError, match="family 'few'"):
        detector.train(digits().held_out.things, {"few": outputs("gaussian")[:10]}, "pictures", 17)
    with pytest.raises(MakarError, match="the real items"):
        detector.train(digits().held_out.things[:50], {"some": outputs("gaussian")}, "pictures", 17)
    with pytest.raises(MakarError, match="not of rows"):
        traces("rows", [{}])
    assert detector.judged(trained_on(), [], {"a": outputs("gaussian")}).finding == "not measurable"


@pytest.mark.parametrize("name", ATTACKS["pictures"])
def test_distorted_pictures_stay_pictures_and_are_repeatable(name: str) -> None:
    pictures = list(digits().held_out.things[:20])
    how = ATTACKS["pictures"][name]
    changed = distorted(pictures, how, 17)
    assert all(p.dtype == np.uint8 and p.shape == (8, 8, 1) and p.max() < 17 for p in changed)
    assert all(np.array_equal(a, b) for a, b in zip(changed, distorted(pictures, how, 17), strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(changed, pictures, strict=True))


def test_equal_samples_are_indistinguishable_and_others_are_not() -> None:
    chance = np.random.default_rng(1)
    alarms = 0
    for _ in range(6):
        a, b = chance.normal(size=(2, 150, 4))
        alarms += detector.indistinguishability(a, b, "points").finding == "alarm"
        assert detector.indistinguishability(a + 1.0, b, "points").finding == "alarm"
    assert alarms <= 1
    result = detector.indistinguishability(a + 10.0, b, "points")
    assert result.figure("accuracy[logistic").value == pytest.approx(1.0, abs=0.01)
    assert detector.indistinguishability(a[:5], b, "points").finding == "not measurable"


def test_training_items_are_indistinguishable_from_held_out_ones_and_a_gaussian_is_not() -> None:
    stick = yardstick(digits())
    held, train = stick.reference.held_out.features, stick.reference.train.features
    assert held is not None
    assert train is not None
    assert detector.indistinguishability(train.numpy()[:400], held.numpy(), "probe").finding == "none"
    made = stick.extract(stick.codec.encode(outputs("gaussian"))).numpy()
    assert detector.indistinguishability(made, held.numpy(), "probe").finding == "alarm"
