"""Content credentials: what is signed is read back, what is changed is found, and nothing is called real.

The official reader (`c2pa.Reader`, used directly) stands beside ours throughout.
"""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import c2pa
import numpy as np
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from makar.core.errors import MakarError
from makar.provenance import _pem, credentials
from makar.provenance import keys as keyring
from makar.provenance.credentials import Claim, ModelIngredient, Parent, Reading, Signed
from makar.provenance.home import Home
from makar.provenance.keys import Anchors, Keys
from makar.provenance.media import EMBEDDED
from tests.provenance.samples import (
    SAMPLES,
    boxes,
    new_keys,
    picture,
    region,
    resigned,
    store_from,
    store_of,
    with_store,
)

MODEL = ModelIngredient("vae on digits", "a" * 64, "b" * 64)
RECEIPT: dict[str, Any] = {
    "version": 1,
    "model": "a" * 64,
    "recipe": {"seed": 2**62, "scale": 1.0, "small": 1e-300, "label": None},
    "rights": {"commercial": False, "why": ["CC-BY-NC-4.0 in “é”"]},
}
UNCHECKED = {"verify": {"verify_after_sign": False}, "builder": {"thumbnail": {"enabled": False}}}
"""Settings for the library under which it signs what it should not."""

ONE_OF_EACH = sorted({"image/png", "image/jpeg", "image/webp", "audio/wav", "video/mp4", "text/csv"})


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> tuple[Keys, Anchors]:
    return new_keys(tmp_path_factory.mktemp("ours") / "home")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Keys, Anchors]:
    return new_keys(tmp_path_factory.mktemp("theirs") / "home", "Stranger")


def claim(media_type: str, **more: Any) -> Claim:
    made: dict[str, Any] = {"source_type": "trainedAlgorithmicMedia", "receipt": RECEIPT, "model": MODEL}
    return Claim(**({"title": "a file", "media_type": media_type, "watermark": "dct"} | made | more))


def signed(keys: Keys, media_type: str, **more: Any) -> Signed:
    return credentials.sign(SAMPLES[media_type], claim(media_type, **more), keys)


def read(file: Signed, media_type: str, anchors: Anchors) -> Reading:
    return credentials.read(file.data, media_type, file.sidecar, anchors)


def official(file: Signed, media_type: str, roots: bytes = b"") -> tuple[str, set[str]]:
    """The official reader's verdict and the failures it names; with its default settings where no roots are given."""
    context = c2pa.Context.from_dict({"trust": {"user_anchors": roots.decode()}}) if roots else c2pa.Context()
    kind = media_type if file.sidecar is None else "application/octet-stream"
    with c2pa.Reader(kind, BytesIO(file.data), file.sidecar, context=context) as reader:
        failures = reader.get_validation_results()["activeManifest"]["failure"]
        return reader.get_validation_state(), {failure["code"] for failure in failures}


@pytest.mark.parametrize("media_type", sorted(SAMPLES))
def test_signed_files_hold_for_those_who_know_the_root(media_type: str, ours: tuple[Keys, Anchors]) -> None:
    keys, anchors = ours
    file = signed(keys, media_type)
    reading = read(file, media_type, anchors)
    assert (reading.state, reading.signer, reading.ai, reading.receipt) == ("holds", "Test", True, RECEIPT)
    assert [step.actions for step in reading.history] == [("c2pa.created", "c2pa.watermarked.bound")]
    assert reading.history[0].model == MODEL
    assert official(file, media_type, keys.root) == ("Trusted", set())
    assert (file.sidecar is None) == (media_type in EMBEDDED.values())
    assert file.sidecar is None or file.data == SAMPLES[media_type]


@pytest.mark.parametrize("media_type", sorted(SAMPLES))
def test_to_others_they_are_intact_and_untrusted(
    media_type: str, ours: tuple[Keys, Anchors], theirs: tuple[Keys, Anchors]
) -> None:
    file = signed(ours[0], media_type)
    for anchors in (Anchors(), theirs[1]):
        reading = read(file, media_type, anchors)
        assert (reading.state, reading.receipt) == ("untrusted", RECEIPT)
    assert official(file, media_type) == ("Valid", {"signingCredential.untrusted"})


@pytest.mark.parametrize("media_type", sorted(SAMPLES))
def test_a_file_without_a_credential_has_none(media_type: str, ours: tuple[Keys, Anchors]) -> None:
    reading = credentials.read(SAMPLES[media_type], media_type, None, ours[1])
    assert (reading.state, reading.ai, reading.history) == ("absent", None, ())


@pytest.mark.parametrize("media_type", sorted(SAMPLES))
def test_every_flipped_bit_of_content_is_found(media_type: str, ours: tuple[Keys, Anchors]) -> None:
    """At 80 places spread over the file outside the manifests. "absent" is allowed where a file is told by its head.

    The first box of an MP4 or AVIF, which names its kind, is not hashed: the C2PA specification says so.
    """
    keys, anchors = ours
    file = signed(keys, media_type)
    inside = region(file.data, media_type) if file.sidecar is None else range(0)
    named = int.from_bytes(file.data[:4], "big") if file.data[4:8] == b"ftyp" else 0
    content = [i for i in range(named, len(file.data)) if i not in inside]
    assert len(content) >= 0.55 * len(SAMPLES[media_type])
    for place in content[:: max(1, len(content) // 80)]:
        state = read(replace(file, data=flipped(file.data, place)), media_type, anchors).state
        assert state == "fails" or (state == "absent" and file.sidecar is None), place


@pytest.mark.parametrize("media_type", ONE_OF_EACH)
def test_a_flipped_bit_of_the_credential_is_found_or_says_nothing(media_type: str, ours: tuple[Keys, Anchors]) -> None:
    """Padding and the labels of boxes are not signed: there a flip stays unseen, and nothing that is said changes."""
    keys, anchors = ours
    file = signed(keys, media_type)
    before = read(file, media_type, anchors)
    held = file.data if file.sidecar is None else file.sidecar
    found = 0
    places = [i for i in region(held, media_type)[24::29] if i < len(held)]  # a side-car ends with its manifests
    for place in places:
        other = flipped(held, place)
        changed = Signed(other, None) if file.sidecar is None else Signed(file.data, other)
        after = read(changed, media_type, anchors)
        assert after.state in ("fails", "absent") or after == before, place
        found += after.state != "holds"
    assert found > 0.6 * len(places)


def flipped(data: bytes, place: int) -> bytes:
    changed = bytearray(data)
    changed[place] ^= 1 << (place % 8)
    return bytes(changed)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_stripped_credential_is_absent_and_nothing_is_called_real(kind: str, ours: tuple[Keys, Anchors]) -> None:
    keys, anchors = ours
    media_type = f"image/{kind.lower()}"
    out = BytesIO()
    Image.open(BytesIO(signed(keys, media_type).data)).save(out, kind)
    reading = credentials.read(out.getvalue(), media_type, None, anchors)
    assert (reading.state, reading.receipt, reading.ai) == ("absent", None, None)


def test_no_sentence_calls_anything_real(ours: tuple[Keys, Anchors], theirs: tuple[Keys, Anchors]) -> None:
    keys, anchors = ours
    file = signed(keys, "image/png", source_type="digitalCapture", model=None, watermark=None)
    readings = [
        read(file, "image/png", anchors),
        read(file, "image/png", theirs[1]),
        read(Signed(flipped(file.data, -9 % len(file.data)), None), "image/png", anchors),
        credentials.read(SAMPLES["image/png"], "image/png", None, anchors),
    ]
    assert [reading.state for reading in readings] == ["holds", "untrusted", "fails", "absent"]
    for reading in readings:
        words = {word.strip(".,:;()").lower() for word in reading.why.split()}
        assert not words & {"real", "authentic", "genuine", "true", "verified"}, reading.why


def test_a_captured_file_is_signed_and_checked_the_same_way(ours: tuple[Keys, Anchors]) -> None:
    """The liar's dividend: who has a genuine file can bind it to a name, and later doubt can be met."""
    keys, anchors = ours
    file = signed(keys, "image/jpeg", source_type="digitalCapture", model=None, receipt=None, watermark=None)
    reading = read(file, "image/jpeg", anchors)
    assert (reading.state, reading.ai, reading.receipt) == ("holds", False, None)
    assert reading.history[0].source_types == ("digitalCapture",)
    assert read(replace(file, data=flipped(file.data, len(file.data) - 9)), "image/jpeg", anchors).state == "fails"


def brighter(png: bytes) -> bytes:
    out = BytesIO()
    Image.fromarray(np.minimum(np.asarray(Image.open(BytesIO(png))), 250) + np.uint8(5)).save(out, "PNG")
    return out.getvalue()


def edited(png: bytes, keys: Keys, action: str, **more: Any) -> bytes:
    given = {"source_type": "humanEdits", "receipt": None, "model": None, "watermark": None, "title": action}
    step = claim("image/png", parent=Parent(png, "image/png"), actions=(action,), **(given | more))
    return credentials.sign(brighter(png), step, keys).data


def three_steps(first: Keys, second: Keys, third: Keys) -> bytes:
    made = signed(first, "image/png").data
    return edited(edited(made, second, "c2pa.cropped"), third, "c2pa.color_adjustments", receipt={"step": 3})


def test_three_edits_are_told_in_order(ours: tuple[Keys, Anchors]) -> None:
    keys, anchors = ours
    file = three_steps(keys, keys, keys)
    reading = credentials.read(file, "image/png", None, anchors)
    assert (reading.state, reading.ai, reading.receipt) == ("holds", True, {"step": 3})
    assert [step.actions[-1] for step in reading.history] == [
        "c2pa.watermarked.bound",
        "c2pa.cropped",
        "c2pa.color_adjustments",
    ]
    assert [step.actions[0] for step in reading.history] == ["c2pa.created", "c2pa.opened", "c2pa.opened"]
    assert {step.state for step in reading.history} == {"holds"}
    assert official(Signed(file, None), "image/png", keys.root) == ("Trusted", set())


def test_each_step_is_judged_by_its_own_signer(ours: tuple[Keys, Anchors], theirs: tuple[Keys, Anchors]) -> None:
    """Whatever the newer signers thought of the older ones."""
    file = three_steps(ours[0], theirs[0], ours[0])
    both = Anchors(ours[1].roots + theirs[1].roots)
    for anchors, states in (
        (both, ["holds", "holds", "holds"]),
        (ours[1], ["holds", "untrusted", "holds"]),
        (theirs[1], ["untrusted", "holds", "untrusted"]),
        (Anchors(), ["untrusted"] * 3),
    ):
        reading = credentials.read(file, "image/png", None, anchors)
        assert [step.state for step in reading.history] == states
        assert reading.state == states[-1]
    assert "1 of 2" in credentials.read(file, "image/png", None, ours[1]).why


@pytest.mark.parametrize("removed", [0, 1])
def test_a_removed_step_is_found(removed: int, ours: tuple[Keys, Anchors]) -> None:
    keys, anchors = ours
    file = three_steps(keys, keys, keys)
    parts = boxes(store_of(file))
    assert with_store(file, store_from(parts)) == file, "surgery alone changes nothing"
    history = credentials.read(file, "image/png", None, anchors).history
    kept = [part for part in parts if history[removed].label.encode() not in part[:120]]
    assert len(kept) == len(parts) - 1
    reading = credentials.read(with_store(file, store_from(kept)), "image/png", None, anchors)
    assert (reading.state, reading.receipt) == ("fails", None)
    assert "history" in reading.why


@pytest.mark.parametrize("replaced", [0, 1])
def test_a_step_from_another_history_is_found(replaced: int, ours: tuple[Keys, Anchors]) -> None:
    """Another manifest by the same signer, under the old one's name."""
    keys, anchors = ours
    file, other = three_steps(keys, keys, keys), three_steps(keys, keys, keys)
    old = credentials.read(file, "image/png", None, anchors).history[replaced].label.encode()
    new = credentials.read(other, "image/png", None, anchors).history[replaced].label.encode()
    foreign = next(part for part in boxes(store_of(other)) if new in part[:120]).replace(new, old)
    parts = [foreign if old in part[:120] else part for part in boxes(store_of(file))]
    assert credentials.read(with_store(file, store_from(parts)), "image/png", None, anchors).state == "fails"


def test_an_altered_receipt_of_an_older_step_is_found(ours: tuple[Keys, Anchors]) -> None:
    keys, anchors = ours
    file = three_steps(keys, keys, keys)
    altered = with_store(file, store_of(file).replace(b"CC-BY-NC-4.0", b"CC-BY-SA-4.0"))
    assert altered != file
    reading = credentials.read(altered, "image/png", None, anchors)
    assert (reading.state, reading.history[0].state) == ("fails", "fails")


def test_a_newer_signer_cannot_hide_what_is_wrong_with_an_older_step(
    ours: tuple[Keys, Anchors], theirs: tuple[Keys, Anchors]
) -> None:
    """A stranger alters our receipt, and writes down that all was well, and the failures too, so that the library sees
    no news in them."""
    made = signed(ours[0], "text/csv")
    assert made.sidecar is not None
    store = made.sidecar.replace(b"CC-BY-NC-4.0", b"CC-BY-SA-4.0")
    label = read(made, "text/csv", ours[1]).history[0].label
    place = f"self#jumbf=/c2pa/{label}/"
    lies = [
        {"code": "signingCredential.trusted", "url": place + "c2pa.signature"},
        {"code": "signingCredential.untrusted", "url": place + "c2pa.signature"},
        {"code": "claimSignature.validated", "url": place + "c2pa.signature"},
        {"code": "assertion.hashedURI.mismatch", "url": place + "c2pa.assertions/org.makar.receipt"},
    ]
    definition = {
        "claim_generator_info": [{"name": "liar"}],
        "ingredients": [
            {
                "title": "a file",
                "relationship": "parentOf",
                "label": "parent",
                "active_manifest": label,
                "validation_results": {"activeManifest": {"success": lies, "informational": [], "failure": []}},
                "manifest_data": {"format": "application/c2pa", "identifier": "parent.c2pa"},
            }
        ],
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [
            {"action": "c2pa.opened", "parameters": {"ingredientIds": ["parent"]}}]}}],
    }  # fmt: skip
    info = c2pa.C2paSignerInfo(c2pa.C2paSigningAlg.ES256, theirs[0].chain, theirs[0].signer_key, None)
    with (
        c2pa.Context.from_dict(UNCHECKED, signer=c2pa.Signer.from_info(info)) as context,
        c2pa.Builder(definition, context=context) as builder,
    ):
        builder.add_resource("parent.c2pa", BytesIO(store))
        builder.set_no_embed()
        sidecar = builder.sign("application/octet-stream", BytesIO(SAMPLES["text/csv"]), BytesIO())
    both = Anchors(ours[1].roots + theirs[1].roots)
    reading = credentials.read(SAMPLES["text/csv"], "text/csv", sidecar, both)
    assert reading.history[0].state == "fails"
    assert reading.state == "fails"


def test_edits_of_a_file_with_a_side_car_keep_its_history(ours: tuple[Keys, Anchors]) -> None:
    keys, anchors = ours
    made = signed(keys, "text/csv", source_type="trainedAlgorithmicData")
    table = SAMPLES["text/csv"] + b"3,4\n"
    step = claim("text/csv", source_type="humanEdits", model=None, parent=Parent(made.data, "text/csv", made.sidecar))
    file = credentials.sign(table, step, keys)
    reading = read(file, "text/csv", anchors)
    assert (reading.state, reading.ai) == ("holds", True)
    assert [step.source_types for step in reading.history] == [("trainedAlgorithmicData",), ("humanEdits",)]
    assert reading.history[1].actions == ("c2pa.opened", "c2pa.edited", "c2pa.watermarked.bound")


@pytest.mark.parametrize("media_type", ["image/png", "text/csv"])
def test_a_parent_without_a_credential_is_a_step_of_which_nothing_is_known(
    media_type: str, ours: tuple[Keys, Anchors]
) -> None:
    keys, anchors = ours
    parent = Parent(SAMPLES[media_type], media_type, title="found somewhere")
    source: Any = "compositeWithTrainedAlgorithmicMedia"
    reading = read(signed(keys, media_type, parent=parent, source_type=source), media_type, anchors)
    assert [(step.state, step.title) for step in reading.history] == [
        ("absent", "found somewhere"),
        ("holds", "a file"),
    ]
    assert (reading.state, reading.ai) == ("holds", True)


def test_a_credential_is_not_written_over(ours: tuple[Keys, Anchors]) -> None:
    keys, _ = ours
    file = signed(keys, "image/png")
    with pytest.raises(MakarError, match="parent"):
        credentials.sign(file.data, claim("image/png"), keys)


def test_a_credential_that_lies_elsewhere_is_not_fetched(ours: tuple[Keys, Anchors]) -> None:
    """The file names an address; the native library would fetch from it by default, where no Python hook sees it."""
    keys, anchors = ours
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        info = c2pa.C2paSignerInfo(c2pa.C2paSigningAlg.ES256, keys.chain, keys.signer_key, None)
        created = {"action": "c2pa.created", "digitalSourceType": "http://c2pa.org/digitalsourcetype/empty"}
        definition = {"assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [created]}}]}
        out = BytesIO()
        with (
            c2pa.Context.from_dict(UNCHECKED, signer=c2pa.Signer.from_info(info)) as context,
            c2pa.Builder(definition, context=context) as builder,
        ):
            builder.set_no_embed()
            builder.set_remote_url(f"http://127.0.0.1:{listener.getsockname()[1]}/credential")
            builder.sign("image/png", BytesIO(SAMPLES["image/png"]), out)
        assert credentials.read(out.getvalue(), "image/png", None, anchors).state == "absent"
        signed(keys, "image/png", parent=Parent(out.getvalue(), "image/png"))
        with pytest.raises(BlockingIOError):  # nobody called
            listener.accept()


def test_a_side_car_of_another_file_fails(ours: tuple[Keys, Anchors]) -> None:
    keys, anchors = ours
    one = signed(keys, "text/plain")
    for data in (b"another text", b"", one.data + b" ", one.data[:-1]):
        assert credentials.read(data, "text/plain", one.sidecar, anchors).state == "fails"


def test_a_side_car_that_grew_or_shrank_fails(ours: tuple[Keys, Anchors]) -> None:
    keys, anchors = ours
    file = signed(keys, "text/plain")
    assert file.sidecar is not None
    for sidecar in (file.sidecar + b"x", file.sidecar[:-1], b"", b"jumb"):
        assert credentials.read(file.data, "text/plain", sidecar, anchors).state == "fails"


def test_a_small_picture_grows_by_less_than_8_kB(ours: tuple[Keys, Anchors]) -> None:
    png = picture("PNG", 64)
    assert len(credentials.sign(png, claim("image/png"), ours[0]).data) - len(png) < 8_000


def test_what_a_stranger_reads_with_the_official_reader(ours: tuple[Keys, Anchors]) -> None:
    """The statements, by the names that the specification gives them."""
    file = signed(
        ours[0],
        "image/png",
        oversight="prompt_guided",
        training_mining={"cawg.ai_generative_training": "notAllowed", "cawg.data_mining": "allowed"},
    )
    with c2pa.Reader("image/png", BytesIO(file.data)) as reader:
        manifest = reader.get_active_manifest()
    assert manifest is not None
    said = {assertion["label"]: assertion["data"] for assertion in manifest["assertions"]}
    created = said["c2pa.actions.v2"]["actions"][0]
    assert created["action"] == "c2pa.created"
    assert created["digitalSourceType"].endswith("newscodes/digitalsourcetype/trainedAlgorithmicMedia")
    assert len(created["parameters"]["ingredients"]) == 1
    assert said["c2pa.ai-disclosure"]["modelIdentifier"] == MODEL.id
    assert said["c2pa.ai-disclosure"]["contentProfile"] == {"humanOversightLevel": "prompt_guided"}
    assert said["c2pa.soft-binding"]["alg"] == "org.makar.dct"
    assert said["cawg.training-mining"]["entries"]["cawg.ai_generative_training"] == {"use": "notAllowed"}
    assert manifest["ingredients"][0]["relationship"] == "inputTo"
    assert "thumbnail" not in json.dumps(manifest)


def test_nothing_is_said_of_mining_unless_it_is_given(ours: tuple[Keys, Anchors]) -> None:
    with c2pa.Reader("image/png", BytesIO(signed(ours[0], "image/png").data)) as reader:
        assert "training-mining" not in reader.json()


def test_no_secret_is_in_what_is_signed(ours: tuple[Keys, Anchors]) -> None:
    from tests.provenance.test_keys import secrets_of

    keys, _ = ours
    made = b"".join(file.data + (file.sidecar or b"") for file in (signed(keys, kind) for kind in SAMPLES))
    assert not any(secret in made for secret in secrets_of(keys))
    assert b"PRIVATE" not in made


def test_what_cannot_be_signed(ours: tuple[Keys, Anchors], theirs: tuple[Keys, Anchors]) -> None:
    keys, _ = ours
    for data in (b"", b"no picture", SAMPLES["image/jpeg"][:40]):
        with pytest.raises(MakarError):
            credentials.sign(data, claim("image/png"), keys)
    with pytest.raises(MakarError, match="parent"):
        credentials.sign(b"x", claim("text/csv", parent=Parent(b"y", "text/csv", b"no side-car")), keys)


def test_nothing_is_signed_under_a_certificate_that_has_run_out(tmp_path: Path) -> None:
    keys = keyring.init(Home(tmp_path / "home"), "Test", 30, datetime(2020, 1, 1, tzinfo=UTC))
    with pytest.raises(MakarError, match="not valid at time of signing"):
        signed(keys, "image/png")


def test_a_certificate_that_has_run_out_fails_and_says_so(tmp_path: Path) -> None:
    """Without a time-stamp nobody can tell that the file was signed while it was good."""
    keys, anchors = new_keys(tmp_path / "home")
    file = signed(keys, "text/plain")
    assert file.sidecar is not None
    place = tmp_path / "home" / "keys" / keyring.INTERMEDIATE
    issuer = _pem.certificate(keys.intermediate, place), _pem.private(place.read_bytes(), place)
    key = _pem.private(keys.signer_key, place)
    certificates = {}
    for valid in ((2020, 2021), (2020, 2049)):  # only the first has run out
        first, last = (datetime(year, 1, 1, tzinfo=UTC) for year in valid)
        while valid not in certificates:  # serial number and signature vary in length by a byte or two
            der = keyring._certificate("Test", "signer", key, issuer, (first, last)).public_bytes(Encoding.DER)
            if len(der) == len(_pem.certificate(keys.signer, place).public_bytes(Encoding.DER)):
                certificates[valid] = der
    old, good = (resigned(file.sidecar, keys, der) for der in certificates.values())
    assert credentials.read(file.data, "text/plain", good, anchors).state == "holds", "signing again is done right"
    reading = credentials.read(file.data, "text/plain", old, anchors)
    assert (reading.state, reading.receipt) == ("fails", None)
    assert "run out" in reading.why


@pytest.mark.parametrize(
    ("name", "media_type", "inside"),
    [
        ("a.PNG", "image/png", True),
        ("a.jpeg", "image/jpeg", True),
        ("a/b.m4a", "audio/mp4", True),
        ("a.csv", "text/csv", False),
        ("a.mid", "audio/midi", False),
        ("a.smi", "chemical/x-daylight-smiles", False),
        ("a.unheard-of", "application/octet-stream", False),
        ("a", "application/octet-stream", False),
    ],
)
def test_media_types(name: str, media_type: str, inside: bool) -> None:
    assert credentials.media_type(Path(name)) == media_type
    assert credentials.embeds(media_type) is inside


_STATES = {"holds", "untrusted", "fails", "absent"}


@pytest.fixture(scope="module")
def pool(ours: tuple[Keys, Anchors]) -> dict[str, Signed]:
    return {media_type: signed(ours[0], media_type) for media_type in SAMPLES}


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_hostile_bytes_never_raise(data: st.DataObject, pool: dict[str, Signed], ours: tuple[Keys, Anchors]) -> None:
    """Truncated, overwritten, with lengths of 4 GiB, spliced, from another file, under another name."""
    draw = data.draw
    media_type = draw(st.sampled_from(sorted(pool)))
    file = pool[media_type]
    held = bytearray(file.data if file.sidecar is None else file.sidecar)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(0, len(held) - 1)))
        kind = draw(st.sampled_from(["cut", "byte", "length", "splice", "box"]))
        if kind == "cut":
            del held[place:]
        elif kind == "byte":
            held[place : place + 1] = draw(st.binary(max_size=4))
        elif kind == "length":
            held[place : place + 4] = draw(st.sampled_from([b"\xff" * 4, b"\x7f\xff\xff\xff", bytes(4), b"\0\0\0\1"]))
        elif kind == "splice":
            held[place:place] = held[place // 2 : place // 2 + 99]
        elif (box := held.find(b"jumb", place)) > 4:
            held[box - 4 : box] = draw(st.binary(min_size=4, max_size=4))
    claimed = draw(st.sampled_from([media_type, *sorted(pool), "", "nonsense", "image/\0png", "application/c2pa"]))
    changed = Signed(bytes(held), None) if file.sidecar is None else Signed(file.data, bytes(held))
    assert read(changed, claimed, ours[1]).state in _STATES


@settings(deadline=None)
@given(junk=st.binary(max_size=300), media_type=st.sampled_from(sorted(SAMPLES)), beside=st.booleans())
def test_random_bytes_hold_nothing(junk: bytes, media_type: str, beside: bool, ours: tuple[Keys, Anchors]) -> None:
    file = Signed(SAMPLES[media_type], junk) if beside else Signed(junk, None)
    reading = read(file, media_type, ours[1])
    assert reading.state in ("fails", "absent")
    assert reading.why.isprintable()
    assert reading.receipt is None
