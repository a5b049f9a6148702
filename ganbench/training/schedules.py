"""Options that change during training: 0-dim tensors that are set before each step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, get_args, get_type_hints

import torch
from pydantic import BaseModel, TypeAdapter, ValidationError
from torch import Tensor

from ganbench.errors import GanbenchError, PluginError, UsageError, describe
from ganbench.plugin.interfaces import Schedule
from ganbench.plugin.options import plain_message
from ganbench.plugin.registrations import BuildContext
from ganbench.plugin.registry import Registered
from ganbench.spec.benchmark import BenchmarkSpec
from ganbench.spec.configs import PluginConfig, Schedulable, ScheduleConfig

from .position import Position

NUMBER = TypeAdapter(float)  # of an option without bounds
CHECKED_POSITIONS = 101  # spread over the run, at which a schedule's values are checked before training


@dataclass(frozen=True)
class ScheduledOption:
    """An option that follows a schedule."""

    path: str  # in the spec
    config: ScheduleConfig
    number: TypeAdapter[float]  # validates a constant

    def build(self, context: BuildContext) -> Schedule:
        """Build the schedule. Each value is checked against the bounds of the option.

        It raises `PluginError` if the plugin raises, and `UsageError` naming option, schedule and position for a value
        that would be invalid as a constant.
        """
        schedule: Schedule = self.config.build(context)

        def value(images: int) -> float:
            try:
                number = float(schedule(images))
            except GanbenchError:
                raise
            except Exception as error:
                raise PluginError(f"{self.config.plugin} raised {describe(error)}") from error
            try:
                return self.number.validate_python(number)
            except ValidationError as error:
                problem = plain_message(error.errors(include_url=False)[0])
                raise UsageError(
                    f"{self.path}: {self.config.plugin} returned {number:g} after {images:,} images: {problem}"
                ) from None

        return value


@dataclass(frozen=True)
class Scheduled:
    """An option, its schedule, and the tensor with its value for the current step."""

    option: ScheduledOption
    schedule: Schedule
    value: Tensor  # float32, shape ()


class ScheduledValues:
    """All schedules of a run. They depend only on the position, so there is no state to save."""

    def __init__(self, device: torch.device | str, spec: BenchmarkSpec | None = None) -> None:
        """`spec` has the bounds of the options; without it, there are none."""
        self.device = device
        self.all: list[Scheduled] = []
        self._options = {id(option.config): option for option in scheduled_options(spec)}

    def schedule_of(self, value: float | ScheduleConfig, context: BuildContext) -> Schedule:
        """Return the value of an option as a function of the number of images seen; a constant one for a number."""
        return self._option(value).build(context) if isinstance(value, ScheduleConfig) else lambda _: value

    def value_of(self, option: Any, context: BuildContext) -> float | Tensor:
        """Return a constant as it is; for a schedule, a tensor with its current value, always the same one."""
        if not isinstance(option, ScheduleConfig):
            return option
        for scheduled in self.all:
            if scheduled.option.config is option:
                return scheduled.value
        value = torch.zeros((), device=self.device)
        self.all.append(Scheduled(self._option(option), self.schedule_of(option, context), value))
        self.set(Position(0, 0))
        return value

    def set(self, at: Position) -> None:
        """Set every value for the step at this position, without waiting for the device.

        Raises `PluginError` or `UsageError`, as described in `ScheduledOption.build`.
        """
        for scheduled in self.all:
            scheduled.value.fill_(scheduled.schedule(at.images))

    def _option(self, config: ScheduleConfig) -> ScheduledOption:
        """Return the option of a schedule: that of the spec, or one without bounds for a schedule made by a plugin."""
        return self._options.get(id(config), ScheduledOption("a schedule", config, NUMBER))


def scheduled_options(value: Any, path: str = "", number: TypeAdapter[float] = NUMBER) -> Iterator[ScheduledOption]:
    """Yield the scheduled options in a part of a spec, at any depth; `number` validates a constant at its place."""
    if isinstance(value, ScheduleConfig):
        yield ScheduledOption(path, value, number)
    elif isinstance(value, list | tuple):
        for position, item in enumerate(value):
            yield from scheduled_options(item, f"{path}.{position}", number)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from scheduled_options(item, f"{path}.{key}", number)
    elif is_dataclass(value) and not isinstance(value, type | Registered):
        annotations = get_type_hints(type(value), include_extras=True)
        for each in fields(value):
            marks = list(marks_in(annotations[each.name]))
            inside = f"{path}.{each.name}"
            yield from scheduled_options(getattr(value, each.name), inside, marks[0].number if marks else NUMBER)
    elif isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            inside = path if isinstance(value, PluginConfig) and name == "options" else f"{path}.{name}".lstrip(".")
            marks = [mark for annotation in (field.annotation, *field.metadata) for mark in marks_in(annotation)]
            yield from scheduled_options(getattr(value, name), inside, marks[0].number if marks else NUMBER)


def marks_in(annotation: Any) -> Iterator[Schedulable]:
    """Yield the marks in a type, such as in a union with None."""
    if isinstance(annotation, Schedulable):
        yield annotation
    for part in get_args(annotation):
        yield from marks_in(part)


def check_schedules(spec: BenchmarkSpec, context: BuildContext) -> list[str]:
    """Check the values of all schedules over the run against the bounds of their options; return warnings.

    Values between the checked positions are checked in training. Raises the errors of `ScheduledOption.build`.
    """
    warnings = []
    for option in scheduled_options(spec):
        schedule = option.build(context)
        for number in range(CHECKED_POSITIONS):
            schedule((context.total_images - 1) * number // (CHECKED_POSITIONS - 1))  # before the last step at most
        kimg = length_kimg(option.config.options)
        if kimg is not None and kimg * 1000 > context.total_images:
            warnings.append(
                f"{option.path}: {option.config.plugin} takes {kimg:g} kimg, but the run ends after "
                f"{context.total_images / 1000:g} kimg, before the end of the schedule"
            )
    return warnings


def changed_schedules(spec: BenchmarkSpec, now: BuildContext, before: BuildContext, images: int) -> list[str]:
    """Describe the schedules of a run whose values for its first `images` images depend on its length.

    The contexts differ in the length of the run.
    """
    changes = []
    for option in scheduled_options(spec):
        schedules = option.build(before), option.build(now)
        for number in reversed(range(CHECKED_POSITIONS if images else 0)):
            position = (images - 1) * number // (CHECKED_POSITIONS - 1)
            then, new = (schedule(position) for schedule in schedules)
            if then != new:
                changes.append(f"{option.path}: {then:g}, now {new:g} after {position:,} images")
                break
    return changes


def length_kimg(options: BaseModel) -> float | None:
    """Return the length of a schedule in thousands of images; None if it has no option `kimg`."""
    kimg = getattr(options, "kimg", None)
    return kimg if isinstance(kimg, int | float) else None
