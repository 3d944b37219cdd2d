"""Indices of training items, made from a dataset and kept in the workspace: what gates and audits compare with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from makar.core.codec import Codec
from makar.core.spaces import Levels, Space
from makar.data import Dataset, Split
from makar.provenance import nearest, verbatim
from makar.provenance.home import Home
from makar.provenance.nearest import Index
from makar.provenance.receipts import Nearness
from makar.verbs.train import make_codec


def comparable(modality: str, things: Sequence[Any], codec: Codec) -> Any:
    """Things in the form that an index takes: pictures as they are, texts as they are, the rest encoded."""
    if modality == "text":
        return list(things)
    if modality == "pictures":
        return torch.from_numpy(np.stack(list(things)).astype(np.int64)).permute(0, 3, 1, 2)
    return codec.encode(things)


def _space(data: Dataset, codec: Codec, items: Any) -> Space | None:
    if data.modality == "text":
        return None
    return Levels(tuple(items.shape[1:]), data.levels) if data.modality == "pictures" else codec.space


def index_of(
    data: Dataset, codec: Codec | None = None, train: Split | None = None, fresh: Split | None = None
) -> Index:
    """The index of a dataset's training items, calibrated on the held-out ones; or of other splits of it."""
    codec = codec or make_codec(data)[1]
    items = comparable(data.modality, (train or data.train).things, codec)
    judges = comparable(data.modality, (fresh or data.held_out).things, codec)
    sha = data.manifest.items["train"] if train is None else [f"{i:064x}" for i in range(len(train))]
    space = _space(data, codec, items)
    return nearest.build(items, judges, sha, data.manifest.digest, space, data.manifest.attribution)


def keep(data: Dataset, codec: Codec, home: Home) -> Index:
    """The dataset's index from the workspace, made and saved where there is none; of text that of passages too."""
    found = nearest.load(home, data.manifest.digest)
    if found is None:
        found = index_of(data, codec)
        nearest.save(found, home)
    if data.modality == "text" and verbatim.load(home, data.manifest.digest) is None:
        quotes = verbatim.build(list(data.train.things), data.manifest.items["train"], data.manifest.digest)
        verbatim.save(quotes, home)
    return found


def judge(home: Home, manifest: str, modality: str, things: Sequence[Any], codec: Codec) -> list[Nearness] | None:
    """How near outputs are to the training items of the dataset with this manifest; None where it has no index here."""
    found = nearest.load(home, manifest)
    return None if found is None else found.judge(comparable(modality, things, codec))
