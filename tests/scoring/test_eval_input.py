"""Wrong inputs of `ganbench eval`: one paragraph says what was found and what to do."""

from __future__ import annotations

import re
import shlex
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import run_command
from PIL import Image

from ganbench import UsageError
from ganbench.scoring.eval.samples import load_samples
from ganbench_datasets.fashion_mnist.sources import embedded_subset

IMAGES = embedded_subset().test.tensors[0][:20].numpy()
SHAPE = (1, 28, 28)


def pngs(folder: str, images: Any = IMAGES[:, 0], size: Callable[[int], int] = lambda _: 28) -> Path:
    Path(folder).mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).resize((size(number), size(number))).save(Path(folder) / f"{number}.png")
    return Path(folder)


def cut_short(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def saved(array: Any, name: str = "x.npy") -> Path:
    np.save(name, array, allow_pickle=True)
    return Path(name)


def archived(**arrays: Any) -> Path:
    np.savez("x.npz", **arrays)
    return Path("x.npz")


def with_changed_byte(path: Path) -> Path:
    np.savez_compressed(path, images=IMAGES)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    return path


def zipped(path: str, name: str, file: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(file, name)
    return Path(path)


def with_file(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder


def nan() -> Any:
    images = IMAGES / np.float32(255)
    images[0, 0, 0, :3] = np.nan
    return images


WRONG: dict[str, tuple[Callable[[], Path], str]] = {
    "missing": (
        lambda: Path("nowhere"),
        "nowhere: no such file or folder; give a folder of images, a .npy or .npz file",
    ),
    "other file": (lambda: with_file(Path(), "x.pt", "x") / "x.pt", "x.pt: neither a folder nor a NumPy file; give"),
    "empty folder": (lambda: pngs("x", []), "x: contains no files; give a folder with images, at any depth"),
    "no images": (
        lambda: with_file(pngs("x", []), "a.txt", "text"),
        r"x: its only file is not an image: a.txt \(not an image of a known format\)",
    ),
    "other files": (
        lambda: with_file(pngs("x"), "labels.csv", "1"),
        r"x: 1 of its files cannot be used as images: labels.csv \(not an image of a known format\). Remove or repair",
    ),
    "photo of an iPhone": (
        lambda: with_file(pngs("x"), "IMG_1.HEIC", "\0\0\0\x18ftypheic"),
        r"x: 1 of its files cannot be used as images: IMG_1.HEIC \(HEIC or AVIF, which .* convert it to JPEG or PNG",
    ),
    "broken image": (
        lambda: cut_short(pngs("x") / "3.png").parent,
        r"x: 1 of its files cannot be used as images: 3.png \(truncated, corrupt or too large",
    ),
    "several sizes": (
        lambda: pngs("x", size=lambda number: 32 if number < 2 else 28),
        r"x: images of 2 sizes \(height x width\): 18 of 28x28 such as 10.png; 2 of 32x32 such as 0.png. Resize them",
    ),
    "another size": (
        lambda: pngs("x", size=lambda _: 32),
        r"x: its images have 32x32 pixels \(height x width\), but those to compare with have 28x28. Resize one side",
    ),
    "color": (
        lambda: saved(np.concatenate([IMAGES, IMAGES, IMAGES // 2], 1)),
        "x.npy: its images are color, but those to compare with are gray; convert one side",
    ),
    "floats to 255": (
        lambda: saved(IMAGES.astype(np.float32)),
        r"x.npy: the values range from 0 to 255; expected floats in \[0, 1\] or \[-1, 1\], or uint8; round and save it",
    ),
    "standardized": (
        lambda: saved((IMAGES - np.float32(70)) / 30),
        r"x.npy: the values range from -2.33333 to 6.16667; expected floats in .*, or uint8; scale it",
    ),
    "overshoot": (
        lambda: saved(IMAGES / 255 - 0.05 * (IMAGES == 0)),
        r"the values range from -0.05 to 1, so they may be in \[-1, 1\], or in \[0, 1\] with some below it",
    ),
    "overshoot of resizing": (
        lambda: saved(0.91 * IMAGES / 255 - 0.15 * (IMAGES == 0)),
        r"the values range from -0.15 to 0.91, so they may be in \[-1, 1\], or in \[0, 1\] with some below it",
    ),
    "overshoot at both ends": (
        lambda: saved((IMAGES / 255 - 0.5) * 1.1 + 0.5),
        r"the values range from -0.05 to 1.05; expected floats in .*, or uint8; clip it",
    ),
    "overshoot at white": (
        lambda: saved(IMAGES / 255 * 1.04),
        r"the values range from 0 to 1.04; expected floats in .*, or uint8; clip it",
    ),
    "truth values": (
        lambda: saved(IMAGES > 127),
        r"the array has dtype bool; expected .* Save 255 \* array.astype\('uint8'\)",
    ),
    "scalar": (lambda: saved(3.0), r"the array has the shape \(\); expected \(N, height, width, channels\)"),
    "NaN": (lambda: saved(nan()), "x.npy: 3 of 15,680 values are NaN or infinite; a model that generates them has"),
    "integers": (lambda: saved(IMAGES.astype(np.int64)), r"the array has dtype int64; .* save array.astype\('uint8'\)"),
    "transposed": (
        lambda: saved(IMAGES.transpose(2, 3, 1, 0)),
        r"the array has the shape \(28, 28, 1, 20\), but expected \(N, 28, 28, 1\) or \(N, 1, 28, 28\): its axes are "
        r"in another order; save array.transpose\(3, 2, 0, 1\)",
    ),
    "flat": (
        lambda: saved(IMAGES.reshape(20, -1)),
        r"the array has the shape \(20, 784\); expected \(N, height, width",
    ),
    "other shape": (
        lambda: saved(IMAGES[:, :, :20]),
        r"\(20, 1, 20, 28\), but expected .*; resize or convert the images",
    ),
    "no image": (lambda: saved(IMAGES[:0]), r"the array of shape \(0, 1, 28, 28\) contains no images"),
    "one image": (lambda: saved(IMAGES[:1]), "contains only one image; a score needs many"),
    "objects": (lambda: saved(np.array([{}])), "x.npy: not a NumPy file of numbers"),
    "cut short": (
        lambda: cut_short(saved(IMAGES)),
        "x.npy: not a NumPy file of numbers, or truncated",
    ),
    "archive cut short": (
        lambda: cut_short(archived(images=IMAGES)),
        "x.npz: not a NumPy file of numbers, or truncated",
    ),
    "archive with a changed byte": (
        lambda: with_changed_byte(archived()),
        "x.npz: not a NumPy file of numbers, or truncated",
    ),
    "only objects": (
        lambda: archived(settings=np.array([{"seed": 1}])),
        r"no arrays with the dimensions of images; found: 'settings' \(Object arrays cannot be loaded",
    ),
    "other archive": (
        lambda: zipped("x.npz", "0.png", pngs("x") / "0.png"),
        r"x.npz: no arrays with the dimensions of images; found: '0.png' \(no array\)$",
    ),
    "two arrays": (
        lambda: archived(real=IMAGES, fake=IMAGES),
        r"x.npz: 2 arrays with the dimensions of images; found: 'real' uint8 \(20, 1, 28, 28\), 'fake' uint8 "
        r"\(20, 1, 28, 28\); choose one of the images to score with --array NAME; of those to compare with, save one "
        "to a file of its own",
    ),
    "no array": (
        lambda: archived(labels=np.arange(3)),
        r"no arrays with the dimensions of images; found: 'labels' int64",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_images_are_refused_with_what_was_found_and_what_to_do(case: str) -> None:
    make, message = WRONG[case]
    with pytest.raises(UsageError, match=message) as raised:
        load_samples(make(), SHAPE)
    assert "\n" not in str(raised.value)


def test_an_array_is_chosen_by_name_and_an_ambiguous_shape_by_its_layout() -> None:
    path = archived(real=IMAGES, fake=255 - IMAGES)
    np.testing.assert_array_equal(load_samples(path, SHAPE, array="fake").images, 255 - IMAGES)
    with pytest.raises(UsageError, match="no array 'x'; found: 'real' uint8"):
        load_samples(path, SHAPE, array="x")
    square = saved(IMAGES.reshape(20, 28, 28)[:, :3, :3].repeat(9, 0).reshape(-1, 3, 3, 3))
    with pytest.raises(UsageError, match="choose with --layout NCHW or --layout NHWC"):
        load_samples(square, (3, 3, 3))
    first = load_samples(square, (3, 3, 3), layout="NCHW").images
    np.testing.assert_array_equal(load_samples(square, (3, 3, 3), layout="NHWC").images, first.transpose(0, 3, 1, 2))


def test_a_numpy_file_is_read_whatever_its_name_and_what_is_next_to_the_images() -> None:
    for name in ("x.npz", "X.NPY"):
        with Path(name).open("wb") as file:
            np.save(file, IMAGES)
    with Path("archive.npy").open("wb") as file:
        np.savez(file, images=IMAGES, names=np.array(["a", None]))
    for name in ("x.npz", "X.NPY", "archive.npy"):
        np.testing.assert_array_equal(load_samples(Path(name), SHAPE).images, IMAGES)
    with pytest.raises(
        UsageError, match=r"array 'names' has no numbers; found: 'images' uint8 .*, 'names' \(Object arr"
    ):
        load_samples(Path("archive.npy"), SHAPE, array="names")


@pytest.mark.parametrize("error", [-1e-6, 1e-6, 0.001])
def test_values_that_exceed_a_range_by_rounding_belong_to_it(error: float) -> None:
    for floats, quantization in (
        (IMAGES / 255 + error, "uint8, rounded from [0, 1]"),
        (IMAGES / 127.5 - 1 + error, "uint8, rounded"),
    ):
        samples = load_samples(floats, SHAPE)
        assert samples.protocol["quantization"] == quantization
        np.testing.assert_array_equal(samples.images, IMAGES)


@pytest.mark.parametrize(
    ("levels", "warning"),
    [
        (1, "no value is above 1, of 255; they look black"),
        (16, "above 16, of 255; they look dark; if 16 is"),
    ],
)
def test_images_that_look_dark_are_warned_of(levels: int, warning: str) -> None:
    """Floats in [0, 1] that were converted to uint8 without scaling, and scikit-learn's digits, which reach 16."""
    dark = (IMAGES / 255 * levels).astype(np.uint8)
    for images in (dark, pngs("x", dark[:, 0]), dark / 255):
        assert any(warning in each for each in load_samples(images, SHAPE).warnings)
    assert not any("of 255" in each for each in load_samples(IMAGES, SHAPE).warnings)


def test_floats_centered_on_zero_in_a_narrow_range_are_warned_of() -> None:
    for floats, warned in ((IMAGES / 255 - 0.5, True), (IMAGES / 127.5 - 1, False), (IMAGES / 255, False)):
        warnings = load_samples(floats, SHAPE).warnings
        assert any("range from -0.5 to 0.5, so nothing is black or white" in each for each in warnings) == warned


@pytest.mark.parametrize("form", ["read-only", "big-endian", "negative strides", "Fortran order"])
def test_arrays_are_read_by_their_values_and_not_by_their_memory(form: str) -> None:
    array = {
        "read-only": np.frombuffer(IMAGES.tobytes(), np.uint8).reshape(IMAGES.shape),
        "big-endian": (IMAGES / 255).astype(">f4"),
        "negative strides": IMAGES[::-1, :, ::-1].copy()[::-1, :, ::-1],
        "Fortran order": np.asfortranarray(IMAGES),
    }[form]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images, _ = load_samples(array, SHAPE).as_data()
    np.testing.assert_array_equal(images.train.tensors[0].numpy(), IMAGES)


def test_the_layout_decides_for_images_of_other_channels_on_both_sides() -> None:
    saved(IMAGES.repeat(5, 1), "five.npy")
    command = "eval five.npy --against five.npy --metrics precision-recall --features raw -o metrics.0.features.size=2"
    assert "choose with --layout NCHW" in run_command(*shlex.split(command)).stderr.replace("\n", " ")
    outcome = run_command(*shlex.split(command), "--layout", "NCHW")
    assert outcome.exit_code == 0, outcome.output


A = "--against fashion-mnist -o dataset.source=embedded"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("x.npy", "x.npy: nothing to compare with; give --against DATASET"),
        ("runs/typo", "runs/typo: no such file or folder; give a folder of images, a .npy or .npz file, or a run"),
        (
            "x.npy --against fashionmnist --metrics fid --features raw",
            "--against fashionmnist: no such file, folder or benchmark, and unknown dataset 'fashionmnist'; did you "
            "mean 'fashion-mnist'?",
        ),
        (f"x.npy {A}", "no metrics: give --metrics, or a benchmark as --against; available: density-coverage, "),
        (
            f"x.npy {A} --metrics fid",
            "metric 'fid' needs a feature extractor: give --features; available: dinov2, efficientnet-lite0, ",
        ),
        (f"x.npy {A} --metrics fdi", "unknown metric 'fdi'; did you mean 'fid'?"),
        (
            f"x.npy {A} --metrics modes --features typo",
            "--features typo has no effect, as no metric uses an ext",
        ),
        ("x.npy --against ''", "--against: expected a name or a path, got an empty string"),
        (f"x.npy {A} --metrics inception-score --features raw", "feature extractor 'raw' has no class logits; use one"),
        (
            f"x.npy {A} --metrics kid --features raw",
            "1,000 images, but the number of scored images of x.npy is 20; use more",
        ),
        (
            "x.npy --against x.npy --metrics kid --features raw -o metrics.0.real_samples=30",
            "metrics.0.real_samples is 30, but x.npy has only 20 images; use fewer",
        ),
        (f"x.npy {A} --metrics distance", "scores networks, not images; choose an image metric"),
        (f"x.npy {A} --metrics fid --features raw -o metrics=3", "eval: metrics: must be a list"),
        (f"x.npy {A} --metrics fid --features raw -o metrics=[]", "no metrics: give --metrics"),
        (f"x.npy {A} --weights ema", "--weights is for a run directory, but x.npy is not one"),
        (f"x.npy {A} --layout HWC", "--layout HWC: choose NHWC (channels last) or NCHW (channels first)"),
        (f"x.npy {A} --out notes.txt", "--out notes.txt: exists and is not a ganbench result; choose another name"),
        (f"x.npy {A} --out .", "--out .: this is a folder; give the name of a file"),
        (
            f"x.npy {A} --metrics fid --features raw -o metrics.0.num_samples=10",
            "-o cannot set num_samples of a metric here: use -n to choose the number of images",
        ),
        (
            "x.npy --against x.npy --metrics fid --features raw -o metrics.0.split=test",
            "-o cannot set split of a metric here: files have only one split",
        ),
        (
            "x.npy --against x.npy --metrics fid --features raw -o dataset.size=32",
            "-o cannot set dataset here: --against x.npy names files, not a dataset",
        ),
        (
            "x.npy --against x.npy --metrics fid --features raw -o dataset=fashion-mnist",
            "-o cannot set dataset here: --against x.npy names files, not a dataset",
        ),
        (f"x.npy {A} --metrics fid --features raw -o metrics.1=kdi", "eval: metrics.1: unknown metric 'kdi'; did you"),
        (f"x.npy {A} --metrics fid -o metrics.0.features=rwa", "unknown feature-extractor 'rwa'; did you mean 'raw'?"),
        (
            f"x.npy {A} --metrics fid --features raw --array images",
            "--array images: x.npy has only one array, without a name",
        ),
    ],
)
def test_wrong_arguments_exit_with_2_and_one_paragraph(arguments: str, message: str) -> None:
    saved(IMAGES)
    Path("notes.txt").write_text("mine")
    outcome = run_command("eval", *shlex.split(arguments), columns=300)
    assert outcome.exit_code == 2, outcome.output
    (error,) = re.findall("^error: (.*)$", outcome.stderr, re.MULTILINE)
    assert message in error
    assert Path("notes.txt").read_text() == "mine"
