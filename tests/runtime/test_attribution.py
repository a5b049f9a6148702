"""Errors for plugins that violate their contract name the plugin, its value and the expected value."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from linear_gan import SCORED, own_run

from ganbench import GanbenchError, PluginError, Registry
from ganbench.runtime.attribution import PluginNames
from ganbench.spec.loading import load_spec
from ganbench.system.torch_defaults import preserve_torch_defaults, set_torch_defaults, torch_defaults

PICTURED = ["sample_images.generated=4"]
SCORED_AT_THE_END = [*SCORED, "metrics.0.at_epochs=[]"]
LOSS = """
class Own(LeastSquares):
    def generator_loss(self, players, batch):
        loss, monitors = super().generator_loss(players, batch)
        return RETURNED

build_loss = lambda options, context: Own()
"""
GENERATOR = """
class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = generator()
        self.calls = 0

    def forward(self, latent):
        {}

build_model = lambda options, context: Networks(Own(), discriminator(), LATENT)
"""
MODEL, LOSS_NAME = r"model 'own' \(from .*own\.py.*?\)", r"loss 'own' \(from .*own\.py.*?\)"

LOSSES = {
    "item": ("loss.item(), monitors", r"returned .* as the loss \(\.item\(\) and float\(\) detach it from the param"),
    "alone": ("loss", r"generator_loss returned a tensor, float32 of shape \(\); expected a pair of the loss"),
    "three": ("loss, monitors, 1", "generator_loss returned a tuple of 3; expected a pair of the loss"),
    "nothing": ("None", "generator_loss returned .*; expected a pair of the loss"),
    "vector": ("loss.expand(8), monitors", r"returned a tensor, float32 of shape \(8,\) as the loss; expected a pair"),
    "whole number": ("loss.long(), monitors", r"returned a tensor, int64 of shape \(\) as the loss; expected"),
    "detached": ("loss.detach(), monitors", "the loss for the generator does not depend on the generator's parameters"),
    "monitors": ("loss, [loss]", "returned a list of 1 as monitors; expected a pair"),
    "float monitor": ("loss, {'own': 1.0}", "returned 1.0 as 'own'; expected a scalar tensor"),
    "vector monitor": ("loss, {'own': batch.latent}", r"shape \(8, 4\) as 'own'; expected a scalar tensor"),
    "column": ("loss, {'seconds': loss.detach()}", "a monitor is called seconds, which is a column"),
}


@pytest.mark.parametrize(("returned", "message"), LOSSES.values(), ids=LOSSES.keys())
def test_the_error_for_an_invalid_result_of_a_loss(returned: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(PluginError) as raised:
        own_run(tmp_path, LOSS.replace("RETURNED", returned))
    told = str(raised.value)
    assert re.search(LOSS_NAME + ".*" + message, told), told
    assert "\n" not in told


FORWARDS: dict[str, tuple[str, str, list[str]]] = {
    "raises": ("raise RuntimeError('torn')", "raised in its generator: RuntimeError: torn", []),
    "a layer raises": ("return self.body(latent[:, 1:])", r"raised in its generator\.body\.0: RuntimeError", []),
    "only in scores": (
        "if not self.training: raise RuntimeError('torn')\n        return self.body(latent)",
        "raised in its generator: RuntimeError: torn",
        SCORED_AT_THE_END,
    ),
    "only in pictures": (
        "if not torch.is_grad_enabled(): raise SystemExit('torn')\n        return self.body(latent)",
        "raised in its generator: SystemExit: torn",
        PICTURED,
    ),
    "flat": (
        "return self.body(latent).flatten(1)",
        r"for \d+ latent vectors, the generator must return a floating-point tensor of shape .*, got a tensor",
        SCORED_AT_THE_END,
    ),
    "half as many": (
        "return self.body(latent)[::2]",
        r"for \d+ latent vectors, the generator must return",
        SCORED_AT_THE_END,
    ),
    "whole numbers": (
        "images = self.body(latent)\n        return images if self.training else images.byte()",
        "must return a floating-point tensor .* got a tensor, uint8 of shape",
        SCORED_AT_THE_END,
    ),
    "a tuple": (
        "images = self.body(latent)\n        return images if self.training else (images, latent)",
        "must return a floating-point tensor .* got a tuple of 2",
        SCORED_AT_THE_END,
    ),
}


@pytest.mark.parametrize(("forward", "message", "overrides"), FORWARDS.values(), ids=FORWARDS.keys())
def test_the_error_for_a_generator_that_raises_or_returns_no_images(
    forward: str, message: str, overrides: list[str], tmp_path: Path
) -> None:
    with pytest.raises(PluginError) as raised:
        own_run(tmp_path, GENERATOR.format(forward), overrides)
    told = str(raised.value)
    assert told.startswith("the run failed after 0 steps: "), told
    assert told.count("-o metrics=[] -o sample_images.generated=0") == bool(overrides)
    assert re.search(MODEL + ".*" + message, told), told
    assert "\n" not in told


def test_the_error_for_a_generator_that_requires_labels(tmp_path: Path) -> None:
    wants = GENERATOR.format("return self.body(latent)").replace(
        "forward(self, latent)", "forward(self, latent, labels)"
    )
    with pytest.raises(PluginError, match=LOSS_NAME + f" calls the generator of {MODEL} with invalid arguments"):
        own_run(tmp_path, wants)
    gives = """
class Labelled(LeastSquares):
    def discriminator_loss(self, players, batch):
        fake = players.networks.generator(batch.latent, batch.labels)
        return players.discriminate(fake).mean() - players.discriminate(batch.real).mean(), {}

    def generator_loss(self, players, batch):
        return -players.discriminate(players.networks.generator(batch.latent, batch.labels)).mean(), {}

build_loss = lambda options, context: Labelled()
"""
    expected = MODEL + ".* the generator is called in eval mode with latent vectors .* labels only if"
    with pytest.raises(PluginError, match=expected):
        own_run(tmp_path, wants + gives, SCORED, name="scored")


BUILDS: dict[str, tuple[str, str]] = {
    "optimizer": (
        "build_optimizer = lambda options, context: lambda parameters: list(parameters)",
        r"^optimizer 'own' \(from .*\): for the discriminator's parameters it returned a list of 2; expected a torch",
    ),
    "optimizer steps": (
        "class Own(torch.optim.SGD):\n    def step(self, closure=None): raise ValueError('torn')\n"
        "build_optimizer = lambda options, context: lambda parameters: Own(parameters, lr=0.1)",
        r"optimizer 'own' \(from .*\) raised in step\(\) for the discriminator: ValueError: torn",
    ),
    "not a module": (
        "build_model = lambda options, context: Networks(generator(), len, LATENT)",
        f"^{MODEL}: its discriminator is a builtin_function_or_method; expected a torch.nn.Module",
    ),
    "latent size": (
        "build_model = lambda options, context: Networks(generator(), discriminator(), 4.0)",
        f"^{MODEL}: its latent_dim is 4.0; expected a positive integer",
    ),
    "lazy": (
        "build_model = lambda options, context: Networks(generator(), "
        "nn.Sequential(nn.Flatten(), nn.LazyLinear(1)), LATENT)",
        f"^{MODEL}: the discriminator's parameter 1.weight is created in its first forward pass .* specify the size",
    ),
    "late parameter": (
        "class Late(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.body = discriminator()\n"
        "    def forward(self, images):\n"
        "        if not hasattr(self, 'scale'): self.scale = nn.Parameter(torch.ones(()))\n"
        "        return self.scale * self.body(images)\n"
        "build_model = lambda options, context: Networks(generator(), Late(), LATENT)",
        f"{MODEL}: the discriminator's parameter scale was created or replaced in the first steps",
    ),
}


@pytest.mark.parametrize(("source", "message"), BUILDS.values(), ids=BUILDS.keys())
def test_the_error_for_an_invalid_result_of_a_build(source: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(PluginError) as raised:
        own_run(tmp_path, source)
    assert re.search(message, str(raised.value)), raised.value


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("penalty gradient", "penalty 'r1'"),
        ("penalty gradient.calls", "penalty 'r1'"),
        ("penalty gradient-penalty", "penalty 'gradient-penalty'"),
        ("penalty gradient-penalty.calls", "penalty 'gradient-penalty'"),
        ("penalty gradient.late", "penalty 'r2'"),
        ("penalty gradient.late.calls", "penalty 'r2'"),
        ("generator's optimizer.calls", "optimizer 'adam'"),
    ],
)
def test_the_plugin_of_a_path_is_that_of_the_whole_id(path: str, owner: str, registry: Registry) -> None:
    first, second = "{name='r1',id='gradient',weight=1.0}", "{name='gradient-penalty',weight=1.0}"
    third = "{name='r2',id='gradient.late',weight=1.0}"
    spec = load_spec("dcgan-fashion", registry, [f"penalties=[{first},{second},{third}]"])
    assert PluginNames.of(spec).owner(path).startswith(f"{owner} ")


DEFAULTS = {
    "dtype": ("torch.set_default_dtype(torch.float64)", "default dtype from torch.float32 to torch.float64"),
    "device": ("torch.set_default_device('meta')", "default device from cpu to meta"),
    "gradients": ("torch.set_grad_enabled(False)", "gradient mode from True to False"),
}


@pytest.mark.parametrize(("changes", "message"), DEFAULTS.values(), ids=DEFAULTS.keys())
@pytest.mark.parametrize("where", ["import", "build", "step"])
def test_the_error_for_a_changed_default_of_torch(where: str, changes: str, message: str, tmp_path: Path) -> None:
    before = torch_defaults()
    source = {
        "import": changes,
        "build": f"def build_loss(options, context):\n    {changes}\n    return LeastSquares()\n",
        "step": "class Own(LeastSquares):\n    def factor(self):\n"
        f"        {changes}\n        return 1.0\n\nbuild_loss = lambda options, context: Own()\n",
    }[where]
    if where == "step" and "dtype" not in changes:
        source = source.replace(changes, "torch.set_default_dtype(torch.float64)")
        message = "default dtype from"
    with pytest.raises(GanbenchError) as raised:
        own_run(tmp_path, source)
    told = str(raised.value)
    assert "own.py" in told
    assert f"changed torch's {message}" in told
    assert torch_defaults() == before


def test_defaults_are_restored() -> None:
    before: Any = torch_defaults()
    torch.set_default_dtype(torch.float64)
    set_torch_defaults(before)
    assert torch.get_default_dtype() == torch.float32
    with preserve_torch_defaults("nobody changed"):
        pass
