"""Labels: people can see them, machines can read them, and where they cannot be put on the reason is given."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from makar.core.errors import MakarError
from makar.provenance import labels
from makar.provenance.labels import FIELDS, Kind
from tests.verbs.outgoing import receipt

KINDS: tuple[Kind, ...] = ("eu", "cn")
ENDINGS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}
MADE = labels.aigc_fields(receipt(b"x", "pictures"), producer='作者 <&> "Makar"')


def encoded(media_type: str, side: int = 64, mode: str = "RGB", **options: Any) -> bytes:
    generator = np.random.Generator(np.random.PCG64(side))
    channels = len(mode)
    pixels = generator.integers(0, 256, (side, side + 3, channels), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(buffer, format=ENDINGS[media_type], **options)
    return buffer.getvalue()


def pixels(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(64, 64, 3), (300, 64, 1), (100, 400, 3), (1000, 1400, 3)])
@pytest.mark.parametrize("shade", [0, 128, 255])
def test_a_label_is_seen_on_any_ground(kind: Kind, shape: tuple[int, int, int], shade: int) -> None:
    picture = np.full(shape, shade, np.uint8)
    done = labels.visible(picture, kind)
    assert not isinstance(done, str)
    changed = np.argwhere((done != picture).any(-1))
    top, left = changed.min(0)
    assert done.shape == shape
    assert (picture == shade).all()  # the one that was given is as it was
    box = done[top:, left:, 0].astype(int)
    assert box.max() - box.min() > 150  # light strokes on a dark ground
    assert box.size < 0.25 * shape[0] * shape[1]
    bright = np.argwhere(done[top:, left:, 0] > 128)
    if shade != 255:
        height = bright[:, 0].max() - bright[:, 0].min() + 1
        assert height >= labels.SHARE * min(shape[:2])  # GB 45438-2025


def test_the_two_labels_differ_and_are_the_same_at_every_call() -> None:
    picture = np.zeros((64, 64, 3), np.uint8)
    eu, cn = (labels.visible(picture, kind) for kind in KINDS)
    assert not np.array_equal(eu, cn)
    assert np.array_equal(eu, labels.visible(picture, "eu"))


def test_pictures_of_few_levels_keep_them() -> None:
    done = labels.visible(np.zeros((64, 64, 1), np.uint8), "eu", levels=4)
    assert not isinstance(done, str)
    assert set(np.unique(done)) <= {0, 1, 2, 3}
    assert done.max() == 3


def test_too_small_a_picture_is_refused_with_the_reason() -> None:
    small = labels.visible(np.zeros((8, 8, 1), np.uint8), "eu")
    assert small == "no label is legible in 8 by 8 pixels; at least 32 by 32 are needed"
    narrow = labels.visible(np.zeros((40, 40, 3), np.uint8), "cn")
    assert isinstance(narrow, str)
    assert "needs 48 pixels of width, and the picture has 40" in narrow


@pytest.mark.parametrize("kind", KINDS)
def test_texts_bear_the_label_once(kind: Kind) -> None:
    done = labels.visible_text("a boat\nat sea", kind)
    assert done.splitlines()[0] == f"[{labels.LINES[kind]}]"
    assert done.endswith("\na boat\nat sea")
    assert labels.visible_text(done, kind) == done
    assert labels.has_visible_text(done, kind)
    assert not labels.has_visible_text("a boat", kind)


@pytest.mark.parametrize(
    ("media_type", "mode", "options"),
    [
        ("image/png", "RGB", {}),
        ("image/png", "L", {}),
        ("image/png", "RGBA", {}),
        ("image/jpeg", "RGB", {}),
        ("image/jpeg", "L", {"progressive": True}),
        ("image/webp", "RGB", {}),
        ("image/webp", "RGB", {"lossless": True}),
        ("image/webp", "RGBA", {"lossless": True}),
        ("image/webp", "RGB", {"icc_profile": b"made up"}),
    ],
)
@pytest.mark.parametrize("side", [33, 64])
def test_the_field_is_read_back_and_no_pixel_changes(
    media_type: str, mode: str, options: dict[str, Any], side: int
) -> None:
    data = encoded(media_type, side, mode, **options)
    done = labels.with_metadata(data, media_type, MADE)
    assert labels.read_metadata(data, media_type) is None
    assert labels.read_metadata(done, media_type) == MADE
    assert np.array_equal(pixels(done), pixels(data))
    assert b"TC260" in done
    with pytest.raises(MakarError, match="has XMP already"):
        labels.with_metadata(done, media_type, MADE)


def test_a_png_says_it_twice_as_readers_look_for_it() -> None:
    """In the text chunk AIGC and in XMP: what others' readers look for."""
    done = labels.with_metadata(encoded("image/png"), "image/png", MADE)
    with Image.open(io.BytesIO(done)) as image:
        image.load()
        assert image.info["AIGC"].startswith('{"Label":"1","ContentProducer":')
        assert "http://www.tc260.org.cn/ns/AIGC/1.0/" in image.info["XML:com.adobe.xmp"]
        assert "TC260" not in image.info["AIGC"]


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/webp"])
def test_other_readers_find_the_xmp(media_type: str) -> None:
    done = labels.with_metadata(encoded(media_type), media_type, MADE)
    with Image.open(io.BytesIO(done)) as image:
        image.load()
        assert b"TC260:AIGC" in image.info["xmp"]


def test_the_fields_are_those_of_the_standard() -> None:
    assert tuple(MADE) == FIELDS
    assert MADE["Label"] == "1"
    with pytest.raises(MakarError, match="in this order"):
        labels.with_metadata(encoded("image/png"), "image/png", {"Label": "1"})


def test_files_without_a_place_for_it_are_refused() -> None:
    for media_type in ("text/plain", "audio/wav", "text/csv"):
        with pytest.raises(MakarError, match="no metadata field is known"):
            labels.with_metadata(b"x", media_type, MADE)


@pytest.mark.parametrize("media_type", list(ENDINGS))
def test_damaged_files_are_one_sentence(media_type: str) -> None:
    done = labels.with_metadata(encoded(media_type, 8), media_type, MADE)
    for end in range(0, len(done), 7):
        try:
            labels.read_metadata(done[:end], media_type)
        except MakarError:
            continue
    for data in (b"", b"\x00" * 100, done[:4], done[:13]):
        with pytest.raises(MakarError):
            labels.read_metadata(data, media_type)


@given(st.binary(max_size=200), st.sampled_from(list(ENDINGS)))
def test_whatever_claims_to_be_a_picture_raises_nothing_else(data: bytes, media_type: str) -> None:
    heads = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8", "image/webp": b"RIFF\x00\x00\x00\x00WEBP"}
    for given_bytes in (data, heads[media_type] + data):
        try:
            labels.read_metadata(given_bytes, media_type)
            labels.with_metadata(given_bytes, media_type, MADE)
        except MakarError:
            continue


def test_a_field_that_is_no_json_is_an_error() -> None:
    done = labels.with_metadata(encoded("image/png"), "image/png", MADE)
    with pytest.raises(MakarError, match="not JSON"):
        labels.read_metadata(done.replace(b'AIGC\x00{"La', b"AIGC\x00xxLa"), "image/png")
