"""Bundles: a trained model as a directory that others can read.

    config.json         format version, family, settings, space, condition, codec
    model.safetensors   parameters and tables
    data.json           manifest of the data: source, licence, digest of every item
    run.json            record of the run: recipe, pace, cost, curve, events, machine
    README.md           model card computed from the run
    digests.json        sha256 of every other file

No pickle and no code. It is written whole or not at all. What is read is checked first: every digest, no file too few
or too many, the header's size, the version; each refusal is one sentence.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from makar.core import config, files, registry, spaces, state
from makar.core.codec import Codec
from makar.core.errors import MakarError
from makar.core.model import Model
from makar.data import Manifest
from makar.verbs.card import model_card
from makar.verbs.trained import Record, Trained

FORMAT = 1
_NAMES = ("config.json", "model.safetensors", "data.json", "run.json", "README.md")


def save(trained: Trained, path: Path | str) -> Path:
    """Write a bundle. A bundle that is there already is replaced; any other folder is refused."""
    path = Path(path)
    files.recover(path)
    if path.exists() and not (path / "digests.json").exists() and (path.is_file() or any(path.iterdir())):
        raise MakarError(f"{path} is there already and is not a bundle; choose another place or remove it")
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
    }
    contents = {
        "config.json": files.to_json(settings).encode(),
        "model.safetensors": state.save_tensors(dict(model.state_dict())),
        "data.json": files.to_json(trained.manifest.model_dump()).encode(),
        "run.json": files.to_json(trained.record.to_json()).encode(),
        "README.md": model_card(trained).encode(),
    }
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    contents["digests.json"] = files.to_json(digests).encode()
    files.write_directory(path, contents)
    return path


def load(path: Path | str) -> Trained:
    """Read a bundle. Raises MakarError, in one sentence, for whatever is missing, altered, oversized or unknown."""
    path = Path(path)
    files.recover(path)
    contents = _checked(path)
    try:
        return _assembled(path, contents)
    except KeyError as error:
        raise MakarError(f"{path} lacks the entry {error}; it was altered or written by another version") from None


def _assembled(path: Path, contents: dict[str, bytes]) -> Trained:
    settings = json.loads(contents["config.json"])
    model = _model(settings, contents["model.safetensors"], path)
    kind = registry.load("codecs", settings["codec"])
    codec: Codec = kind(config.build(kind.Config, settings["codec_settings"], f"{path}: the codec"))
    codec.restore(settings["codec_state"])
    try:
        manifest = Manifest.model_validate_json(contents["data.json"])
    except ValidationError as error:
        raise MakarError(f"{path}/data.json is not a manifest of this version ({error.error_count()} errors)") from None
    run = json.loads(contents["run.json"])
    run["plan"] = [(int(step), float(rate)) for step, rate in run["plan"]]
    counts = tuple(settings["class_counts"])
    trained = Trained(model, codec, Record(**run), manifest, settings["levels"], counts)
    if trained.id != settings["id"]:
        raise MakarError(
            f"{path} says that it is model {settings['id'][:12]} but holds {trained.id[:12]}; it was altered"
        )
    return trained


def _checked(path: Path) -> dict[str, bytes]:
    """All files of a bundle, every digest verified."""
    if not path.is_dir():
        raise MakarError(f"{path} is not a bundle: there is no such folder")
    if not (path / "digests.json").is_file():
        raise MakarError(
            f"{path} is not a bundle: it has no digests.json; train one with: makar train FAMILY DATA --out {path}"
        )
    try:
        digests: dict[str, str] = json.loads((path / "digests.json").read_bytes())
    except ValueError:
        raise MakarError(f"{path}/digests.json is not JSON; the bundle is truncated or altered") from None
    present = {str(p.relative_to(path)) for p in path.rglob("*") if not p.is_dir()} - {"digests.json"}
    if not isinstance(digests, dict) or set(digests) != set(_NAMES) or present != set(_NAMES):
        odd = sorted(present.symmetric_difference(_NAMES)) or sorted(set(digests).symmetric_difference(_NAMES))
        raise MakarError(f"{path} holds too much or too little for a bundle: {', '.join(map(str, odd))}")
    contents: dict[str, bytes] = {}
    for name in _NAMES:
        if (path / name).is_symlink():
            raise MakarError(f"{path}/{name} is a link; a bundle holds only plain files")
        contents[name] = (path / name).read_bytes()
        if hashlib.sha256(contents[name]).hexdigest() != digests[name]:
            raise MakarError(f"{path}/{name} does not match its digest; it was truncated or altered")
    version = json.loads(contents["config.json"]).get("format")
    if version != FORMAT:
        raise MakarError(
            f"{path} is of format {version}; this makar reads format {FORMAT}; install the makar that wrote it"
        )
    return contents


def _model(settings: dict[str, Any], tensors: bytes, path: Path) -> Model:
    kind = registry.load("families", settings["family"])
    built = config.build(kind.Config, settings["settings"], f"{path}: the family '{settings['family']}'")
    model: Model = kind(spaces.from_json(settings["space"]), spaces.from_json(settings["condition"]), built)
    try:
        model.restore(state.load_tensors(tensors, f"{path}/model.safetensors"))
    except (RuntimeError, AttributeError) as error:
        raise MakarError(
            f"{path}/model.safetensors does not fit its config.json ({str(error).splitlines()[0]})"
        ) from None
    return model.eval()
