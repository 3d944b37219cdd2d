"""Folders of pictures: what is opened is what was saved, and hostile or damaged files are named before harm is done."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from makar.core.errors import MakarError
from makar.data import load


def picture(seed: int, height: int = 6, width: int = 6, channels: int = 3) -> np.ndarray:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return values


def save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values[..., 0] if values.shape[2] == 1 else values).save(path)


def classes_of(folder: Path, count: int = 6) -> dict[bytes, str]:
    """Two class folders of pictures; the class of each by its bytes."""
    known = {}
    for k, name in enumerate(("cats", "dogs")):
        for i in range(count):
            values = picture(100 * k + i)
            save(folder / name / f"{i}.png", values)
            known[values.tobytes()] = name
    return known


def test_pictures_and_classes_are_those_of_the_folders(tmp_path: Path) -> None:
    known = classes_of(tmp_path)
    (tmp_path / "notes.md").write_text("about")
    (tmp_path / ".hidden.png").write_text("")
    data = load(f"folder:{tmp_path}")
    assert (data.modality, data.levels, data.classes) == ("pictures", 256, ("cats", "dogs"))
    assert len(data.train) + len(data.held_out) == 12
    for split in (data.train, data.held_out):
        assert split.labels is not None
        for thing, label in zip(split.things, split.labels, strict=True):
            assert known[thing.tobytes()] == data.classes[label]
    assert "1 files that are not pictures were passed over" in data.manifest.notes
    assert load(str(tmp_path)).manifest == data.manifest  # a bare path says enough


def test_grey_colour_and_sizes(tmp_path: Path) -> None:
    for i in range(4):
        save(tmp_path / f"{i}.png", picture(i, 8 + i, 12, 1))
    with pytest.raises(MakarError, match=r"pictures of 4 sizes \(1 of 12 x 8.*--size 32"):
        load(f"folder:{tmp_path}")
    assert load(f"folder:{tmp_path}", size=5).train.things[0].shape == (5, 5, 1)
    assert load(f"folder:{tmp_path}", size=5, colour="colour").train.things[0].shape == (5, 5, 3)
    save(tmp_path / "c.png", picture(9))
    assert load(f"folder:{tmp_path}", size=5).train.things[0].shape == (5, 5, 3)
    assert load(f"folder:{tmp_path}", size=5, colour="grey").train.things[0].shape == (5, 5, 1)
    with pytest.raises(MakarError, match="size is 0"):
        load(f"folder:{tmp_path}", size=0)


def test_the_middle_square_is_taken(tmp_path: Path) -> None:
    for i in range(3):
        values = np.zeros((4, 12, 1), np.uint8)
        values[:, 4:8] = 200 + i
        save(tmp_path / f"{i}.png", values)
    data = load(f"folder:{tmp_path}", size=4)
    assert all((thing >= 200).all() for thing in data.train.things)


def test_the_folders_own_split(tmp_path: Path) -> None:
    for i in range(5):
        save(tmp_path / "train" / "a" / f"{i}.png", picture(i))
    for i in range(3):
        save(tmp_path / "test" / "a" / f"{i}.png", picture(4 + i))
    data = load(f"folder:{tmp_path}")
    assert (len(data.train), len(data.held_out), data.classes) == (4, 3, ("a",))
    assert "1 training items were dropped because they are among the held-out ones" in data.manifest.notes
    assert data.manifest.split.startswith("the data's own")


def test_links_and_roundabout_paths_are_fine(tmp_path: Path) -> None:
    classes_of(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    one = load(f"folder:{tmp_path}/link").manifest
    two = load(f"folder:{tmp_path}/real/cats/../../real").manifest
    assert one == two
    assert one.name == "folder:real"


def test_transparent_deep_palette_and_animated_pictures(tmp_path: Path) -> None:
    clear = np.zeros((6, 6, 4), np.uint8)
    clear[:3] = (10, 20, 30, 255)
    Image.fromarray(clear).save(tmp_path / "clear.png")
    deep = np.full((6, 6), 65535, np.uint16)
    deep[0] = 257 * 100
    Image.fromarray(deep).save(tmp_path / "deep.png")
    Image.fromarray(picture(1)).quantize(8).save(tmp_path / "palette.png")
    frames = [Image.fromarray(picture(i)) for i in (2, 3)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    data = load(f"folder:{tmp_path}", held_out=1)
    things = {thing.tobytes() for thing in [*data.train.things, *data.held_out.things]}
    white = np.full((6, 6, 3), 255, np.uint8)
    white[:3] = (10, 20, 30)
    assert white.tobytes() in things
    assert np.stack([np.rint(deep / 257).astype(np.uint8)] * 3, -1).tobytes() in things
    notes = " ".join(data.manifest.notes)
    for part in ("transparent", "8 bits", "several frames"):
        assert f"1 pictures {part}" in notes or part in notes


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_deep_pictures_keep_their_levels_and_their_brightness_beside_each_other(tmp_path: Path, bits: int) -> None:
    """A camera's bits within a file of 16: all on one scale, the least depth that holds them all."""
    top = 2**bits - 1
    bright = np.linspace(0, top, 256).reshape(16, 16).astype(np.uint16)
    for name, values in (("a", bright), ("b", bright // 2), ("c", bright // 4)):
        Image.fromarray(values).save(tmp_path / f"{name}.png")
    data = load(f"folder:{tmp_path}", held_out=1)
    most = sorted(int(thing.max()) for thing in [*data.train.things, *data.held_out.things])
    assert most == [64, 127, 255] or most == [63, 127, 255]
    assert max(len(np.unique(thing)) for thing in [*data.train.things, *data.held_out.things]) == 256
    assert f"3 pictures were reduced to 8 bits, all on one scale from 0 to {top:,}" in data.manifest.notes


def test_pictures_of_fractions_share_a_scale(tmp_path: Path) -> None:
    for name, most in (("dark", 0.25), ("bright", 1.0)):
        values = np.linspace(0, most, 64, dtype=np.float32).reshape(8, 8)
        Image.fromarray(values).save(tmp_path / f"{name}.tiff")
    data = load(f"folder:{tmp_path}", held_out=1)
    assert sorted(int(t.max()) for t in [*data.train.things, *data.held_out.things]) == [64, 255]
    assert not any("turned" in note for note in data.manifest.notes), "a TIFF without an orientation was not turned"


def test_pictures_that_use_few_levels_are_said_to(tmp_path: Path) -> None:
    for k in range(3):
        save(tmp_path / f"{k}.png", np.full((6, 6, 3), 10 + k, np.uint8))
    assert any("brighter than 12 of 255" in note for note in load(f"folder:{tmp_path}", held_out=1).manifest.notes)


def test_what_systems_and_tools_leave_about_is_passed_over(tmp_path: Path) -> None:
    for folder in ("one", ".ipynb_checkpoints", "__MACOSX/one", "one/.thumbs", "@eaDir/one", "$RECYCLE.BIN"):
        for k in range(3):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            save(tmp_path / folder / f"{k}.png", picture(10 * len(folder) + k))
    (tmp_path / "one" / "Thumbs.db").write_bytes(b"thumbs")
    data = load(f"folder:{tmp_path}", held_out=1)
    assert data.classes == ("one",)
    assert sum(data.manifest.counts.values()) == 3
    assert data.manifest.notes == load(f"folder:{tmp_path}", held_out=1).manifest.notes
    assert not any("passed over" in note for note in data.manifest.notes)


@pytest.mark.parametrize("suffix", ["png", "tiff", "jpg"])
def test_pictures_are_turned_as_the_camera_says_and_only_then(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 1
    exif[0x0131] = "a camera's own words"
    for k in range(3):
        Image.fromarray(picture(k, 4, 8)).save(tmp_path / f"{k}.{suffix}", exif=exif)
    assert not any("turned" in note for note in load(f"folder:{tmp_path}", held_out=1).manifest.notes)
    exif[0x0112] = 6
    for k in range(3):
        Image.fromarray(picture(k, 4, 8)).save(tmp_path / f"{k}.{suffix}", exif=exif)
    data = load(f"folder:{tmp_path}", held_out=1)
    assert any("3 pictures were turned" in note for note in data.manifest.notes)
    assert data.train.things[0].shape == (8, 4, 3)


def test_pictures_are_turned_as_the_camera_says(tmp_path: Path) -> None:
    values = picture(5, 4, 4)
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn a quarter clockwise to view
    Image.fromarray(values).save(tmp_path / "a.png", exif=exif)
    save(tmp_path / "b.png", picture(6, 4, 4))
    data = load(f"folder:{tmp_path}", held_out=1)
    turned = np.rot90(values, -1)
    assert turned.tobytes() in {t.tobytes() for t in [*data.train.things, *data.held_out.things]}
    assert any("turned" in note for note in data.manifest.notes)


def test_a_damaged_file_is_named_or_skipped(tmp_path: Path) -> None:
    classes_of(tmp_path)
    whole = (tmp_path / "cats" / "0.png").read_bytes()
    for name, content in (("cut.png", whole[:-30]), ("no.jpg", b"hello"), ("empty.png", b"")):
        bad = tmp_path / "cats" / name
        bad.write_bytes(content)
        with pytest.raises(MakarError, match=rf"{name} cannot be used: .*skip_bad=True"):
            load(f"folder:{tmp_path}")
        data = load(f"folder:{tmp_path}", skip_bad=True)
        assert len(data.train) + len(data.held_out) == 12
        assert f"1 files that cannot be read were left out: {name}" in data.manifest.notes
        bad.unlink()


def bomb(side: int) -> bytes:
    """A PNG of side x side pixels whose data would unfold without end; it is a few bytes long."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(("side", "said"), [(50_000, "64,000,000 pixels"), (9_000, "9000 x 9000 pixels")])
def test_a_picture_too_large_is_refused_by_its_header(tmp_path: Path, side: int, said: str) -> None:
    classes_of(tmp_path)
    (tmp_path / "cats" / "bomb.png").write_bytes(bomb(side))
    with pytest.raises(MakarError, match=rf"bomb\.png cannot be used: it has .*{said}"):
        load(f"folder:{tmp_path}")
    assert len(load(f"folder:{tmp_path}", skip_bad=True).train) == 10


def test_folders_without_pictures_and_files(tmp_path: Path) -> None:
    with pytest.raises(MakarError, match="holds no picture"):
        load(f"folder:{tmp_path}")
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(MakarError, match="holds no picture"):
        load(f"folder:{tmp_path}")
    with pytest.raises(MakarError, match="is a file"):
        load(f"folder:{tmp_path / 'a.txt'}")
    save(tmp_path / "one.png", picture(0))
    with pytest.raises(MakarError, match="holds 1 items"):
        load(f"folder:{tmp_path}")
    (tmp_path / "two.png").write_bytes((tmp_path / "one.png").read_bytes())
    with pytest.raises(MakarError, match="identical"):
        load(f"folder:{tmp_path}")
