"""Datasets in the Hugging Face hub's layout, by name or as a local folder, through the `datasets` library.

`hub:owner/name` downloads that dataset, `hub:/a/folder` reads a folder laid out as one (pictures in class folders,
Parquet, CSV or text files, with or without splits). The columns decide what comes of it: a column of pictures, with a
column of class labels if there is one; else a column of text beside at most labels; else a table. `image`, `text` and
`label` name columns where there is a choice. A licence is read from the dataset card.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from makar.core.errors import MakarError, MissingExtra, did_you_mean
from makar.data import licences, paths, pictures, tables
from makar.data.loaded import Loaded
from makar.data.pictures import BadPicture, Colour, Tally


@dataclass(frozen=True)
class Options:
    """Which part of the dataset, which of its columns, and how pictures are brought to one form.

    `subset` is a configuration's name, `revision` a commit or tag, `split` one split to take alone; `cache` is where
    the library keeps its copies.
    """

    subset: str | None = None
    revision: str | None = None
    split: str | None = None
    image: str | None = None
    text: str | None = None
    label: str | None = None
    drop: str | tuple[str, ...] = ()
    keep: str | tuple[str, ...] = ()
    size: int | None = None
    colour: Colour = "auto"
    skip_bad: bool = False
    cache: str | None = None


def load(argument: str, options: Options) -> Loaded:
    """The items of the dataset that `argument` names."""
    if not argument:
        raise MakarError("'hub:' needs a dataset's name or a folder after the colon")
    try:
        import datasets
    except ImportError:
        raise MissingExtra("datasets", "hub") from None
    folder = Path(argument).expanduser()
    local = folder.is_dir()
    if not local and (folder.is_absolute() or argument.startswith((".", "~"))):
        paths.existing(argument, "hub")
        raise MakarError(f"{argument} is a file; 'hub:' takes a folder or a dataset's name")
    where = str(folder) if local else argument
    splits = _splits(datasets, where, options)
    notes: list[str] = []
    whole, held = _joined(datasets, splits, notes)
    content = _content(datasets, whole, where, options, notes)
    return Loaded(
        name=f"hub:{folder.resolve().name if local else argument}",
        modality=content.modality,
        source=paths.described(folder) if local else f"https://huggingface.co/datasets/{argument}",
        things=content.things,
        labels=content.labels,
        classes=content.classes,
        label=(options.label or "") if content.modality == "rows" else "",
        licence=_licence(where, local, notes),
        folder=folder if local else None,
        held=None if held is None else held[content.kept],
        origin="user" if local else "public",
        notes=notes,
    )


@contextmanager
def _quiet(datasets: Any) -> Iterator[None]:
    """Without progress bars, which are put back if they were on."""
    shown = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if not shown:
            datasets.enable_progress_bars()


def _splits(datasets: Any, where: str, options: Options) -> dict[str, Any]:
    try:
        with _quiet(datasets):
            found = datasets.load_dataset(
                where, name=options.subset, revision=options.revision, cache_dir=options.cache
            )
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        reason = " ".join(str(error).split())[:200]
        raise MakarError(f"the dataset '{where}' cannot be loaded ({reason})") from None
    splits = dict(found)
    if options.split is None:
        return splits
    if options.split not in splits:
        raise MakarError(f"'{where}' has no split '{options.split}'{did_you_mean(options.split, splits)}")
    return {options.split: splits[options.split]}


def _joined(datasets: Any, splits: dict[str, Any], notes: list[str]) -> tuple[Any, np.ndarray | None]:
    """The training and the held-out split as one, with marks; or the only split there is."""
    train = next((name for name in paths.TRAIN if name in splits), None)
    test = next((name for name in paths.HELD_OUT if name in splits), None)
    if train is None or test is None:
        first = train or next(iter(splits))
        notes += [f"the split '{name}' was left out" for name in splits if name != first]
        return splits[first], None
    notes += [f"the split '{name}' was left out" for name in splits if name not in (train, test)]
    marks = paths.marks(len(splits[train]), len(splits[test]))
    return datasets.concatenate_datasets([splits[train], splits[test]]), marks


@dataclass(frozen=True)
class _Content:
    modality: str
    things: list[Any]
    labels: np.ndarray | None
    classes: tuple[str, ...]
    kept: list[int]  # which of the dataset's items these are


def _content(datasets: Any, whole: Any, where: str, options: Options, notes: list[str]) -> _Content:
    features = whole.features
    for name in (options.image, options.text, options.label):
        if name is not None and name not in features:
            raise MakarError(f"'{where}' has no column '{name}'{did_you_mean(name, features)}")
    images = [name for name, kind in features.items() if isinstance(kind, datasets.Image)]
    labels = [name for name, kind in features.items() if isinstance(kind, datasets.ClassLabel)]
    texts = [n for n, k in features.items() if isinstance(k, datasets.Value) and k.dtype in ("string", "large_string")]
    label = options.label or (labels[0] if len(labels) == 1 else None)
    if options.image or len(images) == 1:
        return _pictures(datasets, whole, options.image or images[0], label, options, notes)
    if options.text or (len(texts) == 1 and set(features) <= {*texts, *labels}):
        documents = whole[options.text or texts[0]]
        kept = [i for i, text in enumerate(documents) if text and text.strip()]
        if len(kept) < len(documents):
            notes.append(f"{len(documents) - len(kept)} empty texts were dropped")
        numbers, classes = _labels(datasets, whole, label, notes)
        return _Content("text", [documents[i] for i in kept], _at(numbers, kept), classes, kept)
    columns = tables.from_arrow(whole.data.table, notes)
    for name in labels:
        names = features[name].names
        columns[name] = [_class_name(names, value) for value in columns[name]]
    choice = tables.Choice(options.label, tables.names(options.drop), tables.names(options.keep))
    found = tables.table(where, columns, choice, notes)
    return _Content("rows", list(found.rows), found.labels, found.classes, list(range(len(found.rows))))


def _class_name(names: list[str], code: Any) -> str | None:
    return None if code is None or code < 0 else names[code]


def _at(labels: np.ndarray | None, kept: list[int]) -> np.ndarray | None:
    return None if labels is None else labels[kept]


def _labels(datasets: Any, whole: Any, name: str | None, notes: list[str]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    if name is None:
        return None, ()
    kind, values = whole.features[name], list(whole[name])
    if isinstance(kind, datasets.ClassLabel):
        return np.array([-1 if v is None else v for v in values], np.int64), tuple(kind.names)
    return tables.classes(name, [tables.plain(value) for value in values], notes)


def _pictures(
    datasets: Any, whole: Any, column: str, label: str | None, options: Options, notes: list[str]
) -> _Content:
    tally, bad = Tally(), []
    images, names, kept = [], [], []
    for i, item in enumerate(whole.cast_column(column, datasets.Image(decode=False))[column]):
        name = Path(item["path"]).name if item["path"] else f"picture {i}"
        try:
            source = item["path"] if item["bytes"] is None else io.BytesIO(item["bytes"])
            images.append(pictures.resized(pictures.opened(source, tally), options.size))
            names.append(name)
            kept.append(i)
        except BadPicture as reason:
            if not options.skip_bad:
                raise pictures.refusal(name, reason) from None
            bad.append(name)
    if not images:
        raise MakarError(f"none of the {len(bad)} pictures of the dataset can be read")
    notes += pictures.left_out(bad) + tally.notes()
    if options.size is not None:
        notes.append(f"the middle square of each picture was resampled to {options.size} x {options.size}")
    numbers, classes = _labels(datasets, whole, label, notes)
    return _Content(
        "pictures", pictures.arrays(images, options.colour, names, tally), _at(numbers, kept), classes, kept
    )


def _licence(where: str, local: bool, notes: list[str]) -> str | None:
    """The licence of the dataset card, where that is an SPDX identifier; None leaves it to the user."""
    import huggingface_hub

    card = Path(where) / "README.md"
    if local and not card.is_file():
        return None
    try:
        said = huggingface_hub.DatasetCard.load(card if local else where).data.license
    except (OSError, ValueError):
        return None
    if not isinstance(said, str):
        return None
    try:
        licence = licences.expression(said)
    except MakarError:
        notes.append(f"the dataset card states the licence '{said}', which is no SPDX identifier")
        return None
    notes.append("the licence is stated by the dataset card")
    return licence
