"""A cosine schedule with warm restarts (Loshchilov and Hutter 2016).

ganbench run dcgan-fashion -p warm_restarts.py
    -o 'optimizer.generator.lr={name = "warm-restarts", start = 1e-3, kimg = 10}'
"""

import math

from pydantic import Field

from ganbench import Options, SchedulePlugin, hookimpl


class WarmRestartsOptions(Options):
    start: float = Field(description="the value at the beginning of each cycle")
    end: float = Field(1e-6, description="the value at its end")
    kimg: float = Field(100, gt=0, description="length of a cycle in thousand images")


def build(options, context):
    def value(images):
        fraction = images / (1000 * options.kimg) % 1
        return options.end + (options.start - options.end) * (1 + math.cos(math.pi * fraction)) / 2

    return value


@hookimpl
def ganbench_schedules():
    summary = "Cosine with warm restarts"
    return [SchedulePlugin(name="warm-restarts", summary=summary, options=WarmRestartsOptions, build=build)]
