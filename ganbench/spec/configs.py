"""Plugin configs: a plugin with its options, as given in a spec. One class for each kind of plugin."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PrivateAttr,
    SerializeAsAny,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    create_model,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from ganbench.errors import GanbenchError, PluginError, UsageError, describe
from ganbench.plugin.interfaces import Player
from ganbench.plugin.kinds import Kind
from ganbench.plugin.options import Options, StrictModel, stored
from ganbench.plugin.registrations import Buildable, BuildContext, PenaltyPlugin
from ganbench.plugin.registry import Registered, Registry

from .ids import ID

GeneratorMode = Literal["train", "eval"]
Weights = Literal["raw", "ema"]
Epochs = list[Annotated[int, Field(ge=0)]]
Kimgs = list[Annotated[float, Field(ge=0)]]
PLUGIN_KIND = "x-ganbench-plugin"  # keyword in JSON schemas: the value configures a plugin of this kind
LENGTH = ("total_steps", "total_images")  # of a run, in a build context


def configs_in(value: Any) -> Iterator[PluginConfig]:
    """Yield the plugin configs in a value, but not those in their options."""
    if isinstance(value, PluginConfig):
        yield value
    elif isinstance(value, BaseModel):
        for _, item in value:
            yield from configs_in(item)
    elif is_dataclass(value) and not isinstance(value, type):
        for each in fields(value):
            yield from configs_in(getattr(value, each.name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from configs_in(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from configs_in(item)


@dataclass(frozen=True)
class WatchedContext(BuildContext):
    """A build context that notes which fields about the length of the run are read."""

    read: set[str] = field(default_factory=set)

    def __getattribute__(self, name: str) -> Any:
        if name in LENGTH:
            self.read.add(name)
        return super().__getattribute__(name)


class PluginConfig(StrictModel):
    """A plugin with its options: a table such as `{name = "adam", lr = 1e-4}`, or just the name.

    If several installed packages provide the name, `name@package` selects one. Validation needs the registry:
    `model_validate(data, context={"registry": registry})`.
    """

    kind: ClassVar[Kind]

    plugin: Registered
    options: SerializeAsAny[Options]
    name: str  # as given in the spec, possibly with a package
    _built: Any = PrivateAttr(None)
    _read: set[str] = PrivateAttr(default_factory=set)

    @model_validator(mode="before")
    @classmethod
    def _look_up(cls, data: Any, info: ValidationInfo) -> Any:
        if isinstance(data, str):
            data = {"name": data}
        if not isinstance(data, Mapping) or not isinstance(data.get("name"), str):
            raise PydanticCustomError(
                "plugin_name", f"give the name of a {cls.kind}, or a table with its 'name' and options"
            )
        if not info.context or "registry" not in info.context:
            raise TypeError(f"{cls.__name__} is validated with context={{'registry': ...}}")
        registry: Registry = info.context["registry"]
        try:
            registered = registry.find(cls.kind, data["name"])
        except UsageError as error:
            raise PydanticCustomError("plugin_name", "{error}", {"error": str(error)}) from None
        assert isinstance(registered.plugin, Buildable)
        own = {key: data[key] for key in cls.engine_keys() if key in data}
        options = {key: value for key, value in data.items() if key != "name" and key not in own}
        plugin = f"{cls.kind} '{data['name']}'"
        context = {**info.context, "engine_keys": sorted(cls.engine_keys()), "plugin": plugin}
        try:
            validated = registered.plugin.options.model_validate(options, context=context)
        except (ValidationError, GanbenchError):
            raise
        except (Exception, SystemExit) as error:  # of the plugin's own validators; pydantic handles only ValueError
            raise PluginError(f"{registered} raised while it checked its options: {describe(error)}") from error
        return {"plugin": registered, "options": validated, "name": data["name"], **own}

    @classmethod
    def engine_keys(cls) -> set[str]:
        """Return the keys of the table that belong to the engine, not to the plugin."""
        return set(cls.model_fields) - set(PluginConfig.model_fields)

    @model_serializer
    def _flatten(self) -> dict[str, Any]:
        own = {key: _plain(getattr(self, key)) for key in type(self).model_fields if key in self.engine_keys()}
        return {"name": self.name, **own, **stored(self.options)}

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {
            "description": f"the name of a {cls.kind}, or a table with its name and options",
            PLUGIN_KIND: cls.kind.value,
            "anyOf": [
                {"type": "string"},
                {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
            ],
        }

    @property
    def built(self) -> Any:
        """The object returned by the last `build`; None before, and once it is forgotten."""
        return self._built

    def forget_built(self) -> None:
        """Let go of the object that `built` returns."""
        self._built = None

    def build(self, context: Any) -> Any:
        """Build the plugin with these options. Raises `PluginError` if its `build` raises."""
        if isinstance(context, BuildContext):
            context = WatchedContext(**{**vars(context), "read": self._read})
        self._built = self.plugin.build(self.options, context)
        return self._built

    @property
    def uses_length(self) -> bool:
        """Whether the plugin has read the length of the run, in a `build` or later."""
        return bool(self._read)

    def nested(self) -> list[PluginConfig]:
        """Return this config and all configs nested in its keys and options, at any depth."""
        own = [getattr(self, key) for key in sorted(self.engine_keys())]
        return [self, *(inner for config in configs_in([own, self.options]) for inner in config.nested())]


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


class ModelConfig(PluginConfig):
    kind = Kind.MODEL


class LossConfig(PluginConfig):
    """A loss, for the options of a loss that wraps another."""

    kind = Kind.LOSS


class DatasetConfig(PluginConfig):
    kind = Kind.DATASET


class AugmentationConfig(PluginConfig):
    """An augmentation, for the options of a loss that augments images itself."""

    kind = Kind.AUGMENTATION


class TrackerConfig(PluginConfig):
    kind = Kind.TRACKER


class ExecutorConfig(PluginConfig):
    kind = Kind.EXECUTOR


class ScheduleConfig(PluginConfig):
    """A value that changes during training, for options that are `Schedulable`."""

    kind = Kind.SCHEDULE


class Schedulable:
    """Marks an option as a number or a schedule: `lr: Annotated[float | ScheduleConfig, Schedulable(gt=0)]`.

    The bounds are those of `pydantic.Field`; they apply to a constant and to every value of a schedule.
    """

    def __init__(self, **bounds: Any) -> None:
        self.number = TypeAdapter(Annotated[float, Field(**bounds)], config=ConfigDict(allow_inf_nan=False))

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_wrap_validator_function(
            self._validate,
            self.number.core_schema,
            serialization=core_schema.plain_serializer_function_ser_schema(_plain),
        )

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [handler(core_schema), {"type": "object", PLUGIN_KIND: Kind.SCHEDULE.value}]}

    @staticmethod
    def _validate(value: Any, number: Callable[[Any], float], info: ValidationInfo) -> float | ScheduleConfig:
        if isinstance(value, Mapping | ScheduleConfig):
            return ScheduleConfig.model_validate(value, context=info.context)
        try:
            return number(str(value) if isinstance(value, bool) else value)  # pydantic takes true for 1.0
        except ValidationError as error:
            if error.errors(include_url=False)[0]["type"] not in ("float_type", "float_parsing"):
                raise
            message = 'must be a number, or a schedule such as {name = "cosine", start = 1e-4}'
            raise PydanticCustomError("schedulable", message) from None


class OptimizerConfig(PluginConfig):
    """An optimizer, with gradient and weight clipping."""

    kind = Kind.OPTIMIZER

    max_grad_norm: float | None = Field(None, gt=0, description="maximum gradient norm, per network; default: none")
    clip_weights: float | None = Field(
        None, gt=0, description="clip each weight to [-c, c] after the update, as in Wasserstein GAN; default: none"
    )

    def build(self, context: Any) -> Any:
        """Build the optimizer factory. Exceptions in `build` and in the factory become a `PluginError`."""
        factory = super().build(context)

        def make(parameters: Any) -> Any:
            with self.plugin.wrap_errors("raised when given the parameters"):
                return factory(parameters)

        return make


class FeatureExtractorConfig(PluginConfig):
    """A feature extractor, for the options of a metric; `options.features.build(context)` builds it."""

    kind = Kind.FEATURE_EXTRACTOR

    def build(self, context: Any) -> Any:
        """Build the extractor on the device, or return an equal one already built for another metric of the run."""
        key = f"{self.plugin} {self.options.model_dump_json()}"
        if key not in context.extractors:
            extractor = super().build(context)
            if hasattr(extractor, "to"):  # else it is no module, which is refused later
                with self.plugin.wrap_errors(f"raised when moved to {context.device}"):
                    extractor.to(context.device)
            context.extractors[key] = extractor
        self._built = context.extractors[key]
        return self._built


class PenaltyConfig(PluginConfig):
    """A penalty with its weight and interval."""

    kind = Kind.PENALTY

    @property
    def player(self) -> Player:
        """The network to whose loss the penalty is added."""
        assert isinstance(self.plugin.plugin, PenaltyPlugin)
        return self.plugin.plugin.player

    id: str | None = Field(
        None, pattern=ID, description="column in the history; default: the name of the penalty, numbered if repeated"
    )
    weight: Annotated[float | ScheduleConfig, Schedulable(ge=0)] = Field(
        description="weight of the penalty in the loss, a number or a schedule"
    )
    every: int = Field(
        1,
        ge=1,
        le=1000,
        description="lazy regularization: steps between two computations; the value is multiplied by it and added to "
        "the same update, so do not correct lr and betas as StyleGAN2 does",
    )


class MetricConfig(PluginConfig):
    """A metric, with the schedule and the images to score. It is always computed at the end of training."""

    kind = Kind.METRIC

    id: str | None = Field(
        None,
        pattern=ID,
        description="unique name within the benchmark; default: the name of the metric, numbered if repeated",
    )
    num_samples: int = Field(10_000, ge=2, description="number of images to generate")
    at_epochs: Epochs = Field(
        [0, 10, 30, 50],
        description="epochs after which to score, in addition to the end of training; 0 is before training",
    )
    at_kimg: Kimgs = Field([], description="thousands of real images after which to score, too")
    every_kimg: float | None = Field(
        None, gt=0, description="thousands of real images between additional scores; default: none"
    )
    generator_mode: GeneratorMode = Field(
        "eval", description="batch norm uses running statistics (eval) or batch statistics (train)"
    )
    weights: Weights = Field("raw", description="raw or moving-average (ema, requires [ema]) generator weights")
    split: Literal["test", "train"] = Field("test", description="split of the real images to compare with")
    real_samples: int | None = Field(
        None, ge=2, description="number of real images to compare with, drawn at random; default: the whole split"
    )


def engine_options(config: type[PluginConfig]) -> type[BaseModel]:
    """Return a model of the keys in a plugin's table that belong to the engine."""
    keys: dict[str, Any] = {
        key: (field.annotation, field) for key, field in config.model_fields.items() if key in config.engine_keys()
    }
    return create_model("EngineKeys", **keys)


CONFIGS: dict[Kind, type[PluginConfig]] = {
    config.kind: config
    for config in (
        *(ModelConfig, LossConfig, DatasetConfig, OptimizerConfig, MetricConfig, FeatureExtractorConfig),
        *(PenaltyConfig, AugmentationConfig, ScheduleConfig, TrackerConfig, ExecutorConfig),
    )
}
