"""The schema of a spec: its plugins, its sections, and the rules that concern several of them."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import tomli_w
from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from ganbench.plugin.options import StrictModel
from ganbench.results.schema import NON_TRAINING_FIELDS

from .configs import (
    AugmentationConfig,
    DatasetConfig,
    LossConfig,
    MetricConfig,
    ModelConfig,
    PenaltyConfig,
    PluginConfig,
    configs_in,
)
from .ids import ID, unique_ids
from .references import Reference
from .sections import (
    CheckpointOptions,
    DataOptions,
    EMAOptions,
    EngineOptions,
    GateOptions,
    Optimizers,
    SampleImagesOptions,
    ScoringOptions,
    TrainingOptions,
)
from .targets import TargetOptions, check_targets


class BenchmarkSpec(StrictModel):
    """A resolved benchmark: all plugins are found, and all options are validated and set."""

    name: str = Field(pattern=ID, description="name, also of the folder of its runs")
    summary: str = Field("", description="one line for lists")
    model: ModelConfig = Field(description="the generator and the discriminator: a name, or a table with options")
    loss: LossConfig = Field(description="the objectives of both networks: a name, or a table with options")
    dataset: DatasetConfig = Field(description="the real images: a name, or a table with options")
    optimizer: Optimizers = Field(description="the optimizers of both networks")
    training: TrainingOptions = Field(description="the length of training, its batches and its precision")
    penalties: list[PenaltyConfig] = Field(
        [], description="terms added to the loss of a network, by default the discriminator's"
    )
    augmentations: list[AugmentationConfig] = Field([], description="changes to the images that the discriminator sees")
    ema: EMAOptions | None = Field(
        None, description="a moving average of the generator's weights, for scores and sample images; default: none"
    )
    data: DataOptions = Field(DataOptions(), description="how batches are moved to the device")
    engine: EngineOptions = Field(EngineOptions(), description="how steps are executed")
    scoring: ScoringOptions = Field(ScoringOptions(), description="how images are generated and scored")
    sample_images: SampleImagesOptions = Field(SampleImagesOptions(), description="images to save in the run directory")
    metrics: list[MetricConfig] = Field([], description="scores to compute: names, or tables with options")
    targets: list[TargetOptions] = Field([], description="scores to be reached")
    references: list[Reference] = Field([], description="published scores to compare the run's scores with")
    checkpoint: CheckpointOptions = Field(CheckpointOptions(), description="when to save checkpoints")
    gate: GateOptions = Field(GateOptions(), description="the margins of `ganbench check`")

    @field_validator("metrics")
    @classmethod
    def _identify_metrics(cls, metrics: list[MetricConfig]) -> list[MetricConfig]:
        return unique_ids(metrics, "metrics")

    @field_validator("penalties")
    @classmethod
    def _identify_penalties(cls, penalties: list[PenaltyConfig]) -> list[PenaltyConfig]:
        return unique_ids(penalties, "penalties")

    @model_validator(mode="after")
    def _require_ema(self) -> BenchmarkSpec:
        users = [f"metrics.{number}" for number, metric in enumerate(self.metrics) if metric.weights == "ema"]
        if self.sample_images.weights == "ema":
            users.append("sample_images")
        if users and self.ema is None:
            raise PydanticCustomError(
                "no_ema",
                "{user}.weights is 'ema', but the spec has no [ema]; add it, for example with -o ema.half_life_kimg=10",
                {"user": users[0]},
            )
        return self

    @model_validator(mode="after")
    def _check_targets(self) -> BenchmarkSpec:
        check_targets(self.targets, self.metrics)
        return self

    def plugin_configs(self) -> list[PluginConfig]:
        """Return the configs of all plugins in the spec, including those nested in options."""
        return [inner for config in configs_in(self) for inner in config.nested()]

    def forget_built(self) -> None:
        """Let go of all that the plugins have built, such as the dataset and the networks: a spec outlives its run."""
        for config in self.plugin_configs():
            config.forget_built()

    def to_dict(self) -> dict[str, Any]:
        """Return the spec as plain JSON types, without unset fields."""
        plain: dict[str, Any] = without_none(self.model_dump(mode="json"))
        return plain

    def to_toml(self) -> str:
        """Return the spec as TOML that can be saved, edited and run."""
        return tomli_w.dumps(self.to_dict())

    def sha256(self) -> str:
        """Return a hash of all fields that affect a run: equal for specs that differ only in `NON_TRAINING_FIELDS`."""
        relevant = {key: value for key, value in self.to_dict().items() if key not in NON_TRAINING_FIELDS}
        return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()


def without_none(value: Any) -> Any:
    """Return plain data without the keys whose value is None, which TOML cannot represent."""
    if isinstance(value, dict):
        return {key: without_none(item) for key, item in value.items() if item is not None}
    return [without_none(item) for item in value] if isinstance(value, list) else value
