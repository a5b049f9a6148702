"""Options that change during training: 0-dim tensors that are set before each step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import BaseModel, TypeAdapter, ValidationError
from torch import Tensor

from ganbench.errors import GanbenchError, PluginError, UsageError, describe
from ganbench.plugin.interfaces import Schedule
from ganbench.plugin.registrations import BuildContext
from ganbench.results.record import first_problem
from ganbench.spec.benchmark import BenchmarkSpec
from ganbench.spec.configs import PluginConfig, Schedulable, ScheduleConfig

from .position import Position

CHECKED_POSITIONS = 101  # spread over the run, at which a schedule's values are checked before training


@dataclass(frozen=True)
class Scheduled:
    """A schedule and the tensor with its value for the current step."""

    schedule: Schedule
    plugin: str
    config: ScheduleConfig  # in the spec
    value: Tensor  # float32, shape ()


class ScheduledValues:
    """All schedules of a run. They depend only on the position, so there is no state to save."""

    def __init__(self, device: torch.device | str) -> None:
        self.device = device
        self.all: list[Scheduled] = []

    def value_of(self, option: Any, context: BuildContext) -> float | Tensor:
        """Return a constant as it is; for a schedule, a tensor with its current value, always the same one."""
        if not isinstance(option, ScheduleConfig):
            return option
        for scheduled in self.all:
            if scheduled.config is option:
                return scheduled.value
        schedule: Schedule = option.build(context)
        scheduled = Scheduled(schedule, str(option.plugin), option, torch.zeros((), device=self.device))
        self.all.append(scheduled)
        self.set(Position(0, 0))
        return scheduled.value

    def set(self, at: Position) -> None:
        """Set every value for the step at this position, without waiting for the device."""
        for scheduled in self.all:
            with schedule_errors(scheduled.plugin):
                scheduled.value.fill_(float(scheduled.schedule(at.images)))


@contextmanager
def schedule_errors(plugin: str) -> Iterator[None]:
    """Raise `PluginError` with the name of the schedule's plugin for any exception in the block."""
    try:
        yield
    except GanbenchError:
        raise
    except Exception as error:
        raise PluginError(f"{plugin} raised {describe(error)}") from error


def scheduled_options(value: Any, path: str = "") -> Iterator[tuple[str, ScheduleConfig, TypeAdapter[float]]]:
    """Yield the scheduled options of a spec, at any depth: path, schedule, and the validator of a constant."""
    if isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from scheduled_options(item, f"{path}.{number}")
    if not isinstance(value, BaseModel):
        return
    for name, field in type(value).model_fields.items():
        inner = getattr(value, name)
        inside = path if isinstance(value, PluginConfig) and name == "options" else f"{path}.{name}".lstrip(".")
        if isinstance(inner, ScheduleConfig):
            marks = [mark for mark in field.metadata if isinstance(mark, Schedulable)]
            yield inside, inner, marks[0].number if marks else TypeAdapter(float)
        else:
            yield from scheduled_options(inner, inside)


def check_schedules(spec: BenchmarkSpec, context: BuildContext) -> list[str]:
    """Check the values of all schedules over the run against the bounds of their options; return warnings.

    Raises `UsageError` naming option, schedule and position for a value that would be invalid as a constant.
    """
    warnings = []
    for path, config, number_type in scheduled_options(spec):
        schedule = config.build(context)
        for number in range(CHECKED_POSITIONS):
            images = (context.total_images - 1) * number // (CHECKED_POSITIONS - 1)  # before the last step at most
            with schedule_errors(str(config.plugin)):
                value = float(schedule(images))
            try:
                number_type.validate_python(value)
            except ValidationError as error:
                raise UsageError(
                    f"{path}: {config.plugin} returned {value:g} after {images:,} images: {first_problem(error)}"
                ) from None
        kimg = length_kimg(config.options)
        if kimg is not None and kimg * 1000 > context.total_images:
            warnings.append(
                f"{path}: {config.plugin} takes {kimg:g} kimg, but the run ends after "
                f"{context.total_images / 1000:g} kimg, before the end of the schedule"
            )
    return warnings


def changed_schedules(spec: BenchmarkSpec, now: BuildContext, before: BuildContext, images: int) -> list[str]:
    """Describe the schedules of a run whose values for its first `images` images depend on its length.

    The contexts differ in the length of the run.
    """
    changes = []
    for path, config, _ in scheduled_options(spec):
        schedules = config.build(before), config.build(now)
        for number in reversed(range(CHECKED_POSITIONS if images else 0)):
            position = (images - 1) * number // (CHECKED_POSITIONS - 1)
            with schedule_errors(str(config.plugin)):
                then, new = (float(schedule(position)) for schedule in schedules)
            if then != new:
                changes.append(f"{path}: {then:g}, now {new:g} after {position:,} images")
                break
    return changes


def length_kimg(options: BaseModel) -> float | None:
    """Return the length of a schedule in thousands of images; None if it has no option `kimg`."""
    kimg = getattr(options, "kimg", None)
    return kimg if isinstance(kimg, int | float) else None
