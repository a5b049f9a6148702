"""Registration objects, which a plugin's hooks return: one class for each kind of plugin.

A registration object is small and cheap to create: a name, a one-line summary, a pydantic model of the plugin's options
and a `build` function. Neither this module nor the top level of a plugin's module imports torch; `build` does.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ganbench.errors import ImagesOnlyError
from ganbench.system.files import StrPath

from .callbacks import Callback, TrackedRun
from .interfaces import (
    Augmentation,
    FeatureExtractor,
    FeatureMetric,
    ImageData,
    Loss,
    Metric,
    Networks,
    NetworksMetric,
    Penalty,
    Player,
)
from .jobs import Executor
from .kinds import Kind
from .options import Options


@dataclass(frozen=True)
class TrackerContext:
    """The context passed to a tracker's `build`, before the run starts."""

    directory: Path  # the run directory
    run_id: str = "run"  # as in result.json: letters, digits and "-"; the same when the run is resumed
    tracked_run: TrackedRun | None = None  # the run to continue: what the tracker set before; None for a new one


@dataclass(frozen=True)
class ExecutorContext:
    """The context passed to an executor's `build`, before the first job is submitted."""

    directory: Path  # a folder of the executor's own within the suite's folder, kept between commands
    device: str  # of the runs, as given: "auto", "cpu", "cuda" or "cuda:N"


@dataclass(frozen=True)
class DatasetContext:
    """The context passed to a dataset's `build`, before any data is loaded."""

    data_dir: Path  # the folder for datasets: --data-dir, $GANBENCH_DATA or the user's cache
    cache_dir: Path  # a folder for derived data, kept between runs
    seed: int


def no_schedule(value: Any) -> float | None:
    """Return a constant or None; the default of `BuildContext.scheduled`, which does not support schedules."""
    if value is None or isinstance(value, int | float):
        return value
    raise TypeError(f"{value!r}: a schedule needs a BuildContext with `scheduled`")


@dataclass(frozen=True)
class BuildContext:
    """The context passed to every `build` except those of datasets, trackers and executors, once the data is loaded."""

    data_shape: tuple[int, ...]  # (channels, height, width) of images, or (features,) of vectors
    num_classes: int
    device: str  # in torch's notation: "cpu", "cuda:0"
    cache_dir: Path
    seed: int
    total_steps: int = 1  # length of the run
    total_images: int = 1  # real images shown to the discriminator in the whole run
    # converts an option that may be a schedule: returns a constant unchanged, and for a schedule a float32 tensor of
    # shape () that the engine sets before each step
    scheduled: Callable[[Any], Any] = no_schedule
    extractors: dict[str, Any] = field(default_factory=dict)  # built so far; metrics with equal extractors share one

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width. Raises `UsageError`, which names the plugin, if the dataset has no images."""
        if len(self.data_shape) != 3:
            raise ImagesOnlyError(self.data_shape)
        channels, height, width = self.data_shape
        return channels, height, width


Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")]
Summary = Annotated[str, Field(min_length=1, max_length=120)]


class Registration(BaseModel):
    """Base class for registration objects of all kinds."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    kind: ClassVar[Kind]
    name: Name
    summary: Summary


class Buildable(Registration):
    """A plugin with options and a `build(options, context)` that returns one of its `build_types`."""

    build_types: ClassVar[tuple[type, ...]]
    reserved: ClassVar[frozenset[str]] = frozenset({"name"})  # spec keys of the engine, not available as options

    options: type[Options] = Options
    build: Callable[[Any, Any], Any]

    @model_validator(mode="after")
    def _reject_reserved_keys(self) -> Self:
        taken = sorted(self.reserved & set(self.options.model_fields))
        if taken:
            raise ValueError(
                f"{self.kind} '{self.name}': option names reserved by ganbench: {', '.join(taken)}; rename the options"
            )
        return self


class ModelPlugin(Buildable):
    """`build(options, context)` returns `Networks`, in torch's default dtype and on its default device."""

    kind: ClassVar[Kind] = Kind.MODEL
    build_types: ClassVar[tuple[type, ...]] = (Networks,)


class LossPlugin(Buildable):
    """`build(options, context)` returns a `Loss`: the objectives of both networks."""

    kind: ClassVar[Kind] = Kind.LOSS
    build_types: ClassVar[tuple[type, ...]] = (Loss,)


class DatasetPlugin(Buildable):
    """`build(options, context)` returns `ImageData`; `context` is a `DatasetContext`."""

    kind: ClassVar[Kind] = Kind.DATASET
    build_types: ClassVar[tuple[type, ...]] = (ImageData,)


class MetricPlugin(Buildable):
    """`build(options, context)` returns a `FeatureMetric`, a `Metric` of images, or a `NetworksMetric`."""

    kind: ClassVar[Kind] = Kind.METRIC
    build_types: ClassVar[tuple[type, ...]] = (FeatureMetric, Metric, NetworksMetric)
    reserved: ClassVar[frozenset[str]] = frozenset(
        {
            *("name", "id", "num_samples", "at_epochs", "at_kimg", "every_kimg", "generator_mode", "weights"),
            *("split", "real_samples"),
        }
    )


class FeatureExtractorPlugin(Buildable):
    """`build(options, context)` returns a `FeatureExtractor`."""

    kind: ClassVar[Kind] = Kind.FEATURE_EXTRACTOR
    build_types: ClassVar[tuple[type, ...]] = (FeatureExtractor,)


class OptimizerPlugin(Buildable):
    """`build(options, context)` returns a function from named parameters to a `torch.optim.Optimizer`.

    That function is called once per network, with a list of `(name, parameter)`, as torch's optimizers accept.
    """

    kind: ClassVar[Kind] = Kind.OPTIMIZER
    reserved: ClassVar[frozenset[str]] = frozenset({"name", "max_grad_norm", "clip_weights"})
    build_types: ClassVar[tuple[type, ...]] = (Callable,)  # type: ignore[assignment] # isinstance supports it


class PenaltyPlugin(Buildable):
    """`build(options, context)` returns a `Penalty`, which is added to the loss of the network `player`."""

    kind: ClassVar[Kind] = Kind.PENALTY
    build_types: ClassVar[tuple[type, ...]] = (Penalty,)
    reserved: ClassVar[frozenset[str]] = frozenset({"name", "id", "weight", "every"})

    player: Player = "discriminator"


class AugmentationPlugin(Buildable):
    """`build(options, context)` returns an `Augmentation` of the discriminator's input images."""

    kind: ClassVar[Kind] = Kind.AUGMENTATION
    build_types: ClassVar[tuple[type, ...]] = (Augmentation,)


class SchedulePlugin(Buildable):
    """`build(options, context)` returns a function from the number of real images seen to a value."""

    kind: ClassVar[Kind] = Kind.SCHEDULE
    build_types: ClassVar[tuple[type, ...]] = (Callable,)  # type: ignore[assignment]


class TrackerPlugin(Buildable):
    """`build(options, context)` returns a `Callback`; `context` is a `TrackerContext`.

    Trackers are selected with `--track` or in the user's configuration and are never part of a spec. Each runs in a
    process of its own, in which it is built too, so it can neither slow down nor change training.
    """

    kind: ClassVar[Kind] = Kind.TRACKER
    build_types: ClassVar[tuple[type, ...]] = (Callback,)

    # modules that `build` imports, each with the requirement that installs it; checked before the run starts
    requires: dict[str, str] = {}


class ExecutorPlugin(Buildable):
    """`build(options, context)` returns an `Executor`; `context` is an `ExecutorContext`.

    Executors are selected with `ganbench suite --executor` and are never part of a spec.
    """

    kind: ClassVar[Kind] = Kind.EXECUTOR
    build_types: ClassVar[tuple[type, ...]] = (Executor,)


class PublishedCurve(BaseModel):
    """A published training curve to plot behind that of a run.

    `history` is a CSV file with a column `epoch` and any other columns of the history. The curve is plotted only if
    the run uses the same data, that is, if `ImageData.fingerprint` equals `data_fingerprint`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    label: str
    history: Path
    data_fingerprint: str


class Benchmark(Registration):
    """A named spec: plugins, training options and metrics, as defined by `BenchmarkSpec`."""

    kind: ClassVar[Kind] = Kind.BENCHMARK
    spec: dict[str, Any]
    published_curve: PublishedCurve | None = None
    trackers: tuple[str, ...] = ()  # trackers that `ganbench run` adds for this benchmark

    @classmethod
    def from_toml(cls, path: StrPath, **fields: Any) -> Benchmark:
        """Read name, summary and spec from a TOML file, in the format that `ganbench show` prints."""
        spec = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        return cls(name=spec["name"], summary=spec["summary"], spec=spec, **fields)


REGISTRATIONS: dict[Kind, type[Registration]] = {
    registration.kind: registration
    for registration in (
        Benchmark,
        ModelPlugin,
        LossPlugin,
        DatasetPlugin,
        MetricPlugin,
        FeatureExtractorPlugin,
        OptimizerPlugin,
        PenaltyPlugin,
        AugmentationPlugin,
        SchedulePlugin,
        TrackerPlugin,
        ExecutorPlugin,
    )
}
