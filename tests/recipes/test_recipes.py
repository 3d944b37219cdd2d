"""Recipes: each builds at every size, prints as TOML that is itself again, and trains."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from makar.core import config, registry
from makar.core.errors import MakarError
from makar.core.recipe import Recipe, Size
from makar.core.spaces import Columns, Tokens
from makar.data import Dataset, load
from makar.verbs import bundle
from makar.verbs.recipe import from_toml, named, resolve, to_toml
from makar.verbs.sample import default_sampler, draw
from makar.verbs.train import fit, training
from makar.verbs.train import prepare as begin

NAMES = sorted(registry.modules("recipes"))
SIZES = get_args(Size)


def whole(recipe: Recipe) -> Recipe:
    """The recipe with its family's defaults written out, as TOML has it."""
    kind = registry.load("families", recipe.family)
    built = config.build(kind.Config, recipe.settings, recipe.family)
    return replace(recipe, settings=config.to_plain(built))


@cache
def digits() -> Dataset:
    return load("digits")


@cache
def sentences() -> Dataset:
    return load("grammar:small", n=60)


def table(folder: Path) -> Dataset:
    chance = random.Random(0)
    lines = ["height,colour,size"]
    for _ in range(120):
        colour = chance.choice("rgb")
        lines.append(f"{chance.gauss('rgb'.index(colour), 1.0):.3f},{colour},{chance.choice('sl')}")
    path = folder / "table.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return load(f"csv:{path}", licence="CC0-1.0")


def suitable(recipe: Recipe, folder: Path) -> Dataset:
    spaces = registry.load("families", recipe.family).spaces
    if recipe.codec is not None or (Tokens in spaces and recipe.family != "independent"):
        return sentences()
    return table(folder) if spaces == (Columns,) else digits()


def test_no_recipe_hides_behind_a_family() -> None:
    assert not set(NAMES) & set(registry.modules("families"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", SIZES)
def test_prints_as_toml_that_is_itself_again(name: str, size: Size, tmp_path: Path) -> None:
    recipe = named(name, size)
    assert recipe.paper
    assert recipe.claim
    path = tmp_path / "mine.toml"
    path.write_text(to_toml(name, size), encoding="utf-8")
    again = from_toml(path)
    assert whole(again) == whole(recipe)
    if recipe.sampler is not None:
        kind = registry.load("samplers", recipe.sampler)
        config.build(kind.Config, recipe.sampler_settings, name)


@pytest.mark.parametrize("name", NAMES)
def test_sizes_grow(name: str) -> None:
    """A bigger size never sets a smaller number where both set one, save for the items a step."""
    tiny, gpu = (named(name, size).settings for size in ("tiny", "gpu"))
    for key in tiny.keys() & gpu.keys():
        if isinstance(tiny[key], int):
            assert tiny[key] <= gpu[key], key


@pytest.mark.parametrize("name", NAMES)
def test_trains(name: str, tmp_path: Path) -> None:
    recipe = named(name, "tiny")
    run, _ = begin(
        recipe.family,
        suitable(recipe, tmp_path),
        "2 steps",
        settings=recipe.settings,
        codec=recipe.codec,
        codec_settings=recipe.codec_settings,
        sampler=recipe.sampler,
        sampler_settings=recipe.sampler_settings,
    )
    steps = list(training(run))
    assert 1 <= len(steps) <= 2
    assert all(torch.isfinite(torch.tensor(step.numbers["loss"])) for step in steps)


def test_an_unknown_key_is_refused_with_the_nearest_known_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(to_toml("edm", "tiny").replace("sampler =", "samplr ="), encoding="utf-8")
    with pytest.raises(MakarError, match=r"'samplr' \(did you mean 'sampler'\?\)"):
        from_toml(path)
    path.write_text(to_toml("edm", "tiny").replace("p_std", "p_sdt"), encoding="utf-8")
    recipe = resolve(str(path))
    with pytest.raises(MakarError, match=r"'p_sdt' \(did you mean 'p_std'\?\)"):
        begin(recipe.family, digits(), "2 steps", settings=recipe.settings)


def test_a_sampler_that_does_not_fit_is_refused_before_training() -> None:
    with pytest.raises(MakarError, match="draws in one pass"):
        begin("vae", digits(), "2 steps", sampler="heun")
    with pytest.raises(MakarError, match=r"'stepz' \(did you mean 'steps'\?\)"):
        begin("diffusion", digits(), "2 steps", sampler="heun", sampler_settings={"stepz": 3})


def test_the_sampler_goes_with_the_model(tmp_path: Path) -> None:
    recipe = replace(named("edm", "tiny"), sampler_settings={"steps": 3})
    how: dict[str, Any] = {"sampler": recipe.sampler, "sampler_settings": recipe.sampler_settings}
    trained = fit(recipe.family, digits(), "2 steps", settings=recipe.settings, **how)
    loaded = bundle.load(bundle.save(trained, tmp_path / "model"))
    kept = default_sampler(loaded)
    assert kept is not None
    assert type(kept) is registry.load("samplers", "heun")
    assert kept.config.steps == 3
    asked = default_sampler(loaded, "euler", {"steps": 2})
    assert type(asked) is registry.load("samplers", "euler")
    assert torch.equal(draw(loaded, 2, sampler=default_sampler(trained)), draw(loaded, 2))
    assert not torch.equal(draw(loaded, 2, sampler=asked), draw(loaded, 2))
