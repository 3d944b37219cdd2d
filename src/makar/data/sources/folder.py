"""Pictures of your own: a folder of picture files, whose sub-folders, if any, are the classes.

Sub-folders `train` and `test` (or `held_out`, `validation`) are taken as the split, each perhaps with classes in it.
With size=32 every picture's middle square is resampled to 32 x 32; without it all must have one size.

Pictures whose makers opted out are left out (`data/optouts.py`), and `creators.csv` or `metadata.csv` tells who made
them, with which tags, under which licence (`data/creators.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from makar.core.errors import MakarError
from makar.data import creators, optouts, paths, pictures
from makar.data.loaded import Loaded
from makar.data.pictures import BadPicture, Colour, Tally


@dataclass(frozen=True)
class Options:
    """The size to bring pictures to, whether they are grey, and whether to leave out files that cannot be read."""

    size: int | None = None
    colour: Colour = "auto"
    skip_bad: bool = False


@dataclass
class _Found:
    """Picture files with their class's name ("" for none), and how many other files were passed over."""

    files: list[tuple[Path, str]] = field(default_factory=list)
    others: int = 0


def load(argument: str, options: Options) -> Loaded:
    """The pictures of the folder that `argument` names."""
    path = paths.existing(argument, "folder")
    if not path.is_dir():
        raise MakarError(f"{path} is a file; 'folder:' takes a folder of pictures")
    if options.size is not None and not 1 <= options.size <= 4096:
        raise MakarError(f"size is {options.size}, but it must lie between 1 and 4096")
    notes: list[str] = []
    found, held = _listed(path, notes)
    if not found.files:
        raise MakarError(f"the folder {path} holds no picture ({', '.join(s[1:] for s in pictures.SUFFIXES)})")
    if found.others:
        notes.append(f"{found.others} files that are not pictures were passed over")
    wanted, evidence = optouts.honoured(path, [file for file, _ in found.files], notes)
    if not wanted:
        raise MakarError(f"the makers of all pictures in {path} opted out, so there is nothing to learn from")
    images, kept, tally = _read(found, wanted, path, options, notes)
    files = [found.files[i] for i in kept]
    classes = tuple(sorted({name for _, name in files if name}))
    codes = {name: code for code, name in enumerate(classes)}
    labels = np.array([codes.get(name, -1) for _, name in files], np.int64) if classes else None
    outside = sum(not name for _, name in files)
    if classes and outside:
        notes.append(f"{outside} pictures lie outside of the class folders and have no class")
    if options.size is not None:
        notes.append(f"the middle square of each picture was resampled to {options.size} x {options.size}")
    things = pictures.arrays(images, options.colour, [str(file) for file, _ in files], tally)
    notes += pictures.dim(things)
    return Loaded(
        name=f"folder:{path.resolve().name}",
        modality="pictures",
        source=paths.described(path),
        things=things,
        labels=labels,
        classes=classes,
        folder=path,
        held=None if held is None else held[kept],
        notes=notes,
        origin="crawled" if optouts.crawled(path) else "user",
        tagged=creators.read(path, [file for file, _ in files], notes),
        optouts=evidence,
    )


def _listed(path: Path, notes: list[str]) -> tuple[_Found, np.ndarray | None]:
    own = paths.own_split(path)
    aside = optouts.aside(path) | {path / name for name in creators.NAMES}
    if own is None:
        return _within(path, aside), None
    train, test = _within(own[0], aside), _within(own[1], aside)
    notes += [f"the folder '{name}' was left out" for name in own[2]]
    both = _Found(train.files + test.files, train.others + test.others)
    return both, paths.marks(len(train.files), len(test.files))


def _within(folder: Path, aside: set[Path]) -> _Found:
    """Picture files in a folder and below but those aside, in the order of their names; a sub-folder is the class."""
    found = _Found()
    for file in sorted(folder.rglob("*")):
        if not file.is_file() or file in aside:
            continue
        inner = file.relative_to(folder).parts
        if paths.left_about(inner):
            continue
        if pictures.is_picture(file):
            found.files.append((file, inner[0] if len(inner) > 1 else ""))
        elif file.stem.upper() not in ("LICENSE", "LICENCE", "README"):
            found.others += 1
    return found


def _read(
    found: _Found, wanted: list[int], path: Path, options: Options, notes: list[str]
) -> tuple[list[Image.Image], list[int], Tally]:
    tally = Tally()
    images: list[Image.Image] = []
    kept: list[int] = []
    bad: list[str] = []
    for i in wanted:
        file = found.files[i][0]
        try:
            images.append(pictures.resized(pictures.opened(file, tally), options.size))
            kept.append(i)
        except BadPicture as reason:
            if not options.skip_bad:
                raise pictures.refusal(str(file), reason) from None
            bad.append(file.name)
    if not images:
        raise MakarError(f"none of the {len(bad)} pictures in {path} can be read")
    notes += pictures.left_out(bad) + tally.notes()
    return images, kept, tally
