"""`ganbench audit`: scores of real images by their number, and of images with flaws."""

from __future__ import annotations

import hashlib
import io
import math
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import mean

import pytest
import torch
from command_line import run_command
from features_in_memory import InMemory
from PIL import Image
from rich.console import Console
from torch import Tensor

from ganbench.errors import UsageError
from ganbench.plugin.registry import Registry
from ganbench.scoring.audit.audit import Audit, FlawScores, Scores, audit_metrics
from ganbench.scoring.audit.flaws import RealImages, flaws
from ganbench.scoring.audit.tables import audit_table
from ganbench.scoring.eval.request import Request
from ganbench_datasets.fashion_mnist.sources import embedded_subset
from ganbench_features.fashion_cnn import load_extractor
from ganbench_metrics.inception_score import InceptionScore

OPTIONS = ["dataset.source=embedded", "metrics.0.features.size=4"]


@pytest.fixture(scope="module")
def fid(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    """An audit of FID, over the pixels of thumbnails, of 160 images."""
    (audit,) = audited(["fid"], OPTIONS, 160)
    return audit


def audited(
    metrics: list[str],
    options: list[str],
    count: int,
    features: str = "raw",
    draws: int = 2,
    plugins: Sequence[str] = (),
    dataset: str = "fashion-mnist",
    warn: Callable[[str], None] = lambda _: None,
) -> list[Audit]:
    registry = Registry.load(plugins)
    request = Request(against=dataset, metrics=metrics, features=features, overrides=options, count=count)
    spec = request.spec(registry, None, count)
    return audit_metrics(spec, torch.device("cpu"), None, count, draws, lambda _: None, warn)


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
    assert verdicts["noise, std 5 of 255"] == "not detected"


def test_memorized_images_are_copies_of_those_that_the_metric_compares_with() -> None:
    (audit,) = audited(["precision-recall"], [*OPTIONS, "metrics.0.real_samples=60"], 40)
    (memorized,) = [flaw for flaw in audit.flaws if flaw.name == "memorized"]
    assert memorized.scores.values["precision"] == [1, 1]
    assert audit.real.mean("precision") < 1


def test_each_flaw_changes_the_images_as_it_says() -> None:
    data = embedded_subset()
    real = RealImages(data.train.tensors[0], data.train.tensors[1].long(), data.test.tensors[0])
    made = {
        f"{flaw.name}, {flaw.strength}": flaw.make(real, 60, torch.Generator().manual_seed(0)) for flaw in flaws(real)
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
        label_of[image.numpy().tobytes()]
        for image in made["unbalanced classes, half of the images of the largest class"]
    ]
    assert classes.count(0) >= 30
    repeating = ("duplicates", "collapse", "memorized")
    assert all(number == 60 for name, number in unique.items() if not name.startswith(repeating))
    clean = real.draw(60, torch.Generator().manual_seed(0)).float()
    distances = [(made[f"JPEG, quality {quality}"] - clean).square().mean() for quality in (90, 50, 10)]
    assert 0 < distances[0] < distances[1] < distances[2]
    noise = made["noise, std 15 of 255"].float() - clean
    assert noise[(clean > 60) & (clean < 195)].std().item() == pytest.approx(15, rel=0.1)


def test_flaws_are_in_a_random_order() -> None:
    """The inception score is that of consecutive images, so each part has to have the flaw."""
    data = embedded_subset()
    real = RealImages(data.train.tensors[0], data.train.tensors[1].long(), data.test.tensors[0])
    made = {flaw.strength: flaw.make(real, 200, torch.Generator().manual_seed(0)) for flaw in flaws(real)}
    first_class = {image.numpy().tobytes() for image in real.images[real.labels == 0]}
    for part in made["half of the images of the largest class"].split(50):
        assert 15 < sum(image.numpy().tobytes() in first_class for image in part) < 45
    for part in made["each image 10 times"].split(20):
        assert len(part.unique(dim=0)) < 20


def test_the_inception_score_falls_with_duplicates() -> None:
    data = embedded_subset()
    real = RealImages(data.train.tensors[0], data.train.tensors[1].long(), data.test.tensors[0])
    (duplicates,) = [flaw for flaw in flaws(real) if flaw.strength == "each image 10 times"]
    metric = InceptionScore(load_extractor((1, 28, 28), "cpu"), splits=10)

    def mean_score(make: Callable[[int, torch.Generator], Tensor]) -> float:
        draws = [make(200, torch.Generator().manual_seed(seed)) for seed in range(8)]
        features = [InMemory(metric.features(images)) for images in draws]
        return mean(metric.score(each, each)["mean"] for each in features)

    assert mean_score(partial(duplicates.make, real)) < mean_score(real.draw) - 0.3


def images_of_sizes(*sizes: int) -> RealImages:
    """Distinct images of classes of these sizes; the first pixel is the label."""
    labels = torch.cat([torch.full((size,), label) for label, size in enumerate(sizes)])
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(256, (len(labels), 1, 8, 8), generator=rng, dtype=torch.uint8)
    images[:, 0, 0, 0] = labels
    return RealImages(images, labels, images)


def test_flaws_of_classes_are_made_of_those_that_have_images() -> None:
    """A small class may have images in one split only."""
    real = images_of_sizes(0, 0, 0, 80, 0, 0, 0, 60)
    made = {flaw.strength: flaw.make(real, 40, torch.Generator().manual_seed(0)) for flaw in flaws(real)}
    share = {strength: int((images[:, 0, 0, 0] == 3).sum()) for strength, images in made.items()}
    assert share["the last class"] == share["half of the classes"] == 40
    kinds = {flaw.name for flaw in flaws(images_of_sizes(0, 80))}
    assert not kinds & {"missing classes", "unbalanced classes"}


@pytest.mark.parametrize(
    ("sizes", "possible"),
    [
        ((10, 200), set()),  # one class is too small, and the other has more than half of the images anyway
        ((50, 50), {"the last class", "half of the classes"}),
        ((20, 19, 18, 18), {"the last class", "half of the images of the largest class"}),
        ((10,) * 10, {"the last class", "half of the classes"}),  # no class has half of the images
    ],
)
def test_flaws_of_classes_repeat_no_image(sizes: tuple[int, ...], possible: set[str]) -> None:
    real = images_of_sizes(*sizes)
    found = [flaw for flaw in flaws(real) if flaw.limit is not None]
    assert {flaw.strength for flaw in found if (flaw.limit or 0) >= 40} == possible
    for flaw in found:
        images = flaw.make(real, flaw.limit or 0, torch.Generator().manual_seed(0))
        assert len(images) == len(images.unique(dim=0)) == flaw.limit


def test_half_of_the_images_are_of_the_largest_class() -> None:
    real = images_of_sizes(300, 1000, 700, 500)
    (flaw,) = [flaw for flaw in flaws(real) if flaw.name == "unbalanced classes"]
    images = flaw.make(real, 900, torch.Generator().manual_seed(0))
    assert (images[:, 0, 0, 0] == 1).sum() == 450


def test_flaws_that_would_repeat_images_and_invalid_images_are_left_out_with_warnings() -> None:
    for number in range(60):
        file = Path("photos", f"class-{number % 12}", f"{number}.png")
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (4 * number, 0, 0)).save(file)
    Path("photos", "class-0", "broken.png").write_bytes(b"not an image")
    options = ["dataset.path=photos", "dataset.size=8", "dataset.test_fraction=0.25", "dataset.skip_invalid=true"]
    warnings: list[str] = []
    (audit,) = audited(["precision-recall"], options, 20, dataset="image-folder", warn=warnings.append)
    assert "unbalanced classes" not in {flaw.name for flaw in audit.flaws}
    assert (
        "audit: unbalanced classes (half of the images of the largest class): left out, as the 45 images to draw from "
        "have too few of these classes for -n 20 without repetitions"
    ) in warnings
    assert ["broken.png" in message for message in warnings].count(True) == 1


def test_a_dataset_whose_splits_are_the_same_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    subset = embedded_subset()
    same = replace(subset, test=subset.train)
    monkeypatch.setattr("ganbench_datasets.fashion_mnist.sources.load", lambda *_: same)
    with pytest.raises(UsageError, match=r"^audit: the train and test splits of the dataset are the same, so .*"):
        audited(["fid"], OPTIONS, 20)


def test_small_images_are_blurred_as_far_as_they_can_be() -> None:
    images = embedded_subset().train.tensors[0][:40, :, 10:14, 10:14]
    real = RealImages(images, torch.zeros(40, dtype=torch.int64), images)
    made = {flaw.strength: flaw.make(real, 20, torch.Generator().manual_seed(0)) for flaw in flaws(real)}
    assert [strength for strength in made if "sigma" in strength] == ["sigma 0.5 pixels", "sigma 1 pixels"]
    assert {tuple(flawed.shape) for flawed in made.values()} == {(20, 1, 4, 4)}


def test_verdicts_and_the_number_of_images_follow_from_the_spread() -> None:
    def one(*values: float) -> Scores:
        return Scores({"": list(values)})

    audit = Audit("x", {"": False}, 100, {100: one(0.9, 1.0, 1.1)}, [])
    assert audit.needed("") == 10_000  # a relative deviation of 10% at 100 images
    for values, verdict in (((1.2, 1.2), "not detected"), ((1.4, 1.4), "worse"), ((0.6, 0.6), "better")):
        assert audit.verdict(FlawScores("", "", one(*values)), "") == verdict
    failed = FlawScores("collapse", "", one(math.nan, 1.0))
    assert audit.verdict(failed, "") == "no score"
    console = Console(file=io.StringIO(), width=100)
    console.print(table := audit_table(replace(audit, flaws=[failed])))
    assert "no score" in console.file.getvalue()  # type: ignore[attr-defined]
    assert str(table.caption).endswith("\na standard deviation of 1% of the score requires about 10,000 images")
    assert Audit("x", {"": False}, 100, {100: one(-0.1, 0.0, 0.1)}, []).needed("") is None


def test_a_metric_is_rated_alike_alone_and_next_to_others() -> None:
    options = [f"metrics.{number}.features.size=4" for number in (0, 1)]
    kid = ["metrics.1.subset_size=20", "metrics.1.subsets=2"]
    together = audited(["fid", "kid"], ["dataset.source=embedded", *options, *kid], 40)
    assert together[0] == audited(["fid"], OPTIONS, 40)[0]
    assert list(together[0].curve) == [2, 5, 10, 20, 40]
    assert list(together[1].curve) == [20, 40]  # KID needs its subset size
    assert together[1].directions == {"mean": False}  # a deviation is neither good nor bad


def test_the_conclusion_names_what_is_detected_and_what_is_not() -> None:
    def conclusion(**means: float) -> str:
        flawed = [FlawScores(name, "", Scores({"": [mean, mean]})) for name, mean in means.items()]
        return Audit("x", {"": False}, 100, {100: Scores({"": [0.9, 1.1]})}, flawed).conclusion("")

    assert conclusion(blur=9, noise=9) == "rated as worse: blur, noise"
    assert conclusion(blur=9, noise=1, JPEG=0.1) == "rated as worse: blur; not rated as worse: noise, JPEG"
    assert conclusion(blur=1, collapse=9) == "not meaningful here: only repeated images are rated as worse (collapse)"
    assert conclusion(blur=1, collapse=0.1) == "not meaningful here: no flaw is rated as worse than real images"


BAD_EXTRACTORS = """
from torch import nn

from ganbench import FeatureExtractorPlugin, Options, hookimpl

class Bad(nn.Module):
    num_features = 4

    def __init__(self, name, features):
        super().__init__()
        self.protocol, self.features = {"extractor": name}, features
        self.eval()

    def forward(self, images):
        return self.features(images)

def build_constant(options, context):
    return Bad("constant", lambda images: images.new_ones(len(images), 4).float())

def build_random(options, context):
    import torch

    return Bad("random", lambda images: torch.randn(len(images), 4))

def build_hash(options, context):
    import torch

    def numbers(image):
        seed = int((image.long().flatten() * torch.arange(1, image.numel() + 1)).sum())
        return torch.randn(4, generator=torch.Generator().manual_seed(seed))

    return Bad("hash", lambda images: torch.stack([numbers(image) for image in images]))

@hookimpl
def ganbench_feature_extractors():
    builds = {"constant": build_constant, "random": build_random, "hash": build_hash}
    return [FeatureExtractorPlugin(name=name, summary="Bad", build=build) for name, build in builds.items()]
"""


@pytest.mark.parametrize(
    ("name", "conclusion"),
    [
        ("constant", "not meaningful here: {} returns the same features for all images"),
        ("random", "not meaningful here: {} returns different features for the same images at each call"),
        ("hash", "not meaningful here: only repeated images are rated as worse (duplicates, collapse)"),
    ],
)
def test_a_bad_extractor_is_found_out_by_name(name: str, conclusion: str) -> None:
    plugin = Path("bad.py")
    plugin.write_text(BAD_EXTRACTORS, encoding="utf-8")
    (audit,) = audited(["fid"], ["dataset.source=embedded"], 64, name, draws=8, plugins=[str(plugin)])
    sha256 = hashlib.sha256(plugin.read_bytes()).hexdigest()[:12]
    assert audit.conclusion("") == conclusion.format(f"feature-extractor '{name}' (from bad.py sha256:{sha256})")


def test_the_command_prints_a_table_and_draws_a_picture(tmp_path: Path) -> None:
    options = " ".join(f"-o {option}" for option in OPTIONS)
    arguments = f"audit precision-recall --on fashion-mnist --features raw {options} -n 20 --draws 2"
    outcome = run_command(*shlex.split(f"{arguments} --out audit.png"), columns=200)
    assert outcome.exit_code == 0, outcome.output
    for text in (
        "precision (higher is better)",
        "recall (higher is better)",
        "20 images",
        "collapse",
        "recall: rated as worse:",
    ):
        assert text in outcome.stdout
    with Image.open("audit.png") as picture:
        assert picture.size == (1320, 1200)
    for wrong, message in (
        (f"{arguments} --out audit.png", "--out audit.png: already exists"),
        (f"{arguments} -n 4000", "the train split has 5,000 images; several draws should differ"),
        (
            "audit fid --on nowhere --features raw",
            "--on nowhere: no such file, folder or benchmark, and unknown dataset 'nowhere'",
        ),
        ("audit fid --on . --features raw -o dataset.seed=1", "-o cannot set dataset here: --on . names files"),
        (f"{arguments} -o metrics.1=fid", "-o metrics: an audit is of one metric, but there are 2; audit each alone"),
        (
            arguments.replace("precision-recall", "kid"),
            "requires at least 1,000 images, but -n is 20; use more images, or change metrics.0.subsets",
        ),
        ("audit fid --on fashion-mnist --features raw -o metrics=[]", "no metrics: give --metrics"),
    ):
        outcome = run_command(*shlex.split(wrong))
        assert (outcome.exit_code, message in outcome.stderr.replace("\n", " ")) == (2, True), outcome.output
