"""Schedules of learning rates and other numbers, by the number of real images seen."""

from __future__ import annotations

import math

from pydantic import Field

from ganbench import BuildContext, Options, Schedule, SchedulePlugin, hookimpl


class ConstantOptions(Options):
    value: float = Field(description="the value throughout training")


class RampOptions(Options):
    start: float = Field(description="the value at the beginning")
    end: float = Field(0.0, description="the value from `kimg` on")
    kimg: float | None = Field(None, gt=0, description="length in thousand images; by default the whole run")

    def fraction(self, images: int, context: BuildContext) -> float:
        """How much of the way is covered, from 0 to 1."""
        length = context.total_images if self.kimg is None else 1000 * self.kimg
        return min(images / length, 1.0)


class StepOptions(Options):
    start: float = Field(description="the value at the beginning")
    factor: float = Field(0.1, gt=0, description="multiply by it each time")
    every_kimg: float = Field(gt=0, description="thousand images between two times")


class RobbinsMonroOptions(Options):
    start: float = Field(description="the value at the beginning")
    power: float = Field(1.0, gt=0, description="Robbins and Monro (1951) ask for 1/2 < power <= 1")
    scale_kimg: float = Field(0.1, gt=0, description="thousand images after which the decay sets in")


def build_constant(options: ConstantOptions, context: BuildContext) -> Schedule:
    return lambda _: options.value


def build_linear(options: RampOptions, context: BuildContext) -> Schedule:
    return lambda images: options.start + (options.end - options.start) * options.fraction(images, context)


def build_cosine(options: RampOptions, context: BuildContext) -> Schedule:
    def value(images: int) -> float:
        remaining = (1 + math.cos(math.pi * options.fraction(images, context))) / 2
        return options.end + (options.start - options.end) * remaining

    return value


def build_step(options: StepOptions, context: BuildContext) -> Schedule:
    return lambda images: options.start * options.factor ** (images // round(1000 * options.every_kimg))


def build_robbins_monro(options: RobbinsMonroOptions, context: BuildContext) -> Schedule:
    return lambda images: options.start / (1 + images / (1000 * options.scale_kimg)) ** options.power


@hookimpl
def ganbench_schedules() -> list[SchedulePlugin]:
    return [
        SchedulePlugin(
            name="constant", summary="The same value throughout", options=ConstantOptions, build=build_constant
        ),
        SchedulePlugin(
            name="linear",
            summary="From one value to another in a straight line",
            options=RampOptions,
            build=build_linear,
        ),
        SchedulePlugin(
            name="cosine",
            summary="From one value to another along half a cosine (Loshchilov and Hutter 2016, arXiv:1608.03983)",
            options=RampOptions,
            build=build_cosine,
        ),
        SchedulePlugin(
            name="step", summary="Multiplied by a factor at equal intervals", options=StepOptions, build=build_step
        ),
        SchedulePlugin(
            name="robbins-monro",
            summary="start / (1 + images / scale)^power (Robbins and Monro 1951)",
            options=RobbinsMonroOptions,
            build=build_robbins_monro,
        ),
    ]
