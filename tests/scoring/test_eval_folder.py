"""Folders of images for `ganbench eval`: which are chosen, and errors that name files and disks."""

from __future__ import annotations

import os
import resource
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image

from ganbench import DataError, UsageError
from ganbench.scoring.eval.samples import load_samples
from ganbench_datasets.fashion_mnist.sources import embedded_subset

IMAGES = embedded_subset().test.tensors[0][:20].numpy()
SHAPE = (1, 28, 28)


def pngs(folder: str, images: Any = IMAGES[:, 0]) -> Path:
    Path(folder).mkdir(parents=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(Path(folder) / f"{number}.png")
    return Path(folder)


def test_the_first_images_of_some_folders_only_are_warned_of() -> None:
    for name in ("a", "b", "c"):
        pngs(f"x/{name}", IMAGES[:4, 0])
    (warning, _) = load_samples(Path("x"), SHAPE, count=8).warnings
    assert "the first 8 of 12 images by path are from 2 of 3 folders; if these are classes" in warning
    assert not any("folders" in warning for warning in load_samples(Path("x"), SHAPE, count=9).warnings)
    assert not any("folders" in warning for warning in load_samples(Path("x/a"), SHAPE, count=2).warnings)


def test_names_are_shown_in_one_line() -> None:
    folder = pngs("x")
    (folder / "line\nbreak.txt").write_text("no image")
    (folder / os.fsdecode(b"caf\xe9.txt")).write_text("no image")
    with pytest.raises(UsageError, match=r"caf\\udce9.txt \(not an image.*line\\nbreak.txt \(not an image") as raised:
        load_samples(folder, SHAPE)
    assert "\n" not in str(raised.value)
    str(raised.value).encode()


def test_a_full_disk_is_named_with_the_remedy() -> None:
    folder = pngs("x")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(
            DataError, match=r"x: cannot write the decoded images to .*: File too large; free space there"
        ):
            load_samples(folder, SHAPE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    ("other", "message"), [(56, "its images have 56x56 pixels"), (28, r"images of 2 sizes .*: 20 of 56x56 such as")]
)
def test_images_of_another_size_are_refused_before_they_are_decoded(
    other: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    larger = IMAGES[:, 0].repeat(2, axis=1).repeat(2, axis=2)
    folder = pngs("x", larger)
    pngs("x/other", larger[:1, :other, :other])
    monkeypatch.setattr("ganbench.scoring.eval.folder.decode_image", lambda *_: pytest.fail("decoded"))
    with pytest.raises(UsageError, match=message):
        load_samples(folder, SHAPE)


def test_photos_of_another_size_are_refused_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("x").mkdir()
    Image.fromarray(IMAGES[0, 0, :20]).save("x/0.jpg")
    monkeypatch.setattr("ganbench.scoring.eval.folder.decode_image", lambda *_: pytest.fail("decoded"))
    with pytest.raises(UsageError, match="its images have 20x28 pixels"):
        load_samples(Path("x"), SHAPE)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_the_size_is_that_after_a_rotation_by_exif(suffix: str) -> None:
    Path("x").mkdir()
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    for number, image in enumerate(IMAGES[:2, 0]):
        Image.fromarray(image[:20]).save(f"x/{number}.{suffix}", exif=exif)
    assert load_samples(Path("x"), (1, 28, 20)).shape == (1, 28, 20)


def test_an_exif_rotation_after_the_pixels_of_a_png_file_is_applied() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    for path in pngs("x", IMAGES[:2, 0, :20]).iterdir():
        content, kind = path.read_bytes(), b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
        chunk = struct.pack(">I", len(kind) - 4) + kind + struct.pack(">I", zlib.crc32(kind))
        path.write_bytes(content[:-12] + chunk + content[-12:])  # before IEND
    assert load_samples(Path("x"), (1, 28, 20)).shape == (1, 28, 20)
