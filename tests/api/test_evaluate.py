"""`ganbench.evaluate` scores arrays and tensors exactly as a run scores its own images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import SMALL
from torch import Tensor

import ganbench
from ganbench.errors import GanbenchWarning

EMBEDDED = "dataset.source=embedded"
COUNT = 20
pytestmark = pytest.mark.filterwarnings("ignore::ganbench.errors.GanbenchWarning")


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randint(0, 256, (COUNT, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def evaluate(images: Any, **arguments: Any) -> ganbench.Result:
    chosen = {"against": "fashion-mnist", "metrics": "fid", "features": "fashion-cnn", "device": "cpu", **arguments}
    return ganbench.evaluate(images, EMBEDDED, **chosen)


def test_a_run_and_its_samples_have_the_scores_of_the_run(tmp_path: Path) -> None:
    short = ["training.steps=2", "metrics.0.at_epochs=[]", f"metrics.0.num_samples={COUNT}", "sample_images.real=0"]
    run = ganbench.run("dcgan-fashion", *SMALL, *short, out="run", device="cpu", quiet=True)
    samples = run.sample(COUNT)
    again = ganbench.evaluate(run)
    assert again.scores == run.result.scores
    assert evaluate(samples).scores == ganbench.evaluate(samples, against=run).scores == run.result.scores
    assert evaluate(samples.images.numpy().transpose(0, 2, 3, 1)).scores == run.result.scores  # (N, H, W, C)
    assert "not ranked" in str(ganbench.compare(evaluate(samples), run))
    assert "evaluation only" in again._repr_html_()


def test_any_kind_of_array_or_tensor_is_the_same_images(images: Tensor, tmp_path: Path) -> None:
    expected = evaluate(images).scores
    assert expected["fid"]
    np.save("images.npy", images.numpy())
    for same in ("images.npy", Path("images.npy"), images[:, 0].numpy(), images.double() / 127.5 - 1):
        assert evaluate(same).scores == expected
    assert evaluate(images, count=np.int64(COUNT), metrics=("fid",)).scores == expected


def test_a_warning_about_a_score_is_a_python_warning(images: Tensor) -> None:
    with pytest.warns(GanbenchWarning, match="20 images do not determine the covariance"):
        evaluate(images)


@pytest.mark.parametrize(
    ("scored", "arguments", "message"),
    [
        (3, {}, "images: expected an array, a tensor, samples, a run, or the path of .*, got int"),
        (np.zeros((3, 1, 28, 28)), {"against": None}, "images: nothing to compare with; give --against DATASET"),
        (
            np.zeros((3, 1, 28, 28)),
            {"against": np.zeros(3)},
            "against: expected a name, a run, or the path of .*, got ndarray",
        ),
        (np.zeros((3, 1, 28, 28)), {"seed": 1}, "--seed is for a run directory, but images is not one"),
        (np.full((3, 1, 28, 28), 7.5), {}, "images: the values range from 7.5 to 7.5; expected floats in"),
        ("nowhere", {}, "nowhere: no such file or folder; give a folder of images"),
        (np.zeros((3, 1, 28, 28)), {"count": "20"}, "count: expected an integer, got '20'"),
        (np.zeros((3, 1, 28, 28)), {"metrics": 5}, "metrics: expected names of metrics, got 5"),
        (np.zeros((3, 1, 28, 28)), {"plugins": 5}, "plugins: expected Python files or names of modules, got 5"),
        (np.zeros((3, 1, 28, 28)), {"data_dir": 5}, "data_dir: expected a path, got int"),
        (np.zeros((3, 1, 28, 28)), {"data_dir": ""}, "data_dir: expected a path, got an empty string"),
        (np.zeros((3, 1, 28, 28)), {"against": ""}, "--against: expected a name or a path, got an empty string"),
        ("", {}, "images: expected a path, got an empty string"),
        ("x" * 300, {}, "x: no such file or folder; give a folder of images"),
        (np.zeros((3, 1, 28, 28)), {"against": "x" * 300}, "x: no such file, folder or benchmark"),
    ],
)
def test_a_wrong_argument_is_named_with_the_remedy(scored: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ganbench.UsageError, match=message):
        evaluate(scored, **arguments)
