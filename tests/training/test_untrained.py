"""Warnings about parameters that no step trains, and about schedules that nothing follows."""

from __future__ import annotations

from pathlib import Path

import pytest
from linear_gan import own_run

MODEL = """
class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = {layers}
        self.output = nn.Linear(PIXELS, 1)
    def forward(self, images):
        flat = images.flatten(1)
        return {returned}

build_model = lambda options, context: Networks(generator(), Own(), LATENT)
"""
LOSS = """
class Own(LeastSquares):
    def __init__(self):
        self.head = nn.Linear(1, 1)
        {optimizer}
    def discriminator_loss(self, players, batch):
        guess = self.head(players.discriminate(batch.real))
        {update}
        return super().discriminator_loss(players, batch)[0] + guess.square().mean(), {{}}

build_loss = lambda options, context: Own()
"""
OWN_OPTIMIZER = {
    "optimizer": "self.optimizer = torch.optim.Adam(self.head.parameters(), lr=0.1)",
    "update": "self.optimizer.zero_grad(); guess.square().mean().backward(retain_graph=True); self.optimizer.step()\n"
    "        guess = guess.detach()",
}
NOTHING = {"optimizer": "pass", "update": "pass"}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            MODEL.format(layers="nn.Linear(PIXELS, PIXELS)", returned="self.output(flat)"),
            "training will not change the discriminator's 2 parameters (layers.weight, layers.bias), as the first",
        ),
        (
            MODEL.format(
                layers="nn.Linear(PIXELS, PIXELS, bias=False)",
                returned="self.output(flat + self.layers(flat).detach())",
            ),
            "training will not change the discriminator's parameter layers.weight, as the first steps",
        ),
        (
            MODEL.format(
                layers="[nn.Linear(PIXELS, PIXELS, bias=False)]", returned="self.output(self.layers[0](flat))"
            ),
            "no optimizer updates the parameter discriminator.layers.0.weight, which had a gradient",
        ),
        (LOSS.format(**NOTHING), "no optimizer updates the 2 parameters (loss.head.weight, loss.head.bias)"),
    ],
    ids=["unused", "detached", "in a list", "in the loss"],
)
def test_a_parameter_that_is_not_trained_is_a_warning(source: str, expected: str, tmp_path: Path) -> None:
    _, warnings = own_run(tmp_path, source)
    (warning,) = (each for each in warnings if expected in each)
    assert warning.startswith("loss 'own'" if "loss" in expected else "model 'own'")


@pytest.mark.parametrize(
    "source",
    [
        MODEL.format(layers="nn.Linear(2, 2).requires_grad_(False)", returned="self.output(flat)"),
        MODEL.format(
            layers="nn.ModuleList([nn.Linear(PIXELS, 2)])", returned="self.output(flat) + self.layers[0](flat)"
        ),
        LOSS.format(**OWN_OPTIMIZER),
    ],
    ids=["frozen", "trained", "trained by the loss"],
)
def test_there_is_no_warning_about_other_parameters(source: str, tmp_path: Path) -> None:
    assert own_run(tmp_path, source)[1] == []


OPTIMIZER = """
from typing import Annotated
from ganbench import Options, Schedulable, ScheduleConfig
class RateOptions(Options):
    rate: Annotated[float | ScheduleConfig, Schedulable(gt=0)] = 0.1

def build(options, context):
    rate = context.scheduled(options.rate)
    return lambda parameters: {made}

@hookimpl(specname="ganbench_optimizers")
def rated():
    return [OptimizerPlugin(name="rated", summary="-", options=RateOptions, build=build)]
"""
SCHEDULED = [
    "optimizer.discriminator={name='rated',rate={name='linear',start=0.1}}",
    "optimizer.generator={name='rated',rate=0.1}",
]
GROUPS = "[{'params': [p for _, p in parameters], 'lr': RATE}]"


@pytest.mark.parametrize(
    ("made", "follows"),
    [
        ("torch.optim.SGD(parameters, lr=rate)", True),
        ("torch.optim.SGD(" + GROUPS.replace("RATE", "rate") + ", lr=0.1)", True),
        ("torch.optim.SGD(parameters, lr=float(rate))", False),
        ("torch.optim.SGD(" + GROUPS.replace("RATE", "2 * rate") + ", lr=rate)", False),
    ],
)
def test_a_schedule_that_an_optimizer_does_not_follow_is_a_warning(made: str, follows: bool, tmp_path: Path) -> None:
    _, warnings = own_run(tmp_path, OPTIMIZER.format(made=made), SCHEDULED)
    found = [each for each in warnings if each.startswith("optimizer.discriminator.rate: schedule 'linear'")]
    assert len(found) == (not follows)
    assert warnings == found


WEIGHTED = """
from typing import Annotated
from ganbench import Options, Schedulable, ScheduleConfig
class WeightOptions(Options):
    weight: Annotated[float | ScheduleConfig, Schedulable(gt=0)] = 1.0

class Weighted(LeastSquares):
    def __init__(self, weight):
        self.weight = weight
    def factor(self):
        return self.weight

@hookimpl(specname="ganbench_losses")
def weighted():
    def build(options, context):
        return Weighted({kept})
    return [LossPlugin(name="weighted", summary="-", options=WeightOptions, build=build)]
"""


@pytest.mark.parametrize(
    ("kept", "follows"),
    [("[context.scheduled(options.weight)][0]", True), ("context.scheduled(options.weight).item()", False)],
)
def test_a_schedule_that_a_loss_does_not_follow_is_a_warning(kept: str, follows: bool, tmp_path: Path) -> None:
    loss = "loss={name='weighted',weight={name='linear',start=2.0,end=1.0}}"
    _, warnings = own_run(tmp_path, WEIGHTED.format(kept=kept), [loss])
    assert [each.partition(":")[0] for each in warnings] == ([] if follows else ["loss.weight"])


PENALTY = """
from typing import Annotated
from ganbench import Options, PenaltyPlugin, Schedulable, ScheduleConfig
class MarginOptions(Options):
    margin: Annotated[float | ScheduleConfig, Schedulable(ge=0)] = 1.0

@hookimpl
def ganbench_penalties():
    def build(options, context):
        margin = {kept}
        return lambda players, batch: (players.logits(batch.real) * margin).square().mean()
    return [PenaltyPlugin(name="own", summary="-", options=MarginOptions, build=build)]
"""


@pytest.mark.parametrize(
    ("kept", "follows"),
    [("context.scheduled(options.margin)", True), ("float(context.scheduled(options.margin))", False)],
)
def test_a_schedule_that_a_penalty_does_not_follow_is_a_warning(kept: str, follows: bool, tmp_path: Path) -> None:
    schedule = "{name='linear',start=2.0,end=1.0}"
    penalty = f"penalties=[{{name='own',weight={schedule},margin={schedule}}}]"
    _, warnings = own_run(tmp_path, PENALTY.format(kept=kept), [penalty])
    assert [each.partition(":")[0] for each in warnings] == ([] if follows else ["penalties.0.margin"])


FADING = """
from typing import Annotated
from ganbench import Options, Schedulable, ScheduleConfig
class FadingOptions(Options):
    alpha: Annotated[float | ScheduleConfig, Schedulable(ge=0)] = 0.0

class Fading(nn.Module):
    def __init__(self, alpha):
        super().__init__()
        self.alpha = alpha
        self.old, self.new = nn.Linear(PIXELS, 1), nn.Linear(PIXELS, 1, bias=False)
    def forward(self, images):
        flat = images.flatten(1)
        return self.old(flat) + (self.alpha * self.new(flat) if self.alpha > 0 else 0)

@hookimpl(specname="ganbench_models")
def fading():
    def build(options, context):
        return Networks(generator(), Fading(context.scheduled(options.alpha)), LATENT)
    return [ModelPlugin(name="fading", summary="-", options=FadingOptions, build=build)]
"""


@pytest.mark.parametrize(
    ("alpha", "unless"),
    [("0.0", ""), ('{name="linear",start=0.0,end=1.0}', "unless the schedule of model.alpha changes that, ")],
    ids=["a number", "a schedule"],
)
def test_a_layer_that_a_schedule_may_bring_into_use_is_not_called_untrained(
    alpha: str, unless: str, tmp_path: Path
) -> None:
    (warning,) = own_run(tmp_path, FADING, [f'model={{name="fading",alpha={alpha}}}'])[1]
    assert f": {unless}training will not change the discriminator's parameter new.weight, as" in warning


ADAPTIVE = """
class Adaptive(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("p", torch.zeros(()))
    def forward(self, images):
        return images * (1 - self.p)
    def adapt(self, logits):
        self.p.sub_(0.01).clamp_(0, 1)  # stays at its bound

class Own({bases}):
    def __init__(self):
        super().__init__()
        self.augmentation = Adaptive()
    def discriminator_loss(self, players, batch):
        loss, monitors = super().discriminator_loss(players, batch)
        real = players.discriminate(players.augment(batch.real, self.augmentation))
        {adapt}
        return loss + real.square().mean(), monitors

build_loss = lambda options, context: Own()
"""


@pytest.mark.parametrize("bases", ["LeastSquares", "nn.Module, LeastSquares"])
@pytest.mark.parametrize(("adapt", "warned"), [("pass", True), ("self.augmentation.adapt(real)", False)])
def test_an_adaptive_augmentation_within_a_loss_that_does_not_adapt_is_a_warning(
    bases: str, adapt: str, warned: bool, tmp_path: Path
) -> None:
    _, warnings = own_run(tmp_path, ADAPTIVE.format(bases=bases, adapt=adapt))
    assert ["loss 'own'" in each and "adapt of loss.augmentation was not called" in each for each in warnings] == (
        [True] * warned
    )
