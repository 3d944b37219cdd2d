"""Bundles: a trained model as a directory that others can read.

    config.json         format version, family, settings, space, condition, codec
    model.safetensors   parameters and tables
    data.json           manifest of the data: source, licence, digest of every item
    run.json            record of the run: recipe, pace, cost, curve, events, machine, environment
    rights.json         what the data's licences allow, and why
    score.json          scores with their intervals, where the model was scored before it was saved
    chain.json          whether the chain was on, which policy was in force, who signs
    README.md           model card            } computed from the records above
    datasheet.md        datasheet of the data }
    croissant.json      the data, as Croissant with RAI and PROV
    bom.cdx.json        bill of materials, CycloneDX
    spdx.json           bill of materials, SPDX 3 with its AI and dataset profiles
    digests.json        sha256 of every other file
    model.sig           signature over all of them, OpenSSF Model Signing, where there is a key

No pickle and no code. It is written whole or not at all. What is read is checked first: every digest, no file too few
or too many, the header's size, the version; each refusal is one sentence. Format 1, which had neither rights, chain nor
bills of materials, is read still.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from makar.core import config, files, registry, spaces, state
from makar.core.codec import Codec
from makar.core.errors import MakarError
from makar.core.model import Model
from makar.core.score import Score
from makar.data import Manifest, rights
from makar.data.manifest import check as check_manifest
from makar.provenance.documents import all_documents
from makar.provenance.records import Records
from makar.provenance.sealed import SEAL
from makar.verbs.trained import Record, Trained

FORMAT = 2
SIGNATURE = "model.sig"
RECORDS = ("config.json", "data.json", "run.json", "rights.json", "chain.json")
_FIRST = ("config.json", "model.safetensors", "data.json", "run.json", "README.md")
_NAMES = {
    1: _FIRST,
    2: (*_FIRST, "rights.json", "chain.json", "datasheet.md", "croissant.json", "bom.cdx.json", "spdx.json"),
}
_MOST, _LONGEST = 64, 100  # files of a bundle, characters of their names
LARGEST, _LARGEST_WEIGHTS = 2**28, 2**34  # bytes of a record or document, and of the weights, that are read
OFF: dict[str, Any] = {"on": False, "why": "saved without a workspace", "signer": None}


SCORES = "score.json"
_KNOWN = frozenset({*_NAMES[2], SCORES, SEAL, SIGNATURE, "digests.json"})


def contents(trained: Trained, chain: Mapping[str, Any] = OFF, scores: Sequence[Score] = ()) -> dict[str, bytes]:
    """All files of a bundle but its signature; `chain` says how it was made (chain.json)."""
    model = trained.model
    settings = {
        "format": FORMAT,
        "id": trained.id,
        "family": trained.family,
        "settings": config.to_plain(model.config),
        "space": spaces.to_json(model.space),
        "condition": spaces.to_json(model.condition),
        "codec": trained.record.recipe["codec"],
        "codec_settings": config.to_plain(trained.codec.config),
        "codec_state": trained.codec.state(),
        "levels": trained.levels,
        "class_counts": list(trained.class_counts),
        "parameters": trained.parameters,
    }
    plain: dict[str, Any] = {
        "config.json": settings,
        "data.json": trained.manifest.model_dump(mode="json"),
        "run.json": trained.record.to_json(),
        "rights.json": rights.of(trained.manifest).to_json(),
        "chain.json": dict(chain),
    }
    if scores:
        plain[SCORES] = {"scores": [score.to_json() for score in scores]}
    found = {name: files.to_json(value).encode() for name, value in plain.items()}
    found["model.safetensors"] = state.save_tensors(dict(model.state_dict()))
    found |= all_documents(records(found))
    found["digests.json"] = files.to_json({name: sha256(data) for name, data in found.items()}).encode()
    return found


def records(found: Mapping[str, bytes]) -> Records:
    """A bundle's records, parsed."""
    config_, data, run, rights_, chain = (json.loads(found[name]) for name in RECORDS)
    score = json.loads(found[SCORES]) if SCORES in found else {}
    digests = {name: sha256(found[name]) for name in (*RECORDS, "model.safetensors")}
    return Records(config_, data, run, rights_, chain, score, digests)


def read(place: Path) -> bytes:
    """A file of a bundle. Raises MakarError for what is no plain file, or larger than any that is written."""
    return files.read(place, _LARGEST_WEIGHTS if place.suffix == ".safetensors" else LARGEST)


def sha256(data: bytes) -> str:
    """Sha256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def save(
    trained: Trained,
    path: Path | str,
    chain: Mapping[str, Any] = OFF,
    sign: Callable[[Mapping[str, bytes]], bytes] | None = None,
    scores: Sequence[Score] = (),
) -> Path:
    """Write a bundle. A bundle that is there already is replaced; any other folder, or one with more in it, is not."""
    path = Path(path)
    files.recover(path)
    if path.exists() and not (path / "digests.json").exists() and (path.is_file() or any(path.iterdir())):
        raise MakarError(f"{path} is there already and is not a bundle; choose another place or remove it")
    if path.is_dir() and (more := sorted({p.name for p in path.iterdir()} - _KNOWN)):
        raise MakarError(
            f"{path} holds {more[0]}, which is no part of a bundle and would be lost; choose another place"
        )
    found = contents(trained, chain, scores)
    if sign is not None:
        found[SIGNATURE] = sign(found)
    files.write_directory(path, found)
    return path


def load(path: Path | str) -> Trained:
    """Read a bundle. Raises MakarError, in one sentence, for whatever is missing, altered, oversized or unknown."""
    path = Path(path)
    if not path.exists():
        files.recover(path)  # a crash between two renames; what else is beside it may be another's save under way
    found = _checked(path)
    try:
        return _assembled(path, found)
    except KeyError as error:
        raise MakarError(f"{path} lacks the entry {error}; it was altered or written by another version") from None
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        what = type(error).__name__
        raise MakarError(f"{path} holds records that are not as a bundle's are ({what}); it was altered") from None


def _assembled(path: Path, found: dict[str, bytes]) -> Trained:
    settings = json.loads(found["config.json"])
    model = _model(settings, found["model.safetensors"], path)
    kind = registry.load("codecs", settings["codec"])
    codec: Codec = kind(config.build(kind.Config, settings["codec_settings"], f"{path}: the codec"))
    codec.restore(settings["codec_state"])
    try:
        manifest = Manifest.model_validate_json(found["data.json"])
    except ValidationError as error:
        raise MakarError(f"{path}/data.json is not a manifest of this version ({error.error_count()} errors)") from None
    check_manifest(manifest)
    run = json.loads(found["run.json"])
    run["plan"] = [(int(step), float(rate)) for step, rate in run["plan"]]
    counts = tuple(settings["class_counts"])
    trained = Trained(model, codec, Record(**run), manifest, settings["levels"], counts)
    if trained.id != settings["id"]:
        raise MakarError(
            f"{path} says that it is model {settings['id'][:12]} but holds {trained.id[:12]}; it was altered"
        )
    return trained


def _checked(path: Path) -> dict[str, bytes]:
    """All files of a bundle but its signature, every digest verified."""
    digests = read_digests(path)
    if (path / SEAL).is_file():
        raise MakarError(f"{path} is sealed; open it with: makar unseal {path} --to BUNDLE")
    names: tuple[str, ...] = _NAMES[2] if "chain.json" in digests else _NAMES[1]
    if SCORES in digests:
        names = (*names, SCORES)
    present = {p.name for p in path.iterdir()} - {"digests.json", SIGNATURE}
    if set(digests) != set(names) or present != set(names):
        odd = sorted(present.symmetric_difference(names)) or sorted(set(digests).symmetric_difference(names))
        raise MakarError(f"{path} holds too much or too little for a bundle: {', '.join(map(str, odd))}")
    found: dict[str, bytes] = {}
    for name in names:
        found[name] = read(path / name)
        if sha256(found[name]) != digests[name]:
            raise MakarError(f"{path}/{name} does not match its digest; it was truncated or altered")
    version = _parsed(path, found["config.json"]).get("format")
    if not isinstance(version, int) or version not in _NAMES:
        raise MakarError(
            f"{path} is of format {version}; this makar reads formats 1 to {FORMAT}; install the makar that wrote it"
        )
    return found


def _parsed(path: Path, data: bytes) -> dict[str, Any]:
    """The object in config.json."""
    try:
        plain = json.loads(data)
    except (ValueError, RecursionError):
        plain = None
    if not isinstance(plain, dict):
        raise MakarError(f"{path}/config.json holds no JSON object; the bundle is truncated or altered")
    return plain


def read_digests(path: Path) -> dict[str, str]:
    """The list of digests of a bundle. Raises MakarError where the folder is none."""
    if not path.is_dir():
        raise MakarError(f"{path} is not a bundle: there is no such folder")
    if not (path / "digests.json").is_file():
        raise MakarError(
            f"{path} is not a bundle: it has no digests.json; train one with: makar train FAMILY DATA --out {path}"
        )
    try:
        digests = json.loads(read(path / "digests.json"))
    except (ValueError, RecursionError):
        raise MakarError(f"{path}/digests.json is not JSON; the bundle is truncated or altered") from None
    if not isinstance(digests, dict) or not all(isinstance(value, str) for value in digests.values()):
        raise MakarError(f"{path}/digests.json is not a list of digests; the bundle is altered")
    if len(digests) > _MOST or any(len(name) > _LONGEST for name in digests):
        raise MakarError(f"{path}/digests.json lists more, or longer names, than any bundle holds; it is altered")
    return digests


def _model(settings: dict[str, Any], tensors: bytes, path: Path) -> Model:
    kind = registry.load("families", settings["family"])
    built = config.build(kind.Config, settings["settings"], f"{path}: the family '{settings['family']}'")
    given = state.load_tensors(tensors, f"{path}/model.safetensors")
    space, condition = spaces.from_json(settings["space"]), spaces.from_json(settings["condition"])
    _refuse_bomb(path, lambda: kind(space, condition, built), sum(t.numel() for t in given.values()))
    try:
        model: Model = kind(space, condition, built)
        model.restore(given)
    except (RuntimeError, MemoryError, AttributeError) as error:
        raise MakarError(
            f"{path}/model.safetensors does not fit its config.json ({str(error).splitlines()[0]})"
        ) from None
    return model.eval()


def _refuse_bomb(path: Path, make: Callable[[], Model], held: int) -> None:
    """Refuse a config.json that asks for many times what the weights hold, before memory is taken for it.

    The model is made without memory first, on torch's meta device. Tables that are sized by the data are empty then.
    """
    try:
        with torch.device("meta"):
            asked = sum(t.numel() for t in make().state_dict().values())
    except (RuntimeError, NotImplementedError, TypeError, ValueError):
        return  # it computes with its numbers as it is made, so it cannot be made without them
    if asked > 2 * held + 2**20:
        raise MakarError(
            f"{path}/config.json asks for {asked:,} numbers, and the weights hold {held:,}; it was altered"
        )
