"""Step sizes that decay and gradients that are clipped, for any optimiser."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ganbench import OptimizerFactory, Options

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer


class StepDecay(Options):
    """lr / (1 + taken / steps)^power after so many steps taken."""

    power: float = Field(1.0, gt=0, description="Robbins and Monro (1951) ask for 1/2 < power <= 1")
    steps: float = Field(100.0, gt=0, description="after about so many steps the decay sets in")


class ScheduledOptions(Options):
    """What every optimiser here takes beside its own options."""

    decay: StepDecay | None = Field(
        None, description="{power, steps}: the learning rate falls as lr / (1 + taken / steps)^power"
    )
    clip_norm: float | None = Field(None, gt=0, description="a player's gradient is shortened to this norm")

    def own(self) -> dict[str, Any]:
        """The optimiser's own options."""
        return self.model_dump(exclude=set(ScheduledOptions.model_fields))


def scheduled(make: OptimizerFactory, lr: float, options: ScheduledOptions) -> OptimizerFactory:
    """Optimisers as `make` makes them, whose gradients are clipped and whose step size decays as the options say."""

    decay, clip_norm = options.decay, options.clip_norm

    def clip(optimizer: Optimizer, *_: Any) -> None:
        from torch.nn.utils import clip_grad_norm_

        assert clip_norm is not None
        clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], clip_norm)

    def shorten_step(optimizer: Optimizer, *_: Any) -> None:
        assert decay is not None
        for group in optimizer.param_groups:  # what is in a group is in every checkpoint
            taken = group.get("steps_taken", 0)
            group["lr"] = lr / (1 + taken / decay.steps) ** decay.power
            group["steps_taken"] = taken + 1

    def build(parameters: Iterable[nn.Parameter]) -> Optimizer:
        optimizer = make(parameters)
        if clip_norm is not None:
            optimizer.register_step_pre_hook(clip)
        if decay is not None:
            optimizer.register_step_pre_hook(shorten_step)
        return optimizer

    return build
