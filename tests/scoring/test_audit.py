"""`ganbench audit`: scores of real images by their number, and of images with flaws."""

from __future__ import annotations

import math
import shlex
from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from ganbench.cli import app
from ganbench.plugin.registry import Registry
from ganbench.scoring.audit.audit import Audit, FlawScores, Scores, audit_metric
from ganbench.scoring.audit.flaws import RealImages, flaws
from ganbench.scoring.eval.request import Request
from ganbench_datasets.fashion_mnist.sources import embedded_subset

OPTIONS = ["dataset.source=embedded", "metrics.0.features.size=4"]


@pytest.fixture(scope="module")
def fid(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    """An audit of FID, over the pixels of thumbnails, of 160 images."""
    spec = Request("fashion-mnist", ["fid"], "raw", OPTIONS, 160, None, None).spec(Registry.load(), None, 160)
    return audit_metric(spec, torch.device("cpu"), None, 160, 2, lambda _: None, lambda _: None)


def rated(audit: Audit) -> dict[str, str]:
    return {f"{flaw.name}, {flaw.strength}": audit.verdict(flaw, "") for flaw in audit.flaws}


def test_the_score_of_real_images_improves_with_their_number(fid: Audit) -> None:
    assert list(fid.curve) == [10, 20, 40, 80, 160]
    means = [scores.mean("") for scores in fid.curve.values()]
    assert means[0] > 2 * means[2] > 4 * means[4]


def test_strong_flaws_are_rated_worse_and_copies_of_the_reference_are_not(fid: Audit) -> None:
    verdicts = rated(fid)
    for flaw in ("collapse, one image only", "missing classes, half of the classes", "blur, sigma 2 pixels"):
        assert verdicts[flaw] == "worse"
    assert verdicts["memorized, copies of the reference"] != "worse"
    assert verdicts["noise, std 5 of 255"] == "not noticed"


def test_each_flaw_changes_the_images_as_it_says() -> None:
    data = embedded_subset()
    real = RealImages(data.train.tensors[0], data.train.tensors[1].long(), data.test.tensors[0])
    made = {
        f"{flaw.name}, {flaw.strength}": flaw.make(real, 60, torch.Generator().manual_seed(0))
        for flaw in flaws(10, channels=1)
    }
    assert all(images.shape == (60, 1, 28, 28) and images.dtype == torch.uint8 for images in made.values())
    unique = {name: len(images.unique(dim=0)) for name, images in made.items()}
    assert unique["collapse, one image only"] == 1
    assert unique["duplicates, each image 10 times"] == 6
    assert unique["duplicates, each image 2 times"] == 30
    reference = {image.numpy().tobytes() for image in real.reference}
    assert all(image.numpy().tobytes() in reference for image in made["memorized, copies of the reference"])
    label_of = {image.numpy().tobytes(): int(label) for image, label in zip(real.images, real.labels, strict=True)}
    classes = [label_of[image.numpy().tobytes()] for image in made["missing classes, half of the classes"]]
    assert set(classes) == {0, 1, 2, 3, 4}
    classes = [
        label_of[image.numpy().tobytes()] for image in made["unbalanced classes, half of the images of one class"]
    ]
    assert classes.count(0) >= 30
    clean = real.draw(60, torch.Generator().manual_seed(0)).float()
    distances = [(made[f"JPEG, quality {quality}"] - clean).square().mean() for quality in (90, 50, 10)]
    assert 0 < distances[0] < distances[1] < distances[2]
    noise = made["noise, std 15 of 255"].float() - clean
    assert noise[(clean > 60) & (clean < 195)].std().item() == pytest.approx(15, rel=0.1)


def test_verdicts_and_the_number_of_images_follow_from_the_spread() -> None:
    def one(*values: float) -> Scores:
        return Scores({"": list(values)})

    audit = Audit("x", {"": False}, 100, {100: one(0.9, 1.0, 1.1)}, [])
    assert audit.needed("") == 10_000  # a relative deviation of 10% at 100 images
    for values, verdict in (((1.2, 1.2), "not noticed"), ((1.4, 1.4), "worse"), ((0.6, 0.6), "better")):
        assert audit.verdict(FlawScores("", "", one(*values)), "") == verdict
    assert audit.verdict(FlawScores("", "", one(math.nan, 1.0)), "") == "no score"
    assert Audit("x", {"": False}, 100, {100: one(-0.1, 0.0, 0.1)}, []).needed("") is None


def test_the_command_prints_a_table_and_draws_a_picture(tmp_path: Path) -> None:
    options = " ".join(f"-o {option}" for option in OPTIONS)
    arguments = f"audit precision-recall --on fashion-mnist --features raw {options} -n 20 --draws 2"
    outcome = CliRunner(env={"COLUMNS": "200"}).invoke(app, shlex.split(f"{arguments} --out audit.png"))
    assert outcome.exit_code == 0, outcome.output
    for text in ("precision (higher is better)", "recall (higher is better)", "20 images", "collapse", "about"):
        assert text in outcome.stdout
    with Image.open("audit.png") as picture:
        assert picture.size == (1320, 1200)
    for wrong, message in (
        (f"{arguments} --out audit.png", "--out audit.png: already exists"),
        (f"{arguments} -n 4000", "the train split has 5,000 images; several draws should differ"),
        ("audit fid --on nowhere --features raw", "unknown dataset 'nowhere'"),
    ):
        outcome = CliRunner().invoke(app, shlex.split(wrong))
        assert (outcome.exit_code, message in outcome.stderr.replace("\n", " ")) == (2, True), outcome.output
