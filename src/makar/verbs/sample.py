"""Sample: from a model to things.

Output i is a pure function of the model, the seed, i and its condition. Its random numbers come from a stream of its
own; and since matrix products of other sizes give other last bits, outputs are always computed in tiles of `TILE`
rows, output i at row i % TILE of its tile. So one seed makes the same things alone, in threes and in thousands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from makar.core import config, registry
from makar.core.artifact import Artifact
from makar.core.errors import MakarError
from makar.core.model import Denoises, Draws, Model, PredictsNext
from makar.core.noise import Noise, seed_from
from makar.core.sampler import Sampler
from makar.core.spaces import Tokens
from makar.core.watermark import Watermark
from makar.verbs import _texts
from makar.verbs.trained import Trained

TILE = 32


def make_sampler(model: Model, name: str | None = None, settings: dict[str, Any] | None = None) -> Sampler | None:
    """The sampler of this name, or the model's own choice; None for a model that draws in one pass."""
    if isinstance(model, Draws):
        if name is not None:
            raise MakarError(f"{type(model).__name__} draws in one pass and takes no sampler; leave --sampler out")
        return None
    if not isinstance(model, Denoises | PredictsNext):
        raise TypeError(f"{type(model).__name__} has no way to generate")
    kind = registry.load("samplers", name or model.default_sampler)
    if not isinstance(model, kind.takes):
        fit = [n for n in registry.modules("samplers") if isinstance(model, registry.load("samplers", n).takes)]
        raise MakarError(f"the sampler '{name}' does not take {type(model).__name__}; these do: {', '.join(fit)}")
    if isinstance(model, Denoises) and name in (None, model.default_sampler):
        settings = model.sampler_settings | (settings or {})
    sampler: Sampler = kind(config.build(kind.Config, settings or {}, f"the sampler '{name or model.default_sampler}'"))
    return sampler


def _tiles(indices: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
    """Number of every tile that holds a wanted output, and the places within `indices` of those it holds."""
    places: dict[int, list[int]] = {}
    for place, index in enumerate(indices):
        places.setdefault(index // TILE, []).append(place)
    yield from places.items()


def draw_rows(
    model: Model,
    seed: int,
    indices: Sequence[int],
    labels: Tensor | None = None,
    sampler: Sampler | None = None,
    mark: Watermark | None = None,
    lacking: Callable[[Tensor], int] | None = None,
) -> Tensor:
    """Outputs `indices` of a seed as items of the model's space; `labels` int64 (len(indices),) or None.

    A watermark that is keyed chance takes the place of the random numbers. Items that end are drawn until the last of
    those wanted has ended or, where `lacking` says of rows of symbols how much they lack, lacks nothing.
    """
    if not len(indices):
        raise MakarError("asked for no outputs; give a number of at least 1")
    sampler = sampler or make_sampler(model)
    result: Tensor | None = None
    with torch.inference_mode():
        for tile, places in _tiles(indices):
            rows = torch.tensor([indices[p] % TILE for p in places])
            condition = None
            if model.classes:
                condition = torch.full((TILE,), -1, dtype=torch.int64)
                if labels is not None:
                    condition[rows] = labels[places]
            noise = Noise.rows(seed, range(tile * TILE, (tile + 1) * TILE))
            if mark is not None:
                noise = mark.noise(noise)
            if isinstance(model, Draws):
                x = model.draw(noise, condition)[rows]
            else:
                x = _run(sampler, model, noise, condition, rows, lacking)
            if result is None:
                result = x.new_empty((len(indices), *x.shape[1:]))
            if isinstance(model.space, Tokens):
                result, x = _as_wide(result, x), _as_wide(x, result)
            result[places] = x
    assert result is not None, "there is at least one tile"
    return result.clone()  # out of inference mode, so that it can be used in training


def _run(
    sampler: Sampler | None,
    model: Model,
    noise: Noise,
    condition: Tensor | None,
    rows: Tensor,
    lacking: Callable[[Tensor], int] | None,
) -> Tensor:
    """The rows (n,) of a tile, as items of the space."""
    assert sampler is not None, "a model that does not draw in one pass has a sampler"
    if not isinstance(model, PredictsNext) or model.end is None:
        return sampler.sample(model, noise, condition)[rows]
    due = 0
    for symbols in sampler.partials(model, noise, condition):
        if symbols.shape[1] < due:
            continue
        wanted = symbols[rows]
        going = wanted[(wanted[:, -1] >= 0) & (wanted[:, -1] != model.end)]
        if not len(going):
            break
        if lacking is not None:
            more = lacking(going)
            if more <= 0:
                break
            due = symbols.shape[1] + max(1, more // 8)
    x = model.finish(symbols, noise)[rows]
    return F.pad(x, (0, max(0, model.length - x.shape[1])), value=-1)


def _as_wide(x: Tensor, other: Tensor) -> Tensor:
    """Rows x (n, T), with -1 behind them where those of the other are longer."""
    return F.pad(x, (0, max(0, other.shape[1] - x.shape[1])), value=-1)


def draw(
    trained: Trained,
    n: int,
    seed: int = 0,
    labels: Tensor | None = None,
    sampler: Sampler | None = None,
    mark: Watermark | None = None,
) -> Tensor:
    """The first n outputs of a seed, as items of the model's space."""
    return draw_rows(trained.model, seed, range(n), labels, sampler or default_sampler(trained), mark)


def default_sampler(
    trained: Trained,
    name: str | None = None,
    settings: dict[str, Any] | None = None,
    prompt: str = "",
    length: int | None = None,
) -> Sampler | None:
    """The sampler asked for, or the one that the model was trained to be drawn from by.

    It is told what the codec puts before every text, the prompt, how many symbols that and a length in characters take,
    and which are never drawn. Raises MakarError for a prompt or a length where there can be none.
    """
    given = dict(settings or {})
    recipe = trained.record.recipe
    if name is None and "sampler" in recipe:
        name, given = recipe["sampler"], recipe["sampler_settings"] | given
    codec = trained.codec
    if (prompt or length is not None) and codec.things != "text":
        raise MakarError(f"a prompt and a length are for text, and this model makes {codec.things}; leave them out")
    if length is not None and length <= len(prompt):
        raise MakarError(
            f"a length of {length} characters has no room behind the prompt, which has {len(prompt)} of them; "
            "the length is that of the whole text"
        )
    if isinstance(trained.model, PredictsNext) and isinstance(codec.space, Tokens):
        given.setdefault("prompt", tuple(codec.prompt(prompt)))
        given.setdefault("limit", _texts.limit(codec, prompt, length))
        given.setdefault("never", tuple(codec.never()))
    elif prompt:
        kinds = {n: registry.load("families", n) for n in registry.modules("families")}
        able = [n for n, kind in kinds.items() if issubclass(kind, PredictsNext) and Tokens in kind.spaces]
        raise MakarError(
            f"'{trained.family}' draws a whole text at a time and cannot go on from a prompt; "
            f"these go on symbol by symbol: {', '.join(able)}"
        )
    return make_sampler(trained.model, name, given)


def asked_labels(trained: Trained, n: int, label: str | int | Sequence[int] | None, seed: int = 0) -> Tensor | None:
    """Labels for n outputs: one class by name for all, or one for each; where none is asked for, drawn as in the data.

    Output i's class comes from a stream of its own, so it does not depend on n either. A row whose class is a column of
    it has a class: -1 (any) is drawn as well.
    """
    if label is None:
        return _drawn_labels(trained, n, seed) if trained.model.classes else None
    classes = trained.manifest.classes
    if not trained.model.classes:
        raise MakarError("this model was trained without classes; leave --class (label=) out")
    if isinstance(label, str | int):
        if str(label) not in classes:
            raise MakarError(f"there is no class '{label}'; there is: {', '.join(classes)}")
        return torch.full((n,), classes.index(str(label)), dtype=torch.int64)
    labels = torch.as_tensor(label, dtype=torch.int64)
    if labels.shape != (n,) or bool((labels < -1).any()) or bool((labels >= len(classes)).any()):
        raise MakarError(f"labels must be {n} numbers from -1 (any class) to {len(classes) - 1}")
    if trained.manifest.label and bool((labels < 0).any()):
        return torch.where(labels < 0, _drawn_labels(trained, n, seed), labels)
    return labels


def _drawn_labels(trained: Trained, n: int, seed: int) -> Tensor:
    """Classes in the shares of the training data."""
    shares = torch.tensor(trained.class_counts, dtype=torch.float64).log()
    return Noise.rows(seed_from(seed, "class"), range(n)).choice(shares.expand(n, -1))


def sample(
    trained: Trained,
    n: int,
    seed: int = 0,
    label: str | int | Sequence[int] | None = None,
    sampler: str | None = None,
    settings: dict[str, Any] | None = None,
    mark: Watermark | None = None,
    prompt: str = "",
    length: int | None = None,
) -> list[Artifact]:
    """n things, each an artifact whose parents are the model and whose recipe says how to make it again.

    With a watermark that is keyed chance, to make it again takes its key as well. Texts begin with `prompt` and have
    `length` characters at most, the prompt's among them; without a length they end as `_texts` says.
    """
    if n < 1:
        raise MakarError(f"asked for {n} outputs; give a number of at least 1")
    labels = asked_labels(trained, n, label, seed)
    how = default_sampler(trained, sampler, settings, prompt, length)
    lacking = None if length is None else partial(_texts.lacking, trained.codec, length=length)
    x = draw_rows(trained.model, seed, range(n), labels, how, mark, lacking)
    asked = bool(prompt) or length is not None
    things = _texts.texts(trained.codec, x, prompt, length) if asked else trained.things(x, labels)
    plan: dict[str, Any] = {"sampler": None, "sampler_settings": {}}
    if how is not None:
        plan = {"sampler": type(how).__module__.rpartition(".")[2], "sampler_settings": config.to_plain(how.config)}
    if prompt:  # in words, and not as the symbols that the codec makes of them
        plan["sampler_settings"].pop("prompt")
        plan["prompt"] = prompt
    if length is not None:
        plan["length"] = length
    if mark is not None:
        plan["watermark"] = type(mark).__module__.rpartition(".")[2]
        plan["watermark_settings"] = config.to_plain(mark.config)
    return [
        Artifact(
            kind=trained.manifest.modality,
            content=thing,
            recipe=plan | {"seed": seed, "index": i, "label": None if labels is None else int(labels[i])},
            parents=(trained.id,),
        )
        for i, thing in enumerate(things)
    ]
