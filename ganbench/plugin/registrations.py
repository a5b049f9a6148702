"""What a plugin's hooks return: registration objects, one class for each kind of plugin.

A registration object is small and cheap: a name, a one-line summary, a pydantic model of the plugin's options and a
`build` function. Nothing here, and nothing at the top of a plugin's module, imports torch; `build` does.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from .callbacks import Callback
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
)


class Kind(StrEnum):
    """The kinds of plugin; the value is how people write it."""

    BENCHMARK = "benchmark"
    MODEL = "model"
    LOSS = "loss"
    DATASET = "dataset"
    METRIC = "metric"
    FEATURE_EXTRACTOR = "feature-extractor"
    OPTIMIZER = "optimizer"
    PENALTY = "penalty"
    AUGMENTATION = "augmentation"
    SCHEDULE = "schedule"
    TRACKER = "tracker"

    @property
    def plural(self) -> str:
        """As in `ganbench list losses`."""
        if self.endswith("y"):
            return f"{self[:-1]}ies"
        return f"{self}es" if self.endswith("s") else f"{self}s"

    @property
    def hook(self) -> str:
        """The hook that registers plugins of this kind, such as `ganbench_losses`."""
        return f"ganbench_{self.plural.replace('-', '_')}"


class StrictModel(BaseModel):
    """A closed set of keys: an unknown one is an error that suggests the nearest known."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False, defer_build=True)

    @model_validator(mode="wrap")
    @classmethod
    def _suggest_for_unknown_keys(
        cls, data: Any, validate: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        try:
            return validate(data)
        except ValidationError as error:
            known = [*cls.model_fields, *(info.context or {}).get("beside", [])]
            lines = [_with_suggestion(line, known) for line in error.errors(include_url=False)]
            raise ValidationError.from_exception_data(cls.__name__, lines) from None


def _with_suggestion(line: ErrorDetails, known: list[str]) -> InitErrorDetails:
    """A problem as it is, unless it is an unknown key of this very table."""
    if line["type"] == "extra_forbidden" and len(line["loc"]) == 1:
        problem, shown = _unknown_key(str(line["loc"][0]), known), ...
    else:
        problem, shown = PydanticCustomError(line["type"], "{problem}", {"problem": line["msg"]}), line["input"]
    return InitErrorDetails(type=problem, loc=line["loc"], input=shown)


def _unknown_key(key: str, known: list[str]) -> PydanticCustomError:
    close = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean '{close[0]}'?" if close else f"there are: {', '.join(known) or 'none'}"
    return PydanticCustomError("unknown_key", "unknown key; {hint}", {"hint": hint})


class Options(StrictModel):
    """Base class of a plugin's options.

    Give each field a default, a description and bounds: the command line's help, its errors and the documentation
    are printed from this schema. A misspelt option is an error.
    """


@dataclass(frozen=True)
class TrackerContext:
    """What a tracker may know before the run begins."""

    directory: Path  # of the run


@dataclass(frozen=True)
class DatasetContext:
    """What the engine knows before there is data; handed to a dataset's `build`."""

    data_dir: Path  # where data sets live: --data-dir, $GANBENCH_DATA or the user's cache
    cache_dir: Path  # where anything derived may be kept between runs
    seed: int


def no_schedule(value: Any) -> float:
    """As `BuildContext.scheduled` outside a run: constants alone."""
    if isinstance(value, int | float):
        return value
    raise TypeError(f"{value!r}: schedules need a run that they change in")


@dataclass(frozen=True)
class BuildContext:
    """What the engine knows once the data is loaded; handed to every other `build`."""

    image_shape: tuple[int, int, int]  # channels, height, width
    num_classes: int
    device: str  # as torch writes it: "cpu", "cuda:0"
    cache_dir: Path
    seed: int
    total_steps: int = 1  # the length of the run
    total_images: int = 1  # real images shown to the discriminator in all of it
    # the value of an option that may be a schedule: a constant as the float it is, a schedule as a float32 tensor of
    # shape () that the engine sets before each step
    scheduled: Callable[[Any], Any] = no_schedule
    extractors: dict[str, Any] = field(default_factory=dict)  # those built so far: metrics with equal ones share them


Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")]
Summary = Annotated[str, Field(min_length=1, max_length=120)]


class Registration(BaseModel):
    """What all kinds of plugin have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    kind: ClassVar[Kind]
    name: Name
    summary: Summary


class Buildable(Registration):
    """A plugin with options and a `build(options, context)` that returns one of its `build_types`."""

    build_types: ClassVar[tuple[type, ...]]
    reserved: ClassVar[frozenset[str]] = frozenset({"name"})  # keys of its table that are the engine's, not options

    options: type[Options] = Options
    build: Callable[[Any, Any], Any]

    @model_validator(mode="after")
    def _keep_off_reserved_keys(self) -> Self:
        taken = sorted(self.reserved & set(self.options.model_fields))
        if taken:
            raise ValueError(f"{self.kind} '{self.name}' has an option {', '.join(taken)}, which is ganbench's own key")
        return self


class ModelPlugin(Buildable):
    """`build(options, context)` returns `Networks`, in the precision and on the device torch defaults to."""

    kind: ClassVar[Kind] = Kind.MODEL
    build_types: ClassVar[tuple[type, ...]] = (Networks,)


class LossPlugin(Buildable):
    """`build(options, context)` returns a `Loss`: the objective of both networks.

    `growth(spec)` is for an objective with a theory: by which factor a step of that benchmark multiplies the distance
    to the solution, None where nobody knows. `ganbench sweep` draws where it is 1.
    """

    kind: ClassVar[Kind] = Kind.LOSS
    build_types: ClassVar[tuple[type, ...]] = (Loss,)

    growth: Callable[[Any], float | None] | None = None


class DatasetPlugin(Buildable):
    """`build(options, context)` returns `ImageData`; its context is a `DatasetContext`."""

    kind: ClassVar[Kind] = Kind.DATASET
    build_types: ClassVar[tuple[type, ...]] = (ImageData,)


class MetricPlugin(Buildable):
    """`build(options, context)` returns a `FeatureMetric`, a `Metric` of images, or a `NetworksMetric`."""

    kind: ClassVar[Kind] = Kind.METRIC
    build_types: ClassVar[tuple[type, ...]] = (FeatureMetric, Metric, NetworksMetric)
    reserved: ClassVar[frozenset[str]] = frozenset(
        {"name", "id", "num_samples", "at_epochs", "at_kimg", "every_kimg", "generator_mode", "weights", "split"}
    )


class FeatureExtractorPlugin(Buildable):
    """`build(options, context)` returns a `FeatureExtractor`."""

    kind: ClassVar[Kind] = Kind.FEATURE_EXTRACTOR
    build_types: ClassVar[tuple[type, ...]] = (FeatureExtractor,)


class OptimizerPlugin(Buildable):
    """`build(options, context)` returns a function from named parameters to a `torch.optim.Optimizer`.

    It is called once per network, with a list of `(name, parameter)`, as torch's own optimizers accept.
    """

    kind: ClassVar[Kind] = Kind.OPTIMIZER
    reserved: ClassVar[frozenset[str]] = frozenset({"name", "max_grad_norm", "clip_weights"})
    build_types: ClassVar[tuple[type, ...]] = (Callable,)  # type: ignore[assignment] # isinstance knows it


class PenaltyPlugin(Buildable):
    """`build(options, context)` returns a `Penalty` on the discriminator."""

    kind: ClassVar[Kind] = Kind.PENALTY
    build_types: ClassVar[tuple[type, ...]] = (Penalty,)
    reserved: ClassVar[frozenset[str]] = frozenset({"name", "id", "weight", "every"})


class AugmentationPlugin(Buildable):
    """`build(options, context)` returns an `Augmentation` of what the discriminator sees."""

    kind: ClassVar[Kind] = Kind.AUGMENTATION
    build_types: ClassVar[tuple[type, ...]] = (Augmentation,)


class SchedulePlugin(Buildable):
    """`build(options, context)` returns a function from the number of real images seen to a value."""

    kind: ClassVar[Kind] = Kind.SCHEDULE
    build_types: ClassVar[tuple[type, ...]] = (Callable,)  # type: ignore[assignment]


class TrackerPlugin(Buildable):
    """`build(options, context)` returns a `Callback`; its context is a `TrackerContext`.

    Trackers are chosen with `--track` or in the user's configuration and are never part of a spec.
    """

    kind: ClassVar[Kind] = Kind.TRACKER
    build_types: ClassVar[tuple[type, ...]] = (Callback,)


class PublishedCurve(BaseModel):
    """A published training curve to draw behind a benchmark's own.

    `history` is a CSV file with a column `epoch` and any of the history's other columns. The curve is drawn only
    when the run's data is the data it was published for, told by `ImageData.fingerprint`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    label: str
    history: Path
    data_fingerprint: str


class Benchmark(Registration):
    """A named spec: one plugin of each kind, a schedule and metrics, as `BenchmarkSpec` describes them."""

    kind: ClassVar[Kind] = Kind.BENCHMARK
    spec: dict[str, Any]
    published_curve: PublishedCurve | None = None

    @classmethod
    def from_toml(cls, path: Path, published_curve: PublishedCurve | None = None) -> Benchmark:
        """Read name, summary and spec from one TOML file, in the form that `ganbench show` prints."""
        spec = tomllib.loads(path.read_text(encoding="utf-8"))
        return cls(name=spec["name"], summary=spec["summary"], spec=spec, published_curve=published_curve)


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
    )
}
