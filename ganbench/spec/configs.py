"""A plugin with its options, as a spec names it: one class for each kind of plugin."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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
    ValidationInfo,
    create_model,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from ganbench.errors import UsageError
from ganbench.plugin.registrations import Buildable, Kind, Options, StrictModel
from ganbench.plugin.registry import Registered, Registry

GeneratorMode = Literal["train", "eval"]
Weights = Literal["raw", "ema"]
Epochs = list[Annotated[int, Field(ge=0)]]
Kimgs = list[Annotated[float, Field(ge=0)]]
ID = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"


def _configs_in(value: Any) -> Iterator[PluginConfig]:
    """The plugin configs in a value, without those in their options."""
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
    """A plugin by name with its options, as in `{name = "adam", lr = 1e-4}`; a bare name is enough.

    Where two distributions provide the name, `name@distribution` selects one. Validation needs the registry:
    `model_validate(data, context={"registry": registry})`.
    """

    kind: ClassVar[Kind]

    plugin: Registered
    options: SerializeAsAny[Options]
    name: str  # as the spec has it, with its distribution if that was given
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
            "name": data["name"],
            **own,
        }

    @classmethod
    def own_keys(cls) -> set[str]:
        """The keys of the table that are the engine's, not the plugin's."""
        return set(cls.model_fields) - set(PluginConfig.model_fields)

    @model_serializer
    def _flatten(self) -> dict[str, Any]:
        own = {key: _plain(getattr(self, key)) for key in type(self).model_fields if key in self.own_keys()}
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
    def built(self) -> Any:
        """What the last `build` returned; None before."""
        return self._built

    def build(self, context: Any) -> Any:
        """Build the plugin with these options. Raises `PluginError` if its `build` raises."""
        self._built = self.plugin.build(self.options, context)
        return self._built

    def nested(self) -> list[PluginConfig]:
        """This config and all in its keys and options, however deep."""
        own = [getattr(self, key) for key in sorted(self.own_keys())]
        return [self, *(inner for config in _configs_in([own, self.options]) for inner in config.nested())]


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


class ModelConfig(PluginConfig):
    kind = Kind.MODEL


class LossConfig(PluginConfig):
    kind = Kind.LOSS


class DatasetConfig(PluginConfig):
    kind = Kind.DATASET


class AugmentationConfig(PluginConfig):
    kind = Kind.AUGMENTATION


class TrackerConfig(PluginConfig):
    kind = Kind.TRACKER


class ScheduleConfig(PluginConfig):
    """A value that changes during training, for options that are `Schedulable`."""

    kind = Kind.SCHEDULE


class Schedulable:
    """Marks an option that is a number or a schedule: `lr: Annotated[float | ScheduleConfig, Schedulable(gt=0)]`.

    The bounds are `pydantic.Field`'s; they hold for a constant, and for every value of a schedule.
    """

    def __init__(self, **bounds: Any) -> None:
        self.number = TypeAdapter(Annotated[float, Field(**bounds)], config=ConfigDict(allow_inf_nan=False))

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_wrap_validator_function(
            self._validate,
            self.number.core_schema,
            serialization=core_schema.plain_serializer_function_ser_schema(_plain),
        )

    @staticmethod
    def _validate(value: Any, number: Callable[[Any], float], info: ValidationInfo) -> float | ScheduleConfig:
        if isinstance(value, Mapping | ScheduleConfig):
            return ScheduleConfig.model_validate(value, context=info.context)
        return number(value)


class OptimizerConfig(PluginConfig):
    """An optimizer, and what is done to gradients and weights around each of its steps."""

    kind = Kind.OPTIMIZER

    max_grad_norm: float | None = Field(
        None, gt=0, description="scale the network's gradient down to this norm where it is larger"
    )
    clip_weights: float | None = Field(
        None, gt=0, description="clamp each weight to [-c, c] after the update, as in Wasserstein GAN"
    )

    def build(self, context: Any) -> Any:
        """Build the function that makes the optimizer; like `build`, it raises `PluginError` if it raises."""
        factory = super().build(context)

        def make(parameters: Any) -> Any:
            with self.plugin.wrap_errors("raised on getting its parameters"):
                return factory(parameters)

        return make


class FeatureExtractorConfig(PluginConfig):
    """For the options of a metric that compares features; `options.features.build(context)` makes the extractor."""

    kind = Kind.FEATURE_EXTRACTOR

    def build(self, context: Any) -> Any:
        """Build the extractor, or take the equal one that another metric of the run has built."""
        key = f"{self.plugin} {self.options.model_dump_json()}"
        if key not in context.extractors:
            context.extractors[key] = super().build(context)
        self._built = context.extractors[key]
        return self._built


class PenaltyConfig(PluginConfig):
    """A penalty with its weight, and how often it is computed."""

    kind = Kind.PENALTY

    id: str | None = Field(
        None, pattern=ID, description="column of the history; by default the penalty's name, numbered if repeated"
    )
    weight: Annotated[float | ScheduleConfig, Schedulable(ge=0)] = Field(
        description="factor of the penalty in the loss, a number or a schedule"
    )
    every: int = Field(
        1, ge=1, le=1000, description="compute it every so many steps only, multiplied by that number (lazy)"
    )


class MetricConfig(PluginConfig):
    """A metric, when to compute it (the end of training always counts) and on what."""

    kind = Kind.METRIC

    id: str | None = Field(
        None,
        pattern=ID,
        description="unique name within the benchmark; by default the metric's name, numbered if repeated",
    )
    num_samples: int = Field(10_000, ge=2, description="how many images to generate")
    at_epochs: Epochs = Field(
        [0, 10, 30, 50], description="epochs after which to score; 0 is before training, the end always counts"
    )
    at_kimg: Kimgs = Field([], description="score after so many thousand images as well")
    every_kimg: float | None = Field(None, gt=0, description="score every so many thousand images as well")
    generator_mode: GeneratorMode = Field("eval", description="batch norm by running or by batch statistics")
    weights: Weights = Field("raw", description="the generator as trained, or its moving average (needs [ema])")
    split: Literal["test", "train"] = Field("test", description="the real images to compare with")


def unique_ids(configs: list[Any], what: str) -> list[Any]:
    """Give every config an id; two that were given the same one are an error."""
    given = [config.id for config in configs if config.id is not None]
    if repeated := sorted({name for name in given if given.count(name) > 1}):
        raise PydanticCustomError("repeated_id", "two {what} have the id '{id}'", {"what": what, "id": repeated[0]})
    taken = set(given)
    identified = []
    for config in configs:
        if config.id is None:
            number, name = 1, config.plugin.plugin.name
            while name in taken:
                number += 1
                name = f"{config.plugin.plugin.name}-{number}"
            config = config.model_copy(update={"id": name})
            taken.add(name)
        identified.append(config)
    return identified


def engine_keys(config: type[PluginConfig]) -> type[BaseModel]:
    """The keys of a plugin's table that are the engine's, as a model of their own."""
    keys: dict[str, Any] = {
        key: (field.annotation, field) for key, field in config.model_fields.items() if key in config.own_keys()
    }
    return create_model("EngineKeys", **keys)


CONFIGS: dict[Kind, type[PluginConfig]] = {
    config.kind: config
    for config in (
        *(ModelConfig, LossConfig, DatasetConfig, OptimizerConfig, MetricConfig, FeatureExtractorConfig),
        *(PenaltyConfig, AugmentationConfig, ScheduleConfig, TrackerConfig),
    )
}
