"""`ganbench plugin check` passes the shipped plugins, and names the rules that others break."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ganbench.authoring.check import CONTRACTS
from ganbench.cli import app
from ganbench.plugin.registrations import Kind

SHIPPED = {
    Kind.MODEL: "dcgan -o width=4",
    Kind.LOSS: "hinge",
    Kind.DATASET: "fashion-mnist -o source=embedded",
    Kind.METRIC: "kid -o features=raw -o subsets=2 -o subset_size=16",
    Kind.FEATURE_EXTRACTOR: "raw --shape 2",
    Kind.OPTIMIZER: "sgd",
    Kind.PENALTY: "r1",
    Kind.AUGMENTATION: "diffaugment --shape 3x32x32",
    Kind.SCHEDULE: "linear -o start=1.0",
    Kind.TRACKER: "trajectory",
    Kind.EXECUTOR: "local",
}

LOSS = """
from ganbench import LossPlugin, hookimpl

class Loss:
    def discriminator_loss(self, players, batch):
        real = players.discriminate(batch.real, batch.labels)
        fake = players.discriminate(players.generate(batch), batch.fake_labels)
        return {discriminator}, {monitors}

    def generator_loss(self, players, batch):
        fake = players.discriminate(players.generate(batch), batch.fake_labels)
        return {generator}, dict()

@hookimpl
def ganbench_losses():
    return [LossPlugin(name="mine", summary="Mine", build=lambda options, context: {build})]
"""
GOOD = {"discriminator": "(fake - real).mean()", "monitors": "dict()", "generator": "-fake.mean()", "build": "Loss()"}

MODEL = """
from ganbench import ModelPlugin, Networks, hookimpl

def build(options, context):
    import torch
    from torch import nn
    generator = nn.Sequential(nn.Linear(8, 784), nn.Unflatten(1, (1, 28, 28)))
    return Networks({generator}, nn.Sequential(nn.Flatten(), nn.Linear(784, 1)), 8)

@hookimpl
def ganbench_models():
    return [ModelPlugin(name="mine", summary="Mine", build=build)]
"""

# a generator whose bias differs between builds
RESEEDED = "(torch.seed(), nn.init.normal_(generator[0].bias), generator)[2]"

AUGMENTATION = """
from ganbench import AugmentationPlugin, hookimpl

@hookimpl
def ganbench_augmentations():
    return [AugmentationPlugin(name="mine", summary="Mine", build=lambda options, context: lambda images: {images})]
"""


def check(arguments: str) -> Result:
    return CliRunner().invoke(app, ["plugin", "check", *arguments.split()])


def check_source(source: str, folder: Path) -> tuple[int, dict[str, str | None]]:
    """Check a file, and return the exit code and the failure of each rule."""
    (folder / "mine.py").write_text(source)
    outcome = check("mine.py --json")
    (plugin,) = json.loads(outcome.stdout)
    assert (plugin["name"], plugin["distribution"]) == ("mine", "mine.py")
    return outcome.exit_code, {rule["rule"]: rule["failure"] for rule in plugin["rules"]}


def test_every_kind_with_options_has_a_contract() -> None:
    assert CONTRACTS.keys() == SHIPPED.keys() == set(Kind) - {Kind.BENCHMARK}


@pytest.mark.parametrize("arguments", SHIPPED.values(), ids=SHIPPED.keys())
def test_a_shipped_plugin_keeps_every_rule(arguments: str) -> None:
    outcome = check(arguments)
    assert outcome.exit_code == 0, outcome.output
    assert outcome.output.count("  pass  ") >= 2
    assert "fail" not in outcome.output


@pytest.mark.parametrize(
    ("change", "rule", "failure"),
    [
        (
            {"build": "None"},
            "build returns Loss",
            "build must return Loss, got NoneType",
        ),
        (
            {"discriminator": "fake - real"},
            "each loss is a finite scalar with gradients for its network",
            "expected a scalar, got shape (16, 1) for discriminator_loss",
        ),
        (
            {"generator": "fake.mean() / 0"},
            "each loss is a finite scalar with gradients for its network",
            "expected a finite value, got",
        ),
        (
            {"generator": "fake.detach().mean()"},
            "each loss is a finite scalar with gradients for its network",
            "expected gradients, got a constant for generator_loss",
        ),
        (
            {"monitors": "dict(seconds=real.mean())"},
            "monitors are scalars with unreserved names",
            "expected names other than those of the history's columns, got seconds",
        ),
        (
            {"generator": "fake.men()"},
            "each loss is a finite scalar with gradients for its network",
            "raised AttributeError: 'Tensor' object has no attribute 'men'",
        ),
    ],
)
def test_a_broken_loss_is_named_with_the_rule_and_the_values(
    change: dict[str, str], rule: str, failure: str, tmp_path: Path
) -> None:
    code, rules = check_source(LOSS.format_map(GOOD | change), tmp_path)
    assert code == 5
    assert failure in (rules[rule] or "passed")


def test_a_model_with_the_wrong_range_is_named(tmp_path: Path) -> None:
    _, rules = check_source(MODEL.format(generator="nn.Sequential(generator, nn.Threshold(9.0, 9.0))"), tmp_path)
    assert rules["generated images have the right shape and range"] == "expected values in [-1, 1], got 9 to 9"
    assert rules["the same seed builds the same networks"] is None


def test_a_model_with_other_weights_each_time_is_named(tmp_path: Path) -> None:
    code, rules = check_source(MODEL.format(generator=RESEEDED), tmp_path)
    assert code == 5
    assert rules["the same seed builds the same networks"] == (
        "expected equal weights, got different ones in the generator: 0.bias"
    )


@pytest.mark.parametrize(
    ("images", "rule", "failure"),
    [
        (
            "images[:, :, 2:]",
            "it preserves shape and dtype",
            "expected ((16, 1, 28, 28), torch.float32), got ((16, 1, 26",
        ),
        (
            "images.detach() * 1",
            "it is differentiable",
            "expected a gradient with respect to the images, got a constant",
        ),
    ],
)
def test_a_broken_augmentation_is_named(images: str, rule: str, failure: str, tmp_path: Path) -> None:
    code, rules = check_source(AUGMENTATION.format(images=images), tmp_path)
    assert code == 5
    assert failure in (rules[rule] or "passed")


def test_the_terminal_shows_each_rule_and_what_it_got(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(LOSS.format_map(GOOD | {"discriminator": "fake - real"}))
    outcome = check("mine.py")
    assert outcome.exit_code == 5
    assert [line.split()[0] for line in outcome.output.splitlines()[1:5]] == ["pass", "fail", "expected", "pass"]
    assert "1 of 3 rules broken" in outcome.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("hinged", "unknown plugin 'hinged'; did you mean 'hinge'?"),
        ("nothing.py", "-p nothing.py: no such file"),
        ("dcgan-fashion", "dcgan-fashion: no plugin with a contract"),
        ("fid", "metric 'fid' (from ganbench"),
        ("fid", "features: Field required; set options with -o"),
        ("dcgan --shape 1x30x28", "model 'dcgan' requires image sides that are multiples of 4"),
        ("dcgan --shape 28x28", "--shape 28x28: expected CxHxW, such as 3x32x32"),
        ("bilinear", "does not suit the networks or images of its contract: this loss is a game of two scalars; use"),
        ("bilinear", "a subclass of ganbench.testing.LossContract that has others"),
        ("hinge -o margin", "-o margin: expected PATH=VALUE"),
    ],
)
def test_an_invalid_request_is_a_usage_error(arguments: str, message: str) -> None:
    outcome = check(arguments)
    assert outcome.exit_code == 2
    assert message in outcome.output
