"""What a benchmark is: a spec of plugins, schedule and metrics, from a plugin or a TOML file."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import tomli_w
from pydantic import (
    BaseModel,
    Field,
    GetJsonSchemaHandler,
    PrivateAttr,
    SerializeAsAny,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from ganbench.errors import UsageError
from ganbench.plugin.registrations import (
    Benchmark,
    Buildable,
    Kind,
    Options,
    PublishedCurve,
    StrictModel,
)
from ganbench.plugin.registry import Registered, Registry
from ganbench.results.run_directory import run_spec_file

from .overrides import apply_overrides

NON_TRAINING_FIELDS = ("name", "summary", "gate", "checkpoint")  # parts of a spec that change nothing of what it runs

GeneratorMode = Literal["train", "eval"]
UpdateScheme = Literal["alternating", "simultaneous"]
Epochs = list[Annotated[int, Field(ge=0)]]


def _configs_in(value: Any) -> Iterator[PluginConfig]:
    """The choices in a value, not those in their options."""
    if isinstance(value, PluginConfig):
        yield value
    elif isinstance(value, BaseModel):
        for _, item in value:
            yield from _configs_in(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _configs_in(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _configs_in(item)


class PluginConfig(StrictModel):
    """A plugin by name with its options beside it, as in `{name = "adam", lr = 1e-4}`; a bare name is enough.

    Validation needs the registry: `model_validate(data, context={"registry": registry})`.
    """

    kind: ClassVar[Kind]

    plugin: Registered
    options: SerializeAsAny[Options]
    _built: Any = PrivateAttr(None)

    @model_validator(mode="before")
    @classmethod
    def _look_up(cls, data: Any, info: ValidationInfo) -> Any:
        if isinstance(data, str):
            data = {"name": data}
        if not isinstance(data, Mapping) or not isinstance(data.get("name"), str):
            raise PydanticCustomError(
                "plugin_name", f"give a {cls.kind}'s name, or a table with its 'name' and options"
            )
        if not info.context or "registry" not in info.context:
            raise TypeError(f"{cls.__name__} is validated with context={{'registry': ...}}")
        registry: Registry = info.context["registry"]
        try:
            registered = registry.find(cls.kind, data["name"])
        except UsageError as error:
            raise PydanticCustomError("plugin_name", "{error}", {"error": str(error)}) from None
        assert isinstance(registered.plugin, Buildable)
        own = {key: data[key] for key in cls.own_keys() if key in data}
        options = {key: value for key, value in data.items() if key != "name" and key not in own}
        return {
            "plugin": registered,
            "options": registered.plugin.options.model_validate(
                options, context={**info.context, "beside": sorted(cls.own_keys())}
            ),
            **own,
        }

    @classmethod
    def own_keys(cls) -> set[str]:
        """The keys of the table that are the engine's, not the plugin's."""
        return set(cls.model_fields) - set(PluginConfig.model_fields)

    @model_serializer
    def _flatten(self) -> dict[str, Any]:
        own = {key: getattr(self, key) for key in type(self).model_fields if key in self.own_keys()}
        return {"name": self.name, **own, **self.options.model_dump(mode="json")}

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {
            "description": f"a {cls.kind}'s name, or a table with its name and options",
            "anyOf": [
                {"type": "string"},
                {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
            ],
        }

    @property
    def name(self) -> str:
        return self.plugin.plugin.name

    @property
    def built(self) -> Any:
        """What the last `build` returned; None before."""
        return self._built

    def build(self, context: Any) -> Any:
        """What the plugin's `build` makes of these options. Raises `PluginError` if it raises."""
        self._built = self.plugin.build(self.options, context)
        return self._built

    def nested(self) -> list[PluginConfig]:
        """This choice and all in its options, however deep."""
        return [self, *(inner for choice in _configs_in(self.options) for inner in choice.nested())]


class ModelConfig(PluginConfig):
    kind = Kind.MODEL


class LossConfig(PluginConfig):
    kind = Kind.LOSS


class DatasetConfig(PluginConfig):
    kind = Kind.DATASET


class OptimizerConfig(PluginConfig):
    kind = Kind.OPTIMIZER

    def build(self, context: Any) -> Any:
        """What makes the optimiser; like `build` itself, it raises `PluginError` if it raises."""
        factory = super().build(context)

        def make(parameters: Any) -> Any:
            with self.plugin.wrap_errors("raised on getting its parameters"):
                return factory(parameters)

        return make


class FeatureExtractorConfig(PluginConfig):
    """For the options of a metric that compares features; `options.features.build(context)` makes the extractor."""

    kind = Kind.FEATURE_EXTRACTOR


class MetricConfig(PluginConfig):
    """A metric, when to compute it (the end of training always counts) and on what."""

    kind = Kind.METRIC

    id: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        description="unique name within the benchmark; by default the metric's name, numbered where it repeats",
    )
    num_samples: int = Field(10_000, ge=2, description="how many images to generate")
    at_epochs: Epochs = Field(
        [0, 10, 30, 50], description="after which epochs to score; 0 is before training, the end always counts"
    )
    generator_mode: GeneratorMode = Field("eval", description="batch norm by running or by batch statistics")
    split: Literal["test", "train"] = Field("test", description="the real images to compare with")


class Optimizers(StrictModel):
    generator: OptimizerConfig
    discriminator: OptimizerConfig


class Training(StrictModel):
    batch_size: int = Field(64, ge=1, description="real images per step")
    drop_last: bool = Field(
        False, description="skip the smaller last batch of an epoch, where the batch size does not divide the images"
    )
    epochs: int | None = Field(None, ge=1, description="length in passes over the train split")
    steps: int | None = Field(None, ge=1, description="length in steps, instead of epochs")
    budget_seconds: float | None = Field(None, gt=0, description="stop training after this time, finished or not")
    seed: int = Field(42, ge=0, lt=2**63)
    precision: Literal["fp32", "tf32", "bf16"] = Field("tf32", description="tf32 is fp32 on a CPU")
    update_scheme: UpdateScheme = Field(
        "alternating",
        description="simultaneous: both players move at once, by gradients at one point; alternating: the generator "
        "already sees the discriminator's move",
    )

    @model_validator(mode="after")
    def _one_length(self) -> Training:
        if (self.epochs is None) == (self.steps is None):
            raise PydanticCustomError("length", "give either 'epochs' or 'steps', not both")
        return self


class EngineOptions(StrictModel):
    """How steps are driven: what they compute is the same, but for the rounding of compiled code."""

    mode: Literal["auto", "eager", "cuda_graph"] = Field(
        "auto", description="graph records a step on CUDA and replays it; auto does where that gives what eager gives"
    )
    compile: bool = Field(False, description="run both networks through torch.compile")
    memory_format: Literal["contiguous", "channels_last"] = Field(
        "contiguous", description="how convolutions' weights and images lie in memory"
    )


class CheckpointOptions(StrictModel):
    """When the training is kept so that it can be gone on with; its end and an interruption always count."""

    every_minutes: float = Field(10.0, ge=0, description="at the end of the next timing window; 0 for every window")
    every_epochs: int | None = Field(None, ge=1, description="as well")


class GateOptions(StrictModel):
    """What `ganbench check` calls a regression, in per cent of the figure."""

    time_percent: float = Field(5.0, gt=0, description="time an image, of two sides measured in one job")
    baseline_time_percent: float = Field(10.0, gt=0, description="time an image, against a stored baseline")
    memory_percent: float = Field(2.0, ge=0, description="peak memory")
    memory_mib: float = Field(32.0, ge=0, description="peak memory, in MiB: both have to be exceeded")
    score_percent: float = Field(5.0, gt=0, description="every metric that is not named below")
    metric_percent: dict[str, Annotated[float, Field(gt=0)]] = Field(
        {}, description="single metrics, by id, name or label"
    )


class SampleImages(StrictModel):
    real: int = Field(8, ge=0, description="real images to show before training")
    generated: int = Field(10, ge=0, description="images to generate from one fixed noise")
    at_epochs: Epochs = Field([10, 30, 50], description="after which epochs to generate them; the end always counts")
    generator_mode: GeneratorMode = "train"


class BenchmarkSpec(StrictModel):
    """One benchmark, resolved: every plugin found, every option validated and filled in."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")  # it names a folder of runs
    summary: str = ""
    model: ModelConfig
    loss: LossConfig
    dataset: DatasetConfig
    optimizer: Optimizers
    training: Training
    engine: EngineOptions = EngineOptions()
    sample_images: SampleImages = SampleImages()
    metrics: list[MetricConfig] = []
    checkpoint: CheckpointOptions = CheckpointOptions()
    gate: GateOptions = GateOptions()

    @field_validator("metrics")
    @classmethod
    def _identify(cls, metrics: list[MetricConfig]) -> list[MetricConfig]:
        """Give every metric an id; two that were given the same one are an error."""
        given = [metric.id for metric in metrics if metric.id is not None]
        if repeated := sorted({name for name in given if given.count(name) > 1}):
            raise PydanticCustomError("metric_id", "two metrics have the id '{id}'", {"id": repeated[0]})
        taken = set(given)
        identified = []
        for metric in metrics:
            if metric.id is None:
                names = (metric.name if number == 1 else f"{metric.name}-{number}" for number in count(1))
                metric = metric.model_copy(update={"id": next(name for name in names if name not in taken)})
                taken.add(str(metric.id))
            identified.append(metric)
        return identified

    def choices(self) -> list[PluginConfig]:
        """Every plugin that the spec names, those inside the options of others included."""
        direct = [self.model, self.loss, self.dataset, self.optimizer.generator, self.optimizer.discriminator]
        return [inner for choice in [*direct, *self.metrics] for inner in choice.nested()]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON types, without what is not set."""
        plain: dict[str, Any] = _without_none(self.model_dump(mode="json"))
        return plain

    def to_toml(self) -> str:
        """As TOML that can be saved, edited and run."""
        return tomli_w.dumps(self.to_dict())

    def sha256(self) -> str:
        """Equal for specs that run the same, whatever they are called."""
        what_runs = {key: value for key, value in self.to_dict().items() if key not in NON_TRAINING_FIELDS}
        return hashlib.sha256(json.dumps(what_runs, sort_keys=True).encode()).hexdigest()


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list) else value


def load_spec(
    benchmark: str, registry: Registry, overrides: Iterable[str] = ()
) -> tuple[BenchmarkSpec, PublishedCurve | None]:
    """The resolved spec of a registered benchmark or a TOML file, and the published curve if there is one.

    `overrides` are `path=value` texts, as after -o. Raises `UsageError` with the path of each wrong field.
    """
    reference = None
    if is_spec_file(benchmark, registry):
        data = _read_toml(Path(benchmark))
    else:
        registered = registry.find(Kind.BENCHMARK, benchmark).plugin
        assert isinstance(registered, Benchmark)
        data, reference = registered.spec, registered.published_curve
    return resolve(apply_overrides(data, overrides), registry, origin=benchmark), reference


def sections() -> dict[str, type[StrictModel]]:
    """The parts of a spec that name no plugin, such as training, and what each accepts."""
    return {
        "training": Training,
        "engine": EngineOptions,
        "sample_images": SampleImages,
        "checkpoint": CheckpointOptions,
        "gate": GateOptions,
    }


def metric_keys() -> type[BaseModel]:
    """The keys of a metric's table that are the engine's, as a model of their own."""
    keys: dict[str, Any] = {
        key: (field.annotation, field)
        for key, field in MetricConfig.model_fields.items()
        if key in MetricConfig.own_keys()
    }
    return create_model("MetricKeys", **keys)


def is_spec_file(benchmark: str, registry: Registry) -> bool:
    """Whether it is the path of a spec's file, whatever its suffix, and no registered benchmark's name."""
    if benchmark.lower().endswith(".toml"):
        return True
    names = {registered.plugin.name for registered in registry.of_kind(Kind.BENCHMARK)}
    return benchmark not in names and Path(benchmark).is_file()


def load_stopped_spec(
    directory: Path, registry: Registry, overrides: Iterable[str] = ()
) -> tuple[BenchmarkSpec, PublishedCurve | None]:
    """The spec of the run in a run directory, with the published curve of its benchmark if there is one.

    Raises `UsageError` where there is none, and for overrides that do not fit.
    """
    spec, _ = load_spec(str(run_spec_file(directory)), registry, overrides)
    benchmarks = {registered.plugin.name: registered.plugin for registered in registry.of_kind(Kind.BENCHMARK)}
    registered = benchmarks.get(spec.name)
    return spec, registered.published_curve if isinstance(registered, Benchmark) else None


def resolve(data: Mapping[str, Any], registry: Registry, origin: str) -> BenchmarkSpec:
    """Validate a spec given as a dictionary; `origin` tells in errors where it came from."""
    try:
        return BenchmarkSpec.model_validate(data, context={"registry": registry})
    except ValidationError as error:
        problems = []
        for detail in error.errors(include_url=False):
            path = ".".join(str(part) for part in detail["loc"])
            got = detail["input"]
            tells = isinstance(got, bool | int | float | str) and repr(got) not in detail["msg"]
            shown = f" (got {got!r})" if tells else ""
            problems.append(f"{path}: {detail['msg']}{shown}" if path else detail["msg"])
        raise UsageError(f"benchmark {origin}: {'; '.join(problems)}") from None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"benchmark {path}: cannot read it: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # not TOML, not UTF-8, a number too long, nested too deep
        raise UsageError(f"benchmark {path}: not valid TOML: {error}") from None
