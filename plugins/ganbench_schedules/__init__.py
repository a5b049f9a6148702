"""Schedules of learning rates and other values, by the number of real images seen."""

from __future__ import annotations

import math

from pydantic import Field

from ganbench import BuildContext, Options, Schedule, SchedulePlugin, hookimpl


class ConstantOptions(Options):
    value: float = Field(description="the constant value")


class RampOptions(Options):
    start: float = Field(description="initial value")
    end: float = Field(0.0, description="final value")
    kimg: float | None = Field(None, gt=0, description="length in thousands of images; default: the whole run")

    def fraction(self, images: int, context: BuildContext) -> float:
        """Return the progress, from 0 to 1."""
        length = context.total_images if self.kimg is None else 1000 * self.kimg
        return min(images / length, 1.0)


class StepOptions(Options):
    start: float = Field(description="initial value")
    factor: float = Field(0.1, gt=0, description="factor by which each step multiplies the value")
    every_kimg: float = Field(gt=0, description="interval between steps, in thousands of images")


class RobbinsMonroOptions(Options):
    start: float = Field(description="initial value")
    power: float = Field(1.0, gt=0, description="exponent; Robbins and Monro (1951) require 1/2 < power <= 1")
    scale_kimg: float = Field(0.1, gt=0, description="scale of the decay, in thousands of images")


def build_constant(options: ConstantOptions, context: BuildContext) -> Schedule:
    return lambda _: options.value


def build_linear(options: RampOptions, context: BuildContext) -> Schedule:
    return lambda images: options.start + (options.end - options.start) * options.fraction(images, context)


def build_cosine(options: RampOptions, context: BuildContext) -> Schedule:
    def value(images: int) -> float:
        # (1 + cos(pi f)) / 2, which rounding does not make 0 before the end
        remaining = math.sin(math.pi / 2 * (1 - options.fraction(images, context))) ** 2
        return options.end + (options.start - options.end) * remaining

    return value


def build_step(options: StepOptions, context: BuildContext) -> Schedule:
    interval = max(1, round(1000 * options.every_kimg))  # images
    return lambda images: options.start * options.factor ** (images // interval)


def build_robbins_monro(options: RobbinsMonroOptions, context: BuildContext) -> Schedule:
    return lambda images: options.start / (1 + images / (1000 * options.scale_kimg)) ** options.power


@hookimpl
def ganbench_schedules() -> list[SchedulePlugin]:
    return [
        SchedulePlugin(name="constant", summary="Constant value", options=ConstantOptions, build=build_constant),
        SchedulePlugin(
            name="linear",
            summary="Linear interpolation between two values",
            options=RampOptions,
            build=build_linear,
        ),
        SchedulePlugin(
            name="cosine",
            summary="Cosine annealing between two values (Loshchilov and Hutter 2016, arXiv:1608.03983)",
            options=RampOptions,
            build=build_cosine,
        ),
        SchedulePlugin(
            name="step",
            summary="Multiplication by a factor at regular intervals",
            options=StepOptions,
            build=build_step,
        ),
        SchedulePlugin(
            name="robbins-monro",
            summary="Power-law decay: start / (1 + images / scale)^power (Robbins and Monro 1951)",
            options=RobbinsMonroOptions,
            build=build_robbins_monro,
        ),
    ]
