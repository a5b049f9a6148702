"""`ganbench plugin check` names the rules that a plugin breaks. That each is caught is tested in tests/testing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import run_command
from typer.testing import Result

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
    return [LossPlugin(name="mine", summary="A test", build=lambda options, context: {build})]
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
    return [ModelPlugin(name="mine", summary="A test", build=build)]
"""

# a generator whose bias differs between builds
RESEEDED = "(torch.seed(), nn.init.normal_(generator[0].bias), generator)[2]"

AUGMENTATION = """
from ganbench import AugmentationPlugin, hookimpl

@hookimpl
def ganbench_augmentations():
    return [AugmentationPlugin(name="mine", summary="A test", build=lambda options, context: lambda images: {images})]
"""


def check(arguments: str) -> Result:
    return run_command("plugin", "check", *arguments.split())


def check_source(source: str, folder: Path) -> tuple[int, dict[str, str | None]]:
    """Check a file, and return the exit code and the failure of each rule."""
    (folder / "mine.py").write_text(source)
    outcome = check("mine.py --json")
    (plugin,) = json.loads(outcome.stdout)
    assert (plugin["name"], plugin["distribution"]) == ("mine", "mine.py")
    return outcome.exit_code, {rule["rule"]: rule["failure"] for rule in plugin["rules"]}


@pytest.mark.parametrize(
    ("change", "rule", "failure"),
    [
        (
            {"build": "None"},
            "build returns an object of its kind",
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
    assert (rules["generated images are in range"] or "").startswith("expected values in [-1, 1], got 9 to 9: end the")
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
    title, *lines, verdict = outcome.output.splitlines()
    assert title.startswith("loss 'mine' (from mine.py sha256:")
    failure = lines.index("  fail  each loss is a finite scalar with gradients for its network")
    assert lines[failure + 1].strip() == "expected a scalar, got shape (16, 1) for discriminator_loss"
    assert "  pass  monitors are scalars with unreserved names" in lines
    rules = [line for line in lines if line.split()[0] in ("pass", "fail", "skip")]
    assert f" of {len(rules)} rules broken; " in verdict
    assert lines[-1].strip() == "not checked, because another rule is broken"  # a step would fail for the same reason


def test_a_rule_that_does_not_apply_is_shown_with_the_reason() -> None:
    outcome = check("raw --shape 2 --json")
    (plugin,) = json.loads(outcome.stdout)
    reasons = {rule["rule"]: rule["skipped"] for rule in plugin["rules"] if rule["skipped"]}
    assert reasons["logits are one finite row for each image"] == "the extractor has no method `logits`"
    lines = check("raw --shape 2").output.splitlines()
    assert "  skip  logits are one finite row for each image" in lines
    assert lines[-1] == f"0 of {len(plugin['rules'])} rules broken; {len(reasons)} skipped"


def test_an_invalid_benchmark_is_named(tmp_path: Path) -> None:
    source = """
from ganbench import Benchmark, hookimpl

@hookimpl
def ganbench_benchmarks():
    return [Benchmark(name="mine", summary="A test", spec=dict(name="mine", summary="A test", model="dcgam"))]
"""
    code, rules = check_source(source, tmp_path)
    assert code == 5
    assert "unknown model 'dcgam'; did you mean 'dcgan'?" in (rules["the spec is valid"] or "")


def test_a_loss_is_checked_with_the_model_that_it_needs() -> None:
    outcome = check(
        "policy-gradient -o rewards=[2.0,1.0] --with model=softmax-policy --with model.num_arms=2 --shape 2"
    )
    assert outcome.exit_code == 0, outcome.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("hinged", "unknown plugin 'hinged'; did you mean 'hinge'?"),
        ("nothing.py", "-p nothing.py: no such file"),
        ("dcgan-fashion -o model=mlp", "benchmark 'dcgan-fashion' (from ganbench"),
        ("dcgan-fashion -o model=mlp", "has no options; save its spec with `ganbench show`, and edit it"),
        ("fid", "metric 'fid' (from ganbench"),
        (
            "fid",
            "features: required: the feature extractor, one of `ganbench list feature-extractors`; set options with -o",
        ),
        ("dcgan --shape 1x30x28", "model 'dcgan' requires image sides that are multiples of 4"),
        ("dcgan --shape 28x28", "--shape 28x28: expected CxHxW, such as 3x32x32"),
        ("bilinear", "does not suit the networks or images of its contract: this loss is a game of two scalars; use"),
        (
            "bilinear",
            "Choose others with --with and --shape, or test it with a subclass of ganbench.testing.Lo",
        ),
        ("sgd --with model", "--with model: expected KIND=NAME, such as --with model=my-model"),
        ("sgd --with model={", "--with model={: not a TOML table or list"),
        ("sgd --with model=mpl", "--with: model: unknown model 'mpl'; did you mean 'mlp'?"),
        ("sgd --with dataset=emoji", "--with: dataset: unknown key; available: model, loss"),
        ("constant -o value=1.0 --with loss=bce", "--with loss=bce: no schedule is tested with a loss"),
        ("hinge -o margin", "-o margin: expected PATH=VALUE"),
    ],
)
def test_an_invalid_request_is_a_usage_error(arguments: str, message: str) -> None:
    outcome = check(arguments)
    assert outcome.exit_code == 2
    assert message in outcome.output


def test_options_for_one_of_the_plugins_in_a_file_say_how_to_check_it_alone(tmp_path: Path) -> None:
    file = tmp_path / "two.py"
    file.write_text(
        "from ganbench import LossPlugin, Options, OptimizerPlugin, hookimpl\n"
        "class Margin(Options):\n    margin: float = 1.0\n"
        "@hookimpl\ndef ganbench_losses():\n"
        "    return [LossPlugin(name='mine', summary='-', options=Margin, build=print)]\n"
        "@hookimpl\ndef ganbench_optimizers():\n"
        "    return [OptimizerPlugin(name='theirs', summary='-', build=print)]\n"
    )
    outcome = check(f"{file} -o margin=2.0")
    assert outcome.exit_code == 2
    assert f"`ganbench plugin check NAME -p {file}` checks one plugin of the file" in " ".join(outcome.output.split())
    outcome = check(f"theirs -p {file} -o margin=2.0")
    assert outcome.exit_code == 2
    assert "plugin check NAME" not in " ".join(outcome.output.split())
