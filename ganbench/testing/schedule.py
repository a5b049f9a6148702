"""The contract of schedules."""

from __future__ import annotations

import math
from typing import ClassVar

from ganbench.plugin.interfaces import Schedule
from ganbench.plugin.registrations import SchedulePlugin

from .contract import TOTAL_IMAGES, PluginContract

IMAGES_SEEN = (0, 1, 63, 64, 1000, 500, TOTAL_IMAGES)


class ScheduleContract(PluginContract):
    plugin: ClassVar[SchedulePlugin]

    def test_its_values_are_finite_numbers(self) -> None:
        """At any number of images in a run, the value is a finite Python number."""
        schedule: Schedule = self.build()
        values = [schedule(images) for images in IMAGES_SEEN]
        assert all(isinstance(value, int | float) for value in values), f"expected Python numbers, got {values}"
        assert all(math.isfinite(value) for value in values), f"expected finite values, got {values}"

    def test_its_values_depend_only_on_the_number_of_images(self) -> None:
        """Values are the same in any order of calls, so that a resumed run gets those of an uninterrupted one."""
        schedule: Schedule = self.build()
        values = [schedule(images) for images in IMAGES_SEEN]
        again = [schedule(images) for images in reversed(IMAGES_SEEN)][::-1]
        assert again == values, f"after {IMAGES_SEEN} images: expected {values} again, got {again}"
