"""Schedules: their values by images shown, their bounds, and optimizers that follow them."""

from __future__ import annotations

import math
import warnings
from functools import partial
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import torch
from linear_gan import PLUGIN, make_eager, own_run, plugin
from run_spec import run
from torch import nn
from torch.optim import SGD, Adam, RMSprop

from ganbench import BuildContext, GanbenchWarning, UsageError
from ganbench.plugin.kinds import Kind
from ganbench.plugin.registry import Registry
from ganbench.runtime.checkpoint import load_checkpoint
from ganbench.scoring.reopening import open_run
from ganbench.spec.configs import ScheduleConfig
from ganbench.spec.loading import load_spec
from ganbench.training.optimizers import load_optimizer_state
from ganbench.training.position import Position
from ganbench.training.schedules import ScheduledValues
from ganbench.training.state.leaves import first_difference, leaves_of
from ganbench.training.state.step_state import restore_state, snapshot_state

TOTAL = 10_000
WEIGHTS = ("raw", "ema")


@pytest.fixture
def context(tmp_path: Path) -> BuildContext:
    return BuildContext((1, 28, 28), 10, "cpu", tmp_path, 0, total_steps=100, total_images=TOTAL)


@pytest.mark.parametrize(
    ("spec", "values"),
    [
        ({"name": "constant", "value": 3.0}, {0: 3, 5000: 3, TOTAL: 3}),
        ({"name": "linear", "start": 2.0}, {0: 2, 2500: 1.5, TOTAL: 0, 2 * TOTAL: 0}),
        ({"name": "linear", "start": 2.0, "end": 4.0, "kimg": 5}, {0: 2, 2500: 3, 5000: 4, TOTAL: 4}),
        ({"name": "cosine", "start": 2.0, "end": 1.0}, {0: 2, 2500: 1 + (1 + math.sqrt(0.5)) / 2, 5000: 1.5, TOTAL: 1}),
        ({"name": "step", "start": 8.0, "factor": 0.5, "every_kimg": 2}, {0: 8, 1999: 8, 2000: 4, 9999: 0.5}),
        ({"name": "step", "start": 8.0, "factor": 0.5, "every_kimg": 1e-4}, {0: 8, 1: 4, 3: 1}),
        ({"name": "robbins-monro", "start": 1.0, "power": 0.5, "scale_kimg": 1}, {0: 1, 3000: 0.5}),
    ],
)
def test_a_schedule_has_the_value_of_its_formula(
    spec: dict[str, Any], values: dict[int, float], context: BuildContext, registry: Registry
) -> None:
    schedule = ScheduleConfig.model_validate(spec, context={"registry": registry}).build(context)
    assert {images: schedule(images) for images in values} == pytest.approx(values)


def test_every_shipped_schedule_is_tested_above(registry: Registry) -> None:
    shipped = {registered.plugin.name for registered in registry.of_kind(Kind.SCHEDULE)}
    assert shipped == {"constant", "linear", "cosine", "step", "robbins-monro"}


@pytest.mark.parametrize("make", [partial(SGD, fused=True), partial(Adam, fused=True), Adam, SGD, RMSprop])
def test_an_optimizer_follows_the_schedule_also_after_its_state_was_loaded(
    make: Any, context: BuildContext, registry: Registry
) -> None:
    """With a learning rate that falls from 1 to 0, updates of a parameter shrink to 0."""
    values = ScheduledValues("cpu")
    config = ScheduleConfig.model_validate({"name": "linear", "start": 0.5}, context={"registry": registry})
    lr = values.value_of(config, context)
    assert values.value_of(config, context) is lr
    parameter = nn.Parameter(torch.ones(4))
    optimizer = make([parameter], lr=lr)
    moved = []
    for step in range(11):
        if step == 5:
            load_optimizer_state(optimizer, optimizer.state_dict())
        values.set(Position(step, 1000 * step))
        before = parameter.detach().clone()
        parameter.grad = torch.ones(4)
        optimizer.step()
        moved.append((parameter.detach() - before).abs().max().item())
    assert all(later < earlier for earlier, later in pairwise(moved[1:]))
    assert moved[-1] == 0


FALLING = 'optimizer.discriminator={name="adam",lr={name="cosine",start=1e-2,end=1e-3}}'


def test_a_constant_schedule_equals_the_constant(tmp_path: Path) -> None:
    number, schedule = (
        own_run(tmp_path, "", [f"optimizer.discriminator={{name='sgd',lr={lr}}}"], name=name)[0]
        for name, lr in (("number", "0.5"), ("schedule", "{name='constant',value=0.5}"))
    )
    assert number.history[-1].d_loss == pytest.approx(schedule.history[-1].d_loss, rel=1e-6)


def test_a_run_follows_its_schedule_to_the_end(tmp_path: Path) -> None:
    """After a first step with rate 0.5, rates of nearly 0 do not change the networks."""
    lr = "{name='step',start=0.5,factor=1e-30,every_kimg=0.008}"
    rates = [f"optimizer.{player}={{name='sgd',lr={lr}}}" for player in ("generator", "discriminator")]
    states = []
    for name, steps in (("one", 1), ("five", 5)):
        own_run(tmp_path, "", [*rates, f"training.steps={steps}"], name=name)
        states.append(leaves_of(load_checkpoint(tmp_path / name / "checkpoint.pt").state["networks"]))
    assert first_difference(*states) is None


def test_a_schedule_changes_training_and_is_in_the_spec(tmp_path: Path) -> None:
    constant, _ = own_run(tmp_path, "", ["optimizer.discriminator={name='adam',lr=1e-2}"], name="constant")
    falling, _ = own_run(tmp_path, "", [FALLING], name="falling")
    assert constant.history[0].d_loss != falling.history[0].d_loss
    assert falling.spec["optimizer"]["discriminator"]["lr"] == {"name": "cosine", "start": 1e-2, "end": 1e-3}


@pytest.mark.parametrize(
    ("lr", "message"),
    [
        (
            "{name='linear',start=1e-3,end=-1.0}",
            r"optimizer\.discriminator\.lr: .* returned -.* after",
        ),
        ("{name='linear',start=-1.0,end=1.0}", r"optimizer\.discriminator\.lr: .* returned -1 after 0 images"),
        ("{name='linear'}", r"optimizer\.discriminator\.lr\.start: required"),
        ("{name='sawtooth'}", r"optimizer\.discriminator\.lr: unknown schedule 'sawtooth'"),
        ("-1", r"optimizer\.discriminator\.lr: must be greater than 0 \(got -1\)"),
        ("'fast'", r"optimizer\.discriminator\.lr: must be a number"),
    ],
)
def test_an_invalid_rate_is_refused_with_its_path_before_training(lr: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        own_run(tmp_path, "", [f"optimizer.discriminator={{name='adam',lr={lr}}}"])
    assert not (tmp_path / "run").exists()


def test_a_rate_that_is_invalid_between_the_positions_checked_before_training_ends_the_run(tmp_path: Path) -> None:
    """240 images are checked at 101 positions, 96 is not one of them."""
    source = """
    from ganbench import SchedulePlugin
    @hookimpl
    def ganbench_schedules():
        build = lambda options, context: lambda images: -1.0 if images == 96 else 1e-4
        return [SchedulePlugin(name="dip", summary="-", build=build)]
    """
    with pytest.raises(
        UsageError, match=r"optimizer\.discriminator\.lr: .*'dip' .* returned -1 after 96 images: .*than 0"
    ):
        own_run(tmp_path, source, ["optimizer.discriminator={name='sgd',lr={name='dip'}}", "training.steps=30"])


def test_bounds_apply_to_a_schedule_that_is_optional_or_in_a_list_table_or_dataclass(tmp_path: Path) -> None:
    source = """
    from typing import Annotated
    from ganbench import Options, Schedulable, ScheduleConfig
    from dataclasses import dataclass
    Share = Annotated[float | ScheduleConfig, Schedulable(le=1)]
    @dataclass
    class Pair:
        left: Share = 0.5
    class Shares(Options):
        pair: Pair = Pair()
        first: Share | None = None
        others: list[Share] = []
        named: dict[str, Share] = {}
    @hookimpl(specname="ganbench_losses")
    def shared():
        return [LossPlugin(name="shared", summary="-", options=Shares, build=lambda o, c: LeastSquares())]
    """
    rising = "{name='linear',start=0.0,end=2.0}"
    for options, path in (
        (f"first={rising}", "first"),
        (f"others=[0.5,{rising}]", r"others\.1"),
        (f"named={{a={rising}}}", r"named\.a"),
        (f"pair={{left={rising}}}", r"pair\.left"),
    ):
        with pytest.raises(UsageError, match=rf"^loss\.{path}: schedule 'linear' .* returned 1\."):
            own_run(tmp_path, source, [f"loss={{name='shared',{options}}}"])


def test_a_rate_may_fall_to_zero_by_the_end(tmp_path: Path) -> None:
    _, warnings = own_run(tmp_path, "", ["optimizer.generator={name='adam',lr={name='linear',start=1e-3}}"])
    assert warnings == []


def test_a_schedule_longer_than_the_run_is_a_warning(tmp_path: Path) -> None:
    _, warnings = own_run(tmp_path, "", ["optimizer.generator={name='sgd',lr={name='cosine',start=0.1,kimg=50}}"])
    (warning,) = (each for each in warnings if "kimg" in each)
    assert "takes 50 kimg, but the run ends after 0.04 kimg" in warning


def test_a_schedule_is_checked_at_any_depth_of_options(tmp_path: Path) -> None:
    """Also in the options of a model, and of a plugin within the options of another."""
    source = """
    from typing import Annotated
    from ganbench import LossConfig, Options, Schedulable, ScheduleConfig
    class Inner(Options):
        margin: Annotated[float | ScheduleConfig, Schedulable(gt=0)] = 1.0
    class Outer(Options):
        inner: LossConfig
    @hookimpl
    def ganbench_losses():
        build = lambda options, context: LeastSquares()
        return [
            LossPlugin(name="inner", summary="-", options=Inner, build=build),
            LossPlugin(name="outer", summary="-", options=Outer, build=build),
        ]
    """
    (tmp_path / "wrapped.py").write_text(dedent(PLUGIN) + dedent(source))
    registry = Registry.load([str(tmp_path / "wrapped.py")])
    loss = 'loss={name="outer",inner={name="inner",margin={name="linear",start=1.0,end=-1.0}}}'
    short = ["dataset.source=embedded", "metrics=[]", "training.steps=5"]
    spec = load_spec("dcgan-fashion", registry, [loss, *short])
    with pytest.raises(UsageError, match=r"^loss\.inner\.margin: schedule 'linear' .* returned -"):
        run(spec, device="cpu", out=tmp_path / "run")


def test_a_penaltys_weight_can_follow_a_schedule(tmp_path: Path) -> None:
    weights = ("5.0", "{name='linear',start=5.0,end=0.0}", "{name='linear',start=5.0,end=-1.0}")
    first, second = (
        own_run(tmp_path, "", [f"penalties=[{{name='r1',weight={weight}}}]"], name=f"run-{number}")[0]
        for number, weight in enumerate(weights[:2])
    )
    assert first.history[-1].d_loss != second.history[-1].d_loss
    with pytest.raises(UsageError, match=r"penalties\.0\.weight: .* returned -"):
        own_run(tmp_path, "", [f"penalties=[{{name='r1',weight={weights[2]}}}]"])


FADING = """
from typing import Annotated
from ganbench import Options, Schedulable, ScheduleConfig
class FadeOptions(Options):
    alpha: Annotated[float | ScheduleConfig, Schedulable(ge=0)] = 0.0

class Fading(nn.Module):
    def __init__(self, alpha):
        super().__init__()
        self.inner = generator()
        {keep}
    def forward(self, latent):
        return self.alpha * self.inner(latent)

@hookimpl(specname="ganbench_models")
def fading():
    def build(options, context):
        return Networks(Fading(context.scheduled(options.alpha)), discriminator(), LATENT)
    return [ModelPlugin(name="fading", summary="-", options=FadeOptions, build=build)]
"""


@pytest.mark.parametrize("keep", ["self.alpha = alpha", 'self.register_buffer("alpha", alpha)'])
def test_a_network_can_follow_a_schedule_in_training_averages_and_afterwards(keep: str, tmp_path: Path) -> None:
    source = FADING.format(keep=keep)
    metrics = ",".join(f'{{name="fid",features="fashion-cnn",num_samples=20,weights="{name}"}}' for name in WEIGHTS)
    overrides = [
        'model={name="fading",alpha={name="linear",start=0.0,end=1.0}}',
        f"metrics=[{metrics}]",
        *("ema.half_life_kimg=0", "ema.ramp=0"),  # the average is the last weights
    ]
    result, messages = own_run(tmp_path, source, overrides)
    assert not [message for message in messages if "alpha" in message]
    raw, averaged = result.metrics
    assert raw.value == averaged.value != raw.curve[0].value
    with warnings.catch_warnings():
        warnings.simplefilter("error", GanbenchWarning)
        opened = open_run(tmp_path / "run", plugin(tmp_path, source), torch.device("cpu"))
    assert torch.equal(opened.sample(20, weights="raw")[0], opened.sample(20, weights="ema")[0])
    # before the last of five steps, the schedule had reached 4/5
    assert opened.generator.alpha.item() == opened.networks.generator.alpha.item() == pytest.approx(0.8)


def test_the_value_of_a_schedule_is_restored(context: BuildContext) -> None:
    """A run that is resumed after its last step scores before it takes another one."""
    eager = make_eager(schedules=ScheduledValues("cpu"))
    config = ScheduleConfig.model_validate({"name": "linear", "start": 1.0}, context={"registry": Registry.load()})
    value = eager.step.schedules.value_of(config, context)
    eager.step.schedules.set(Position(1, TOTAL // 2))
    state = snapshot_state(eager.step, eager.batches)
    eager.step.schedules.set(Position(2, TOTAL))
    restore_state(state, eager.step, eager.batches)
    assert value == 0.5
