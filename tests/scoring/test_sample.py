"""`ganbench sample`: the same images in every kind of file, and nothing is overwritten."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import run_command
from conditional_gan import CONDITIONAL, SOURCE
from PIL import Image
from torch import Tensor
from trained_run import make_run, trained_run
from typer.testing import Result

from ganbench.errors import UsageError
from ganbench.plugin.registry import Registry
from ganbench.scoring.reopening import open_run
from ganbench.scoring.sample_files import save_images

CPU = torch.device("cpu")
USAGE = 2


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_run(tmp_path_factory.mktemp("trained"), "metrics=[]")[0]


def sample(folder: Path, arguments: str) -> Result:
    return run_command("sample", str(folder), *shlex.split(arguments), columns=300)


def channels_last(images: Tensor) -> np.ndarray:
    return images.permute(0, 2, 3, 1).numpy()


def test_an_archive_a_folder_and_a_grid_hold_the_images_that_scoring_generates(trained: Path) -> None:
    images, _ = open_run(trained, Registry.load(), CPU).sample(35)  # more than a batch of 30
    for target in ("x.npz", "x", "x.png"):
        outcome = sample(trained, f"-n 35 --out {target}")
        assert outcome.exit_code == 0, outcome.output
    assert "35 images of" in outcome.stdout
    assert "step 3, moving-average weights, eval mode, seed 42" in outcome.stdout
    with np.load("x.npz") as archive:
        assert list(archive) == ["images"]
        np.testing.assert_array_equal(archive["images"], channels_last(images))
    files = sorted(Path("x").iterdir())
    assert [file.name for file in files[:2]] == ["000000.png", "000001.png"]
    np.testing.assert_array_equal(np.stack([np.asarray(Image.open(file)) for file in files]), images[:, 0].numpy())
    with Image.open("x.png") as grid:
        assert grid.size == (4 * (6 * 30 + 2), 4 * (6 * 30 + 2))  # 6 rows and columns, enlarged four times


def test_a_file_in_place_of_a_run_directory_is_refused_as_such(trained: Path) -> None:
    outcome = sample(trained / "checkpoint.pt", "--out x.npz")
    assert outcome.exit_code == USAGE
    assert "checkpoint.pt: not a run directory (checkpoint.pt not found); pass the directory of a run" in outcome.stderr


def test_weights_mode_and_seed_are_chosen(trained: Path) -> None:
    opened = open_run(trained, Registry.load(), CPU)
    assert sample(trained, "-n 5 --out a.npz --weights raw --mode train --seed 7").exit_code == 0
    images, _ = opened.sample(5, weights="raw", mode="train", seed=7)
    with np.load("a.npz") as archive:
        np.testing.assert_array_equal(archive["images"], channels_last(images))


def test_nothing_is_overwritten_and_a_target_that_cannot_be_written_is_refused(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("full").mkdir()
    Path("full/notes.txt").write_text("mine")
    Path("mine.npz").write_text("mine")
    Path("broken").symlink_to("nowhere")
    for target, message in (
        ("full", "--out full: the folder is not empty, it contains notes.txt; choose another name"),
        ("mine.npz", "--out mine.npz: already exists; choose another name, or remove it"),
        ("broken", "--out broken: already exists"),
        ("no/where.npz", f"--out no/where.npz: folder {tmp_path / 'no'} does not exist; create it first"),
        ("x.NPZ", "--out x.NPZ: give a folder, or a file that ends in .npz or .png"),
        ("x.jpg", "--out x.jpg: give a folder, or a file that ends in .npz or .png"),
    ):
        outcome = sample(trained, f"--out {target}")
        assert (outcome.exit_code, message in outcome.stderr) == (USAGE, True), outcome.output
    assert Path("mine.npz").read_text() == Path("full/notes.txt").read_text() == "mine"
    assert sample(trained, "--out x.npz --labels 1").exit_code == USAGE  # the model is unconditional
    Path("empty").mkdir()
    for target, denied in (("x.npz", tmp_path), ("new", tmp_path), ("empty", tmp_path / "empty")):
        monkeypatch.setattr("os.access", lambda path, _, denied=denied: Path(path).resolve() != denied)
        outcome = sample(trained, f"--out {target}")
        assert outcome.exit_code == USAGE, outcome.output
        assert f"--out {target}: folder" in outcome.stderr
        assert "cannot be written to" in outcome.stderr


@pytest.mark.parametrize("target", ["empty", "link", "."])
def test_an_empty_folder_is_filled_and_not_replaced(
    trained: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be a mounted one, for example."""
    Path("empty").mkdir()
    Path("link").symlink_to("empty")
    folder = Path("empty").resolve()
    before = folder.stat().st_ino
    if target == ".":
        monkeypatch.chdir("empty")
    outcome = sample(trained, f"-n 2 --out {target}")
    assert outcome.exit_code == 0, outcome.output
    assert [file.name for file in sorted(folder.iterdir())] == ["000000.png", "000001.png"]
    assert folder.stat().st_ino == before


def interrupted(images: Tensor) -> Iterator[tuple[Tensor, None]]:
    yield images, None
    raise KeyboardInterrupt


@pytest.mark.parametrize(("target", "stage"), [("new", "generating"), ("empty", "generating"), ("empty", "moving")])
def test_an_interrupted_folder_has_no_images(target: str, stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def interrupted_rename(file: Path, to: Path) -> Path:
        moved = rename(file, to)
        if file.name == "000001.png":
            raise KeyboardInterrupt
        return moved

    images = torch.zeros(3, 1, 4, 4, dtype=torch.uint8)
    monkeypatch.setattr(Path, "rename", interrupted_rename)
    Path("place/empty").mkdir(parents=True)
    with pytest.raises(KeyboardInterrupt):
        save_images(Path("place", target), 3, interrupted(images) if stage == "generating" else [(images, None)])
    assert list(Path("place").rglob("*")) == [Path("place/empty")]


def test_a_file_that_someone_else_writes_into_the_folder_meanwhile_is_kept() -> None:
    other = Path("place/000001.png")
    other.parent.mkdir()

    def slow_images() -> Iterator[tuple[torch.Tensor, None]]:
        yield torch.zeros(3, 1, 4, 4, dtype=torch.uint8), None
        other.write_text("another")

    with pytest.raises(UsageError, match=r"000001\.png: was written while images were generated"):
        save_images(Path("place"), 3, slow_images())
    assert [file.read_text() for file in Path("place").iterdir()] == ["another"]


def test_a_conditional_model_cycles_through_chosen_classes(install: Callable[..., Path], tmp_path: Path) -> None:
    install("ganbench-conditional", SOURCE)
    make_run(Registry.load(), tmp_path / "run", [*CONDITIONAL, "scoring.batch_size=4"])
    assert sample(tmp_path / "run", "-n 10 --out x.npz --labels 3,7,7").exit_code == 0
    assert sample(tmp_path / "run", "-n 2 --out x-0.5 --labels 3,7,7").exit_code == 0
    with np.load("x.npz") as archive:
        assert archive["labels"].tolist() == [3, 7, 7, 3, 7, 7, 3, 7, 7, 3]
    assert [file.name for file in sorted(Path("x-0.5").iterdir())] == ["000000-class3.png", "000001-class7.png"]
    for labels, message in (
        ("10", "there is no class 10; choose from 0 to 9"),
        ("a,b", "--labels a,b: give class numbers"),
    ):
        outcome = sample(tmp_path / "run", f"--out y.npz --labels {labels}")
        assert (outcome.exit_code, message in outcome.stderr) == (USAGE, True), outcome.output
