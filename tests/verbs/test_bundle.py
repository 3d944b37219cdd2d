"""Bundles: what is saved is what is loaded; whatever is amiss is refused in one sentence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import makar
from makar.core import files, state
from makar.core.errors import MakarError
from makar.core.files import LocalDisk
from makar.data import Dataset
from makar.verbs import bundle
from tests.core.test_files import Faulty


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return makar.data("digits")


@pytest.fixture(scope="module")
def model(digits: Dataset) -> makar.Fitted:
    return makar.fit("gaussian", digits, budget="3 steps")


@pytest.fixture
def saved(model: makar.Fitted, tmp_path: Path) -> Path:
    return model.save(tmp_path / "run" / "g")


def test_what_is_saved_is_what_is_loaded(model: makar.Fitted, saved: Path) -> None:
    loaded = makar.load(saved)
    assert loaded.id == model.id
    for a, b in zip(model.sample(5, seed=2, label="3"), loaded.sample(5, seed=2, label="3"), strict=True):
        assert np.array_equal(a.content, b.content)
        assert a.id == b.id
        assert a.parents == (model.id,)


def test_the_card_carries_the_licence_and_numbers_of_the_run(model: makar.Fitted, saved: Path) -> None:
    card = (saved / "README.md").read_text()
    assert card.startswith('---\nlicense: "cc-by-4.0"\nlibrary_name: "makar"\n')
    assert model.trained.manifest.digest in card
    assert f"steps: {model.record.steps:,};" in card
    assert f"{model.trained.parameters:,} numbers learnt" in card


def test_saving_again_replaces_it_and_nothing_else(model: makar.Fitted, saved: Path, tmp_path: Path) -> None:
    model.save(saved)
    assert sorted(p.name for p in saved.parent.iterdir()) == ["g"]
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "chapter1.txt").write_text("years of work")
    with pytest.raises(MakarError, match="is not a bundle"):
        model.save(other)
    assert (other / "chapter1.txt").read_text() == "years of work"


def alter(name: str, change: Callable[[bytes], bytes], mend: bool = False) -> Callable[[Path], None]:
    """Change a file; with `mend` put its digest right again, as somebody with a purpose would."""

    def act(path: Path) -> None:
        data = change((path / name).read_bytes())
        (path / name).write_bytes(data)
        if mend:
            digests = json.loads((path / "digests.json").read_text())
            digests[name] = hashlib.sha256(data).hexdigest()
            (path / "digests.json").write_text(json.dumps(digests))

    return act


def setting(key: str, value: object) -> Callable[[bytes], bytes]:
    return lambda data: json.dumps(json.loads(data) | {key: value}).encode()


WRONG: dict[str, Callable[[Path], object]] = {
    "flipped bit": alter("model.safetensors", lambda d: d[:-9] + bytes([d[-9] ^ 1]) + d[-8:]),
    "flipped bit, digest mended": alter("model.safetensors", lambda d: d[:-9] + bytes([d[-9] ^ 1]) + d[-8:], True),
    "truncated weights": alter("model.safetensors", lambda d: d[: len(d) // 2], True),
    "giant header": alter("model.safetensors", lambda d: (2**50).to_bytes(8, "little") + d[8:], True),
    "other weights": alter("model.safetensors", lambda d: state.save_tensors({}), True),
    "unknown version": alter("config.json", setting("format", 99), True),
    "unknown family": alter("config.json", setting("family", "oracle"), True),
    "unknown setting": alter("config.json", setting("settings", {"wizardry": 3}), True),
    "unknown space": alter("config.json", setting("space", {"space": "Hyper"}), True),
    "other codec": alter("config.json", setting("codec", "bytes"), True),
    "cut manifest": alter("data.json", lambda d: b"{}", True),
    "altered card": alter("README.md", lambda d: d.replace(b"CC-BY-4.0", b"CC0-1.0")),
    "missing file": lambda path: (path / "run.json").unlink(),
    "extra file": lambda path: (path / "helper.py").write_text("import os"),
    "broken digests": lambda path: (path / "digests.json").write_text("{"),
    "no digests": lambda path: (path / "digests.json").unlink(),
    "link": lambda path: link(path / "README.md"),
}


def link(path: Path) -> None:
    data = path.read_bytes()
    target = path.parent.parent / "elsewhere"
    target.write_bytes(data)
    path.unlink()
    path.symlink_to(target)


@pytest.mark.parametrize("what", WRONG)
def test_whatever_is_amiss_is_refused_in_one_sentence(saved: Path, what: str) -> None:
    WRONG[what](saved)
    with pytest.raises(MakarError) as caught:
        makar.load(saved)
    assert "\n" not in str(caught.value)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(MakarError, match="no such folder"):
        makar.load(tmp_path / "nothing")


@pytest.mark.parametrize("for_good", [False, True], ids=["error", "crash"])
def test_the_kth_write_fails_for_every_k(
    model: makar.Fitted, saved: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch, for_good: bool
) -> None:
    newer = makar.fit("gaussian", digits, budget="3 steps", seed=1)
    for k in range(1, 200):
        faulty = Faulty(k, for_good)
        with monkeypatch.context() as patch:
            patch.setattr(files, "disk", faulty)
            try:
                newer.save(saved)
            except MakarError:
                assert faulty.count >= k
        assert makar.load(saved).id in (model.id, newer.id)
        bundle.save(model.trained, saved)
        if faulty.count < k:
            break
    assert k > 10
    assert isinstance(files.disk, LocalDisk)


def test_every_file_is_held_to_its_digest_though_it_says_the_same(saved: Path) -> None:
    """A space at the end of JSON or Markdown changes no meaning, and no other check of the loader sees it."""
    for path in sorted(saved.iterdir()):
        if path.name == "digests.json":
            continue
        before = path.read_bytes()
        path.write_bytes(before + b" ")
        with pytest.raises(MakarError, match=rf"{path.name} does not match its digest"):
            bundle.load(saved)
        path.write_bytes(before)
    assert bundle.load(saved)
