"""The contract of benchmarks."""

from __future__ import annotations

import math
import tomllib
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch

from ganbench.errors import UsageError, describe
from ganbench.plugin.interfaces import PLAYERS, Batch
from ganbench.plugin.kinds import Kind
from ganbench.plugin.registrations import Benchmark, BuildContext
from ganbench.results.schema import LOSS_COLUMNS, EpochRow
from ganbench.spec.benchmark import BenchmarkSpec
from ganbench.spec.configs import ScheduleConfig
from ganbench.spec.loading import resolve
from ganbench.training.building import build_penalties

from .contract import BATCH, SEED, TOTAL_IMAGES, Contract
from .without_values import StepParts, take_without_values


class BenchmarkContract(Contract):
    """Set `image_shape` and `num_classes` to those of the dataset."""

    plugin: ClassVar[Benchmark]

    def spec(self) -> BenchmarkSpec:
        """Return the resolved spec. Raises `AssertionError` if it is invalid."""
        try:
            return resolve(self.plugin.spec, self.registry(), origin=self.plugin.name)
        except UsageError as error:
            raise AssertionError(f"expected a valid spec, got: {error}") from None

    def test_the_spec_is_valid(self) -> None:
        """All plugins of the spec are installed, and all options and fields are valid."""
        self.spec()

    def test_the_spec_has_the_name_and_the_summary_of_the_benchmark(self) -> None:
        """The spec has the same name and summary as the benchmark, because results take both from the spec."""
        spec = self.spec()
        got = {"name": spec.name, "summary": spec.summary or self.plugin.summary}
        expected = {"name": self.plugin.name, "summary": self.plugin.summary}
        assert got == expected, f"expected a spec with {expected}, got {got}"

    def test_the_spec_can_be_stored_and_loaded(self) -> None:
        """The spec is unchanged after it is written to spec.toml and read again, as when a run is resumed."""
        before = self.spec()
        after = resolve(tomllib.loads(before.to_toml()), self.registry(), origin=self.plugin.name)
        different = [key for key, value in before.to_dict().items() if after.to_dict().get(key) != value]
        assert not different, (
            f"expected the same spec after it is stored and loaded, got others: {', '.join(different)}"
        )

    def test_its_trackers_are_installed(self) -> None:
        """All trackers that the benchmark adds to a run exist."""
        for name in self.plugin.trackers:
            try:
                self.registry().find(Kind.TRACKER, name)
            except UsageError as error:
                raise AssertionError(f"expected an installed tracker, got: {error}") from None

    def test_the_published_curve_can_be_plotted(self) -> None:
        """The file of the published curve has finite numbers, a column `epoch` and a column of the history."""
        curve = self.plugin.published_curve
        if curve is None:
            self.skip("the benchmark has no published curve")
        from ganbench.reporting.plots import read_curve

        try:
            columns = read_curve(Path(curve.history))
        except (OSError, ValueError, IndexError, TypeError) as error:
            raise AssertionError(f"expected a CSV file of numbers, got {describe(error)}") from None
        plotted = columns.keys() & EpochRow.model_fields.keys()
        assert "epoch" in plotted, f"expected a column 'epoch' in {curve.history.name}, got {', '.join(columns)}"
        assert plotted & LOSS_COLUMNS.keys(), f"expected a column 'd_loss' or 'g_loss', got {', '.join(columns)}"
        finite = all(math.isfinite(value) for column in columns.values() for value in column)
        assert finite, f"expected finite numbers in {curve.history.name}, got NaN or infinity"

    def test_its_plugins_fit_together(self) -> None:
        """Model, loss, penalties, augmentations and optimizers can take a step on images of the dataset's shape.
        Checked with torch's device `meta`, without computation.
        """
        spec = self.spec()
        try:
            self.take_step(spec)
        except UsageError as error:
            raise AssertionError(f"expected a step with data of shape {self.image_shape}, got: {error}") from None

    def take_step(self, spec: BenchmarkSpec) -> None:
        context = self.context()
        networks = spec.model.build(context)
        parts = StepParts(
            networks,
            spec.loss.build(context),
            build_penalties(spec, context).all,
            [augmentation.build(context) for augmentation in spec.augmentations],
            {player: spec.optimizer[player].build(context) for player in PLAYERS},
        )
        labels = torch.zeros(BATCH, dtype=torch.int64)
        fake_labels = labels if networks.conditional else None
        images = torch.zeros(BATCH, *self.image_shape)
        take_without_values(parts, Batch(images, labels, torch.zeros(BATCH, networks.latent_dim), fake_labels))

    def context(self) -> BuildContext:
        context = BuildContext(
            data_shape=self.image_shape,
            num_classes=self.num_classes,
            device="meta",
            cache_dir=Path(),
            seed=SEED,
            total_steps=TOTAL_IMAGES // BATCH,
            total_images=TOTAL_IMAGES,
        )
        return replace(context, scheduled=partial(initial_value, context=context))


def initial_value(option: Any, context: BuildContext) -> Any:
    """Return an option, or the initial value of its schedule."""
    return float(option.build(context)(0)) if isinstance(option, ScheduleConfig) else option
