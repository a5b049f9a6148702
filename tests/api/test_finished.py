"""A finished run gives its networks and the images that they generate."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import UNSCORED

import ganbench

QUICK = [*UNSCORED, "training.steps=3", "training.batch_size=16", "sample_images.real=0"]
AVERAGED = ["ema.half_life_kimg=1", "ema.ramp=100"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "run"
    return ganbench.run("dcgan-fashion", *QUICK, *AVERAGED, out=out, device="cpu", quiet=True).directory


@pytest.fixture
def run(trained: Path) -> ganbench.Run:
    """A run in the current folder."""
    return ganbench.load(shutil.copytree(trained, "run"), device="cpu")


def test_samples_are_deterministic_and_leave_no_trace(run: ganbench.Run) -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    samples = run.sample(16)
    assert (samples.images.dtype, tuple(samples.images.shape)) == (torch.uint8, (16, 1, 28, 28))
    assert (samples.seed, samples.labels, len(samples)) == (42, None, 16)
    assert samples.images.float().std() > 1
    run.generator.train()(torch.randn(4, run.latent_dim))  # changes the running statistics of its own copy
    assert torch.equal(run.sample(np.int64(16), seed=np.int64(42)).images, samples.images)
    again = ganbench.load(Path("run").rename("moved")).sample(20)
    assert torch.equal(again.images[:16], samples.images)
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("count", [0, -1])
def test_no_images_cannot_be_sampled(run: ganbench.Run, count: int) -> None:
    with pytest.raises(ganbench.UsageError, match=f"run: the number of images must be at least 1, got {count}"):
        run.sample(count)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "Eval"}, "mode='Eval': choose 'train' or 'eval'"),
        ({"weights": "Raw"}, "weights='Raw': choose 'raw'"),
        ({"count": 2.5}, "count: expected an integer, got 2.5"),
        ({"seed": "5"}, "seed: expected an integer, got '5'"),
        ({"labels": 3}, "labels: expected a list of classes, got 3"),
    ],
)
def test_invalid_values_are_errors(arguments: dict[str, Any], message: str, run: ganbench.Run) -> None:
    with pytest.raises(ganbench.UsageError, match=message):
        run.sample(**arguments)


def test_another_seed_and_the_raw_weights_give_other_images(run: ganbench.Run) -> None:
    default = run.sample(4)
    torch.manual_seed(1)
    assert not torch.equal(run.sample(4, seed=1).images, default.images)
    assert run.sample(4, seed=1).seed == 1
    assert torch.equal(run.sample(4, weights="ema").images, default.images)
    assert not torch.equal(run.sample(4, weights="raw").images, default.images)


def test_the_networks_are_the_trained_ones_in_eval_mode(run: ganbench.Run) -> None:
    stored = torch.load("run/checkpoint.pt", weights_only=True)["state"]
    assert not run.generator.training
    for name, tensor in run.generator.state_dict().items():
        assert torch.equal(tensor, stored["ema"][name]), name
    for name, tensor in run.discriminator.state_dict().items():
        assert torch.equal(tensor, stored["networks"]["discriminator"][name]), name
    images = run.generator(torch.randn(5, run.latent_dim))
    assert tuple(images.shape) == (5, 1, 28, 28)
    assert run.discriminator(images).shape[0] == 5


def test_samples_are_shown_as_a_small_grid(run: ganbench.Run) -> None:
    shown = run.sample(16)._repr_html_()
    assert re.fullmatch(r'<img src="data:image/png;base64,[A-Za-z0-9+/=]{1000,100000}">', shown)
    assert repr(run.sample(2)) == "<Samples: uint8 (2, 1, 28, 28), seed 42>"
    odd = ganbench.Samples(torch.zeros(3, 5, 4, 4, dtype=torch.uint8), None, 0)
    assert "3 images with 5 channels" in odd._repr_html_()


def test_a_large_picture_is_reduced() -> None:
    noise = torch.randint(0, 255, (64, 3, 112, 112), dtype=torch.uint8)
    assert len(ganbench.Samples(noise, None, 0)._repr_html_()) < 450_000


def test_a_missing_checkpoint_is_named_with_the_remedy(run: ganbench.Run) -> None:
    Path("run/checkpoint.pt").unlink()
    with pytest.raises(ganbench.MissingError, match="restore it, or run the benchmark again"):
        run.sample()
