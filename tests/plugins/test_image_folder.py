"""`image-folder`: conversion of every kind of image, splits, invalid files and the cache."""

from __future__ import annotations

import importlib
import io
import os
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from ganbench import DataError, DatasetContext, ImageData, InvalidImageError, UsageError
from ganbench.data import image_files
from ganbench.testing import DatasetContract
from ganbench_datasets import image_folder
from ganbench_datasets.fashion_mnist.sources import SUBSET
from ganbench_datasets.image_folder import decoded
from ganbench_datasets.image_folder.decoding import DecodedFile, decode

with np.load(SUBSET) as subset:
    CLOTHES = subset["train_images"][:60]  # uint8 (60, 28, 28)
COLORS = CLOTHES.reshape(20, 3, 28, 28).transpose(0, 2, 3, 1)  # uint8 (20, 28, 28, 3), a garment per channel
GRAY, OTHER, COLOR = CLOTHES[0], CLOTHES[1], COLORS[0]


def load(root: Path, **options: Any) -> ImageData:
    context = DatasetContext(data_dir=root, cache_dir=root.parent / "derived", seed=0)
    return image_folder.build(image_folder.ImageFolderOptions(path=root, **{"size": 28, **options}), context)


def save(path: Path, image: np.ndarray | Image.Image, **arguments: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **arguments)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Ten images in each of two classes, one of them in subfolders."""
    for index in range(10):
        save(tmp_path / "photos" / "a" / f"{index}.png", COLORS[index])
        save(tmp_path / "photos" / "b" / f"folder {index % 2}" / f"{index}.png", COLORS[10 + index])
    return tmp_path / "photos"


class TestImageFolder(DatasetContract):
    plugin = image_folder.PLUGIN

    @pytest.fixture(autouse=True)
    def under_test(self, root: Path) -> None:
        type(self).options = {"path": root, "size": 16}


# ---- conversion; at the size of the image, resizing changes nothing


def over_white(color: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    opacity = alpha[..., None] / 255.0 if color.ndim == 3 else alpha / 255.0
    return color * opacity + 255 * (1 - opacity)


def luma(color: np.ndarray) -> np.ndarray:
    return color @ np.array([0.299, 0.587, 0.114])


def rotated(image: Image.Image) -> dict[str, Any]:
    """Return save arguments with an EXIF orientation: rotate by 90 degrees clockwise to display."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return {"exif": exif}


PALETTE = Image.fromarray(COLOR).quantize(16)
CMYK = np.dstack([COLOR, GRAY])
VALID: dict[str, tuple[str, Image.Image, dict[str, Any], np.ndarray]] = {  # suffix, image, arguments, expected
    "RGB": ("png", Image.fromarray(COLOR), {}, COLOR),
    "gray": ("png", Image.fromarray(GRAY), {}, GRAY),
    "black and white": ("png", Image.fromarray(GRAY > 127), {}, (GRAY > 127) * 255),
    "LA": ("png", Image.fromarray(np.dstack([GRAY, OTHER]), "LA"), {}, over_white(GRAY, OTHER)),
    "RGBA": ("png", Image.fromarray(np.dstack([COLOR, OTHER])), {}, over_white(COLOR, OTHER)),
    "palette": ("png", PALETTE, {}, np.array(PALETTE.getpalette()).reshape(-1, 3)[np.array(PALETTE)]),
    "transparent palette": (
        "png",
        PALETTE,
        {"transparency": 0},
        np.array([255, 255, 255, *PALETTE.getpalette()[3:]]).reshape(-1, 3)[np.array(PALETTE)],
    ),
    "CMYK": (
        "tif",
        Image.fromarray(CMYK, "CMYK"),
        {},
        (255 - COLOR.astype(float)) * (255 - GRAY[..., None].astype(float)) / 255,
    ),
    "16 bits": ("png", Image.fromarray(GRAY.astype(np.uint16) * 257), {}, GRAY),
    "transparent color in 16 bits": (
        "png",
        Image.fromarray(GRAY.astype(np.uint16) * 257),
        {"transparency": 0},
        np.where(GRAY == 0, 255, GRAY),
    ),
    "16 bits in TIFF": ("tif", Image.fromarray(GRAY.astype(np.uint16) * 250), {}, GRAY * (250 / 257)),
    "EXIF": ("png", Image.fromarray(COLOR), rotated(Image.fromarray(COLOR)), np.rot90(COLOR, -1)),
    "JPEG": ("jpg", Image.fromarray(np.full((28, 28, 3), (200, 100, 50), np.uint8)), {}, np.array([[[200, 100, 50]]])),
    "GIF": (
        "gif",
        Image.fromarray(GRAY),
        {"save_all": True, "append_images": [Image.fromarray(OTHER)]},
        GRAY,
    ),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", VALID)
def test_each_kind_of_image_is_converted_by_the_stated_rule(kind: str, channels: int, tmp_path: Path) -> None:
    suffix, image, arguments, expected = VALID[kind]
    file = save(tmp_path / f"image.{suffix}", image, **arguments)
    expected = np.broadcast_to(expected, (28, 28, *expected.shape[2:])).astype(float)
    if expected.ndim == 2:
        expected = np.dstack([expected] * 3)
    found = decode(file.read_bytes(), 28, channels).pixels
    assert found.dtype == np.uint8
    wanted = luma(expected)[None] if channels == 1 else expected.transpose(2, 0, 1)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= (3 if kind == "JPEG" else 1)


def test_images_are_cropped_at_the_center_and_resized_with_antialiasing(tmp_path: Path) -> None:
    stripes = np.zeros((64, 192), np.uint8)
    stripes[:, :64], stripes[:, 64:128:2], stripes[:, 128:] = 255, 255, 255  # only the center third has stripes
    found = decode(save(tmp_path / "wide.png", stripes).read_bytes(), 16, 1).pixels
    assert np.abs(found[0, :, 2:-2] - 127.5).max() < 8  # their mean; without antialiasing 0 or 255
    assert found.mean() < 150  # the white parts at the left and the right are cut off
    tall = decode(save(tmp_path / "tall.png", stripes.T).read_bytes(), 16, 1).pixels
    assert np.abs(found[0].T.astype(int) - tall[0]).max() <= 1


@pytest.mark.parametrize(("width", "height"), [(28, 28), (31, 28), (28, 33), (32, 28)])
def test_a_square_of_the_right_size_is_only_cropped(width: int, height: int, tmp_path: Path) -> None:
    pixels = np.tile(GRAY, (2, 2))[:height, :width]
    top, left = (height - 28) // 2, (width - 28) // 2
    found = decode(save(tmp_path / "image.png", pixels).read_bytes(), 28, 1).pixels
    assert np.array_equal(found[0], pixels[top : top + 28, left : left + 28])


def test_transparency_is_applied_before_resizing(tmp_path: Path) -> None:
    """The invisible colors of transparent pixels must not leak into their neighbors."""
    image = np.zeros((64, 64, 4), np.uint8)
    image[:, :32] = (255, 255, 255, 255)  # the right half is transparent black
    found = decode(save(tmp_path / "logo.png", image).read_bytes(), 8, 3).pixels
    assert (found == 255).all()


# ---- invalid files


def odd_files(folder: Path) -> dict[str, str]:
    """Create invalid files in a folder, and return a part of the reason for each."""
    photo = np.asarray(Image.fromarray(COLOR).resize((200, 200)))
    jpeg = save(folder / "truncated.jpg", photo, quality=95)
    jpeg.write_bytes(jpeg.read_bytes()[:2000])
    png = save(folder / "truncated.png", photo)
    png.write_bytes(png.read_bytes()[:-200])
    (folder / "empty.png").touch()
    (folder / "notes.txt").write_text("not an image")
    (folder / "line\nbreak.txt").write_text("not an image")
    (folder / "page.png").write_text("<html>404</html>")
    (folder / "photo.heic").write_bytes(b"\0\0\0\x24ftypheic\0\0\0\0mif1heic")
    save(folder / "one pixel.png", np.zeros((1, 1, 3), np.uint8))
    save(folder / "float.tif", Image.fromarray(GRAY / np.float32(255)))
    save(folder / "integer.tif", Image.fromarray(GRAY.astype(np.int32)))
    save(folder / "unreadable.png", COLOR)
    (folder / "loop").symlink_to(folder.parent)
    (folder / "itself.png").symlink_to("itself.png")
    (folder / "broken.png").symlink_to("nowhere.png")
    os.mkfifo(folder / "pipe.png")
    return {
        "truncated.jpg": "truncated",
        "truncated.png": "truncated",
        "empty.png": "0 bytes",
        "notes.txt": "not an image",
        r"line\nbreak.txt": "not an image",
        "page.png": "not an image",
        "photo.heic": "HEIC or AVIF, which Pillow cannot read; convert it to JPEG or PNG (for new photos of an iPhone",
        "one pixel.png": "only 1x1 pixels",
        "float.tif": "floating-point",
        "integer.tif": "32-bit integer",
        "unreadable.png": "unreadable: Permission denied",
        "loop": "symbolic link to a folder that contains it",
        "itself.png": "loop of symbolic links",
        "broken.png": "broken symbolic link",
        "pipe.png": "not a regular file",
    }


@pytest.fixture
def invalid(root: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Invalid files among valid ones, and a part of the reason for each."""
    reasons = {f"a/{name}": reason for name, reason in odd_files(root / "a").items()}
    (root / "README.md").write_text("about the photos")
    (root / ".DS_Store").write_text("hidden files are ignored")
    reasons["README.md"] = "not in the folder of a class"
    opened = Path.open

    def refuse(path: Path, *arguments: Any, **named: Any) -> Any:  # permissions do not restrict root
        if path.name == "unreadable.png":
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments, **named)

    monkeypatch.setattr(Path, "open", refuse)
    return reasons


def assert_named(invalid: dict[str, str], message: str) -> None:
    """Assert that a message names each invalid file with its reason, and files with the same reason together."""
    for name, reason in invalid.items():
        assert re.search(rf"{re.escape(name)}(, [^()]+)? \({re.escape(reason)}", message), name
    assert r"a/line\nbreak.txt, a/notes.txt, a/page.png (not an image of a known format)" in message


def test_one_error_names_all_invalid_files_with_the_reason(root: Path, invalid: dict[str, str]) -> None:
    for _ in range(2):  # the second time from the cache
        with pytest.raises(DataError, match=f"{len(invalid)} files in {root} cannot be used") as raised:
            load(root)
        message = str(raised.value)
        assert "\n" not in message
        assert "dataset.skip_invalid=true" in message
        assert_named(invalid, message)


def test_invalid_files_are_skipped_on_request_and_named_in_a_notice(root: Path, invalid: dict[str, str]) -> None:
    data = load(root, skip_invalid=True, test_fraction=0)
    assert torch.equal(data.train.tensors[0], torch.tensor(COLORS.transpose(0, 3, 1, 2))[ORDER])
    assert data.train.tensors[1].tolist() == [0] * 10 + [1] * 10
    assert data.notice is not None
    assert_named(invalid, data.notice)


# class a, then b: the even images are in the first subfolder
ORDER = [*range(10), *range(10, 20, 2), *range(11, 20, 2)]


def test_enlarged_images_and_stacks_are_in_the_notice(root: Path) -> None:
    save(root / "a" / "stack.tif", COLOR, save_all=True, append_images=[Image.fromarray(COLOR)])
    save(root / "a" / "large.jpg", np.asarray(Image.fromarray(COLOR).resize((56, 56))))
    for _ in range(2):  # the second time from the cache
        assert "ENLARGED" not in str(load(root).notice)
        assert str(load(root, size=32).notice).endswith(
            "ENLARGED 21 images to 32x32 pixels; USED ONLY THE FIRST PAGE of 1 file"
        )


def test_the_preview_in_a_raw_photo_is_invalid(root: Path) -> None:
    save(root / "a" / "photo.nef", Image.fromarray(COLOR), format="TIFF", tiffinfo={254: 1})
    with pytest.raises(DataError, match=r"a/photo.nef \(only the preview in a raw photo can be read; convert it"):
        load(root)


def test_white_may_be_zero_in_16_bits(tmp_path: Path) -> None:
    content = save(tmp_path / "gray.tif", Image.fromarray(GRAY.astype(np.uint16) * 257)).read_bytes()
    black_is_zero, white_is_zero = (struct.pack("<HHII", 262, 3, 1, value) for value in (1, 0))
    assert content.count(black_is_zero) == 1
    found = decode(content.replace(black_is_zero, white_is_zero), 28, 1).pixels
    assert np.array_equal(found[0], 255 - GRAY)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.98])
def test_a_file_without_all_pixels_is_never_accepted(share: float, tmp_path: Path) -> None:
    for name in ("photo.jpg", "photo.png", "photo.gif", "photo.bmp", "photo.webp"):
        content = save(tmp_path / name, np.asarray(Image.fromarray(COLOR).resize((200, 200)))).read_bytes()
        with pytest.raises(InvalidImageError):
            decode(content[: int(share * len(content))], 28, 3)


def test_names_that_are_not_utf_8_are_printable(root: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    try:
        (root / "a" / name).write_text("no image")
    except OSError:
        pytest.skip("the file system accepts only UTF-8")
    data = load(root, skip_invalid=True)
    assert data.notice is not None
    assert "caf\\" in data.notice.encode("utf-8").decode()


# ---- splits and classes


def test_train_and_test_are_split_by_folders(root: Path, tmp_path: Path) -> None:
    both = tmp_path / "both"
    shutil.copytree(root, both / "train")
    for name in ("a", "b"):
        save(both / "test" / name / "0.png", COLORS[5])
    data = load(both)
    assert len(data.train) == 20
    assert torch.equal(data.test.tensors[0], torch.tensor(COLORS[[5, 5]].transpose(0, 3, 1, 2)))
    assert data.test.tensors[1].tolist() == [0, 1]
    assert data.notice is None
    (both / "val").mkdir()
    assert "NOT USED, because it is not in the folder train or test: val" in str(load(both).notice)


def test_without_a_folder_test_a_seed_selects_the_test_images(root: Path) -> None:
    def images(split: Any) -> set[bytes]:
        return {image.numpy().tobytes() for image in split.tensors[0]}

    data = load(root, test_fraction=0.25)
    assert (len(data.train), len(data.test)) == (15, 5)
    assert images(data.train) | images(data.test) == images(load(root, test_fraction=0).train)
    assert not images(data.train) & images(data.test)
    assert images(load(root, test_fraction=0.25).test) == images(data.test)
    assert images(load(root, test_fraction=0.25, split_seed=1).test) != images(data.test)
    assert load(root, test_fraction=0).test is None


def test_images_without_subfolders_have_no_classes(root: Path) -> None:
    data = load(root / "a")
    assert data.num_classes == 1
    assert not data.train.tensors[1].any()


def arrange_two_images(root: Path) -> None:
    for file in [*(root / "a").glob("[1-9].png"), *(root / "b").glob("*/[1-9].png")]:
        file.unlink()


def arrange_test_only(root: Path) -> None:
    (root / "a").rename(root / "test")


def arrange_other_names(root: Path) -> None:
    (root / "a").rename(root / "Training")
    (root / "b").rename(root / "Test")


def arrange_other_classes(root: Path) -> None:
    shutil.copytree(root, root.parent / "copy")
    shutil.move(root.parent / "copy", root / "train")
    shutil.rmtree(root / "train" / "b")
    (root / "test").mkdir()
    for name in ("a", "b"):
        (root / name).rename(root / "test" / name)


def arrange_empty(root: Path) -> None:
    shutil.rmtree(root)
    root.mkdir()


MISTAKES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "two images": (arrange_two_images, "has 2 images, which test_fraction = 0.1 splits into 2 for training and 0"),
    "empty class": (lambda root: (root / "c").mkdir(), "no images in {root}/c. Each folder in {root} is a class"),
    "nothing": (arrange_empty, "no images in {root}; set dataset.path"),
    "only test": (arrange_test_only, "{root} has a folder test, but no folder train"),
    "other names": (arrange_other_names, "{root} has the folders Training and Test, which would be classes; rename"),
    "validation": (
        lambda root: ((root / "a").rename(root / "Train"), (root / "b").rename(root / "val")),
        "{root} has the folders Train and val, which would be classes; rename",
    ),
    "other classes": (arrange_other_classes, "must have the same classes, but only one of them has b"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_explained(mistake: str, root: Path) -> None:
    arrange, message = MISTAKES[mistake]
    arrange(root)
    with pytest.raises(DataError) as raised:
        load(root)
    assert message.format(root=root) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_class_whose_images_are_all_skipped_is_an_error(root: Path) -> None:
    (root / "c").mkdir()
    (root / "c" / "empty.png").touch()
    with pytest.raises(DataError, match="no valid images for c"):
        load(root, skip_invalid=True)


def test_a_class_without_training_images_is_in_the_notice(root: Path, tmp_path: Path) -> None:
    root.rename(tmp_path / "train")
    (tmp_path / "train" / "c").mkdir()
    (tmp_path / "train" / "c" / "empty.png").touch()
    for name in "abc":
        save(tmp_path / "test" / name / "0.png", COLORS[0])
    data = load(tmp_path, skip_invalid=True)
    assert data.num_classes == 3
    assert "NO TRAINING IMAGES, only test images, in the classes c" in str(data.notice)


def test_the_folder_is_required_and_must_exist(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"-o dataset\.path=FOLDER"):
        image_folder.build(image_folder.ImageFolderOptions(), DatasetContext(tmp_path, tmp_path, 0))
    with pytest.raises(UsageError, match="typo: no such folder"):
        load(tmp_path / "typo")


def test_a_relative_folder_is_named_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=re.escape(f"image-folder: {tmp_path / 'photos'}: no such folder")):
        load(Path("photos"))


def test_a_folder_below_the_home_folder_is_found(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(root.parent))
    assert len(load(Path("~/photos")).train) == 18


# ---- the cache


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The length of each file that is decoded."""
    calls: list[int] = []

    def counted(content: bytes, size: int, channels: int) -> DecodedFile:
        calls.append(len(content))
        return decode(content, size, channels)

    monkeypatch.setattr(decoded, "decode", counted)
    return calls


def test_images_are_decoded_once_and_memory_mapped(root: Path, decodings: list[int]) -> None:
    first, again = load(root), load(root)
    assert len(decodings) == 20
    assert torch.equal(first.train.tensors[0], again.train.tensors[0])
    assert first.fingerprint == again.fingerprint
    moved = root.rename(root.with_name("moved"))
    assert load(moved).fingerprint == first.fingerprint
    assert len(decodings) == 20  # the location is no part of the content
    assert isinstance(decoded.decoded_images([moved / "a" / "0.png"], moved, 28, 3, moved).images, np.memmap)


CHANGES: dict[str, tuple[Callable[[Path], Any], dict[str, Any]]] = {
    "content": (lambda root: save(root / "a" / "0.png", COLORS[19]), {}),
    "another file": (lambda root: save(root / "a" / "10.png", COLORS[19]), {}),
    "another class": (lambda root: (root / "a" / "9.png").rename(root / "b" / "9.png"), {}),
    "size": (lambda _: None, {"size": 14}),
    "channels": (lambda _: None, {"channels": 1}),
    "seed": (lambda _: None, {"split_seed": 5}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_fingerprint_changes_with_the_files_and_the_options(change: str, root: Path) -> None:
    apply, options = CHANGES[change]
    before = load(root).fingerprint
    apply(root)
    assert load(root, **options).fingerprint != before


def test_a_file_that_changes_but_keeps_size_and_time_is_decoded_again(root: Path) -> None:
    file = save(root / "a" / "0.bmp", COLORS[0])
    load(root)
    status = file.stat()
    save(file, COLORS[19])
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert torch.equal(load(root, test_fraction=0).train[0][0], torch.tensor(COLORS[19].transpose(2, 0, 1)))


@pytest.mark.parametrize("change", ["replaced", "unreadable"])
def test_a_file_that_changes_while_it_is_read_is_not_cached(
    change: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = decoded.file_sha256

    def hash_then_change(path: Path) -> str:
        digest = hashed(path)
        if path == root / "a" / "0.png":
            save(path, COLORS[19]) if change == "replaced" else path.unlink()
        return digest

    monkeypatch.setattr(decoded, "file_sha256", hash_then_change)
    with pytest.raises(DataError, match=r"0\.png: (changed while it was read|.*, but it was readable before)"):
        load(root)
    monkeypatch.setattr(decoded, "file_sha256", hashed)
    save(root / "a" / "0.png", COLORS[19])
    assert torch.equal(load(root, test_fraction=0).train[0][0], torch.tensor(COLORS[19].transpose(2, 0, 1)))


def test_images_are_decoded_again_by_other_code(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load(root)
    (tmp_path / "inverted.py").write_text(
        "from ganbench_datasets.image_folder import decoding\n\n"
        "def decode(*arguments):\n    image = decoding.decode(*arguments)\n"
        "    return image._replace(pixels=255 - image.pixels)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(decoded, "decode", importlib.import_module("inverted").decode)
    after = load(root)
    assert torch.equal(after.train.tensors[0], 255 - before.train.tensors[0])
    assert after.fingerprint != before.fingerprint


def test_a_corrupt_cache_is_replaced(root: Path, decodings: list[int]) -> None:
    fingerprint = load(root).fingerprint
    (cached,) = (root.parent / "derived" / "image-folder").glob("*.npy")
    content = cached.read_bytes()
    cached.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert load(root).fingerprint == fingerprint
    assert len(decodings) == 40
    assert cached.read_bytes() == content


def test_the_error_for_a_cache_that_cannot_be_written_names_it(root: Path) -> None:
    (root.parent / "derived").write_text("a file where the folder should be")
    with pytest.raises(DataError, match=f"cannot write the decoded images to {root.parent}/derived/image-folder"):
        load(root)


@pytest.mark.parametrize("min_threaded", [0, 2**30], ids=["threads", "one thread"])
def test_files_are_decoded_in_order_across_chunks(
    min_threaded: int, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"CHUNK": 7, "PART": 2, "MIN_THREADED": min_threaded}.items():
        monkeypatch.setattr(image_files, name, value)
    expected = torch.tensor(COLORS.transpose(0, 3, 1, 2))[ORDER]
    assert torch.equal(load(root, test_fraction=0).train.tensors[0], expected)


def test_progress_is_shown_on_a_terminal_only(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    load(root)
    assert capsys.readouterr() == ("", "")
    shown = io.StringIO()

    def terminal(stderr: bool) -> Console:
        assert stderr
        return Console(file=shown, force_terminal=True)

    monkeypatch.setattr(decoded, "Console", terminal)
    load(root, size=14)
    assert "reading images" in shown.getvalue()
    assert "decoding images" in shown.getvalue()
