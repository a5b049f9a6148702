"""Combinations that cannot work are refused, or doubted, in one paragraph before training starts."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from linear_gan import own_run

from ganbench import PluginError, UsageError
from ganbench.plugin.registry import Registry
from ganbench.spec.trackers import choose_trackers, config_file

AUGMENT = """
from ganbench import AugmentationPlugin
@hookimpl
def ganbench_augmentations():
    return [AugmentationPlugin(name="own", summary="-", build=lambda o, c: augment)]
"""
OWN = ['augmentations=["own"]']


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "images[..., :14, :]",
            r"augmentation 'own' .*: for .* of shape \(8, 1, 28, 28\), it returned .*14, 28\);",
        ),
        ("images.double()", r"it returned a tensor, float64 of shape .*; an augmentation must keep"),
        ("None", "it returned None; an augmentation must keep the shape and dtype"),
        ("1 / 0", r"augmentation 'own' \(from own.py .*\) raised ZeroDivisionError"),
    ],
)
def test_an_augmentation_that_breaks_the_contract_is_named(body: str, message: str, tmp_path: Path) -> None:
    source = f"def augment(images):\n    return {body}\n{AUGMENT}"
    with pytest.raises(PluginError, match=message):
        own_run(tmp_path, source, OWN)


def test_an_augmentation_that_adapts_needs_the_output_on_the_real_images(tmp_path: Path) -> None:
    source = f"""
class Adapts:
    def __call__(self, images): return images
    def adapt(self, logits): pass
augment = Adapts()
{AUGMENT}
def build_loss(options, context):
    class Joined(LeastSquares):
        def discriminator_loss(self, players, batch):
            both = players.discriminate(torch.cat([batch.real, players.generate(batch)]))
            return both.square().mean(), {{}}
    return Joined()
"""
    with pytest.raises(PluginError, match=r"augmentation 'own' .* adapts to .* but loss 'own' .* never calls"):
        own_run(tmp_path, source, OWN)


@pytest.mark.parametrize(("loss", "doubted"), [("bce", False), ("wgan", True), ("lsgan", True), ("rpgan", True)])
def test_adapting_to_an_output_whose_sign_means_nothing_is_a_warning(loss: str, doubted: bool, tmp_path: Path) -> None:
    _, warnings = own_run(tmp_path, "", [f"loss={loss}", 'augmentations=["ada"]'])
    expected = ["augmentation 'ada' (from", f"but with loss '{loss}' (from"]
    assert [all(part in each for part in expected) for each in warnings] == [True] * doubted


@pytest.mark.parametrize(("has", "lacks"), [("state_dict", "load_state_dict"), ("load_state_dict", "state_dict")])
@pytest.mark.parametrize("kind", ["loss", "penalty", "augmentation"])
def test_state_that_cannot_be_both_saved_and_restored_is_refused(
    kind: str, has: str, lacks: str, tmp_path: Path
) -> None:
    source = f"""
class Half:
    def {has}(self, *state): return {{}}
    def __call__(self, *arguments): pass
    discriminator_loss = generator_loss = __call__
{"build_loss = lambda o, c: Half()" if kind == "loss" else ""}
augment = Half()
from ganbench import PenaltyPlugin
@hookimpl
def ganbench_penalties():
    return [PenaltyPlugin(name="own", summary="-", build=lambda o, c: Half())]
{AUGMENT}
"""
    used = {"loss": [], "penalty": ['penalties=[{name="own",weight=1.0}]'], "augmentation": OWN}[kind]
    with pytest.raises(
        PluginError, match=rf"^{kind} 'own' \(from own\.py .*\) has {has}, but no {lacks}, so its state"
    ):
        own_run(tmp_path, source, used)


def test_an_error_of_a_plugin_that_checks_its_options_names_it(tmp_path: Path) -> None:
    source = """
    from pydantic import model_validator
    from ganbench import Options
    class Ratio(Options):
        first: float = 1.0
        second: float = 1.0
        @model_validator(mode="after")
        def check(self):
            assert self.first / self.second > 0, "the ratio must be positive"
            return self
    @hookimpl(specname="ganbench_losses")
    def ratio():
        return [LossPlugin(name="ratio", summary="-", options=Ratio, build=lambda o, c: LeastSquares())]
    """
    with pytest.raises(UsageError, match=r"loss: .*the ratio must be positive"):
        own_run(tmp_path, source, ["loss={name='ratio',first=-1.0}"])
    with pytest.raises(
        PluginError, match=r"^loss 'ratio' \(from own.py .*\) raised while it checked its options: Zero"
    ):
        own_run(tmp_path, source, ["loss={name='ratio',second=0.0}"])


def test_a_penalty_needs_a_trainable_discriminator(tmp_path: Path) -> None:
    source = """
    def build_model(options, context):
        return Networks(generator(), discriminator().requires_grad_(False), LATENT)
    """
    with pytest.raises(UsageError, match=r"penalty 'r1' .*: the discriminator of model 'own' .* has no trainable"):
        own_run(tmp_path, source, ['penalties=[{name="r1",weight=1.0}]'])


def test_state_of_the_generator_that_an_average_cannot_follow_is_a_warning(tmp_path: Path) -> None:
    source = """
    class Fading(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers, self.alpha = generator(), 0.0
        def forward(self, latent):
            self.alpha += 0.1
            return self.layers(latent) * min(self.alpha, 1.0)
    def build_model(options, context):
        return Networks(Fading(), discriminator(), LATENT)
    """
    _, warnings = own_run(tmp_path, source, ["ema.half_life_kimg=1"])
    assert any("generator.alpha changes in training" in each and "moving average" in each for each in warnings)


def test_trackers_come_from_the_configuration_and_the_command_line(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert choose_trackers([], "dcgan-fashion", registry) == []
    assert [tracker.name for tracker in choose_trackers(["tensorboard"], "dirac-gan", registry)] == [
        "trajectory",
        "tensorboard",
    ]
    config_file().parent.mkdir(parents=True)
    config_file().write_text('trackers = ["tensorboard"]')
    assert [tracker.name for tracker in choose_trackers([], "dcgan-fashion", registry)] == ["tensorboard"]
    assert [tracker.name for tracker in choose_trackers(["tensorboard"], "dcgan-fashion", registry)] == ["tensorboard"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('trackers = ["tensorboard", {name = "tensorboard"}]', "tracker 'tensorboard' is configured twice"),
        ('trackers = ["tensorbored"]', r"trackers\.0: unknown tracker 'tensorbored'; did you mean 'tensorboard'\?"),
        ('trackers = "tensorboard"', "trackers must be a list of names or tables"),
        ("tracker = []", "unknown key 'tracker'; available: trackers"),
        ("trackers = [", "cannot read the configuration"),
        ('trackers = [{name = "tensorboard", flush = 1}]', "unknown key"),
    ],
)
def test_a_wrong_configuration_is_refused_by_its_path(
    content: str, message: str, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    config_file().parent.mkdir(parents=True)
    config_file().write_text(content)
    with pytest.raises(UsageError, match=message) as raised:
        choose_trackers([], "dcgan-fashion", registry)
    assert str(config_file()) in str(raised.value)


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        ("folder", "config.toml: cannot read it: Is a directory; continuing without the user's own trackers"),
        ("no home", "this user has no home folder; set HOME, or XDG_CONFIG_HOME, .*continuing without the user's"),
        ("home is a file", ""),
    ],
)
def test_a_configuration_without_access_is_a_warning(
    problem: str, message: str, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: Any
) -> None:
    def fail(_: str) -> str:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setenv("XDG_CONFIG_HOME", os.devnull if problem == "home is a file" else str(tmp_path))
    if problem == "folder":
        config_file().mkdir(parents=True)
    elif problem == "no home":
        monkeypatch.setattr("platformdirs.user_config_dir", fail)
    assert [tracker.name for tracker in choose_trackers([], "dirac-gan", registry)] == ["trajectory"]
    warned = [str(each.message) for each in recwarn]
    assert [bool(re.search(message, each)) for each in warned] == ([True] if message else [])


def test_two_trackers_with_the_same_name_are_refused(registry: Registry) -> None:
    with pytest.raises(UsageError, match="--track tensorboard: given twice"):
        choose_trackers(["tensorboard", "tensorboard"], "dcgan-fashion", registry)
    with pytest.raises(UsageError, match="--track tensorbored: unknown tracker"):
        choose_trackers(["tensorbored"], "dcgan-fashion", registry)
