"""The schema of a spec: which plugins, how training goes, when to score, checkpoint and show images."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from ganbench.plugin.registrations import StrictModel

from .configs import (
    AugmentationConfig,
    DatasetConfig,
    Epochs,
    GeneratorMode,
    Kimgs,
    LossConfig,
    MetricConfig,
    ModelConfig,
    OptimizerConfig,
    PenaltyConfig,
    PluginConfig,
    Weights,
    unique_ids,
)

NON_TRAINING_FIELDS = ("name", "summary", "gate", "checkpoint")  # that change nothing in a run

UpdateScheme = Literal["alternating", "simultaneous"]


class Optimizers(StrictModel):
    generator: OptimizerConfig
    discriminator: OptimizerConfig


class TrainingOptions(StrictModel):
    batch_size: int = Field(64, ge=1, description="real images per update of the discriminator")
    discriminator_steps: int = Field(
        1, ge=1, description="updates of the discriminator per update of the generator, each on other real images"
    )
    generator_batch_size: int | None = Field(
        None, ge=1, description="images per update of the generator; by default batch_size"
    )
    drop_last: bool = Field(
        False, description="skip the smaller last step of an epoch, if the images do not divide into whole steps"
    )
    horizontal_flips: bool = Field(False, description="mirror each real image with probability 1/2, in training only")
    epochs: int | None = Field(None, ge=1, description="length in passes over the train split")
    steps: int | None = Field(None, ge=1, description="length in steps, instead of epochs")
    budget_seconds: float | None = Field(None, gt=0, description="stop training after this time, finished or not")
    seed: int = Field(42, ge=0, lt=2**63)
    precision: Literal["fp32", "tf32", "bf16"] = Field("tf32", description="tf32 is fp32 on a CPU")
    update_scheme: UpdateScheme = Field(
        "alternating",
        description="simultaneous: update both networks by gradients at the same weights; alternating: update the "
        "generator against the updated discriminator",
    )

    @model_validator(mode="after")
    def _one_length(self) -> TrainingOptions:
        if (self.epochs is None) == (self.steps is None):
            raise PydanticCustomError("length", "give either 'epochs' or 'steps', not both")
        return self

    @model_validator(mode="after")
    def _updates_fit(self) -> TrainingOptions:
        if self.update_scheme == "simultaneous" and self.discriminator_steps > 1:
            raise PydanticCustomError(
                "discriminator_steps",
                "discriminator_steps must be 1 with update_scheme=simultaneous, which updates both networks once",
            )
        if self.generator_batch_size is not None and self.generator_batch_size > self.images_per_step:
            raise PydanticCustomError(
                "generator_batch_size",
                "generator_batch_size must be at most batch_size * discriminator_steps = {limit}, the real images of a "
                "step; got {size}",
                {"limit": self.images_per_step, "size": self.generator_batch_size},
            )
        return self

    @property
    def generator_images(self) -> int:
        """Images per update of the generator."""
        return self.generator_batch_size or self.batch_size

    @property
    def images_per_step(self) -> int:
        """Real images that a whole step shows to the discriminator."""
        return self.batch_size * self.discriminator_steps


class DataOptions(StrictModel):
    """How batches reach the device; which images they hold is the same."""

    max_resident_mib: int = Field(4096, ge=0, description="keep a split on the device up to this size, else stream it")
    workers: int = Field(2, ge=0, description="processes that read a streamed split; 0 reads it in the main process")
    prefetch_batches: int = Field(2, ge=1, description="batches that each worker reads ahead")


class EngineOptions(StrictModel):
    """How steps are executed: the results are the same, except for rounding in compiled code."""

    mode: Literal["auto", "eager", "cuda_graph"] = Field(
        "auto",
        description="cuda_graph captures a step and replays it; auto does so where that is verified to equal eager",
    )
    compile: bool = Field(False, description="run both networks through torch.compile")
    memory_format: Literal["contiguous", "channels_last"] = Field(
        "contiguous", description="memory format of convolution weights and images"
    )


class EMAOptions(StrictModel):
    """An exponential moving average of the generator's weights."""

    half_life_kimg: float = Field(
        gt=0, description="thousand real images after which an update counts half (StyleGAN: 10, R3GAN: 500)"
    )
    ramp: float | None = Field(
        0.05, gt=0, description="early in training, use this fraction of the images seen so far if that is shorter"
    )


class ScoringOptions(StrictModel):
    batch_size: int = Field(250, ge=1, description="images per batch that are generated and compared in eval mode")


class CheckpointOptions(StrictModel):
    """When to save a checkpoint; the end of training and an interruption always count."""

    every_minutes: float = Field(10.0, ge=0, description="minutes between checkpoints, saved at window ends; 0: always")
    every_epochs: int | None = Field(None, ge=1, description="epochs between checkpoints, in addition")
    every_kimg: float | None = Field(None, gt=0, description="thousand images between checkpoints, in addition")


class GateOptions(StrictModel):
    """The allowed increase of each quantity in `ganbench check`, in percent."""

    time_percent: float = Field(5.0, gt=0, description="time per image, when both sides run in one job")
    baseline_time_percent: float = Field(10.0, gt=0, description="time per image, against a baseline")
    memory_percent: float = Field(2.0, ge=0, description="peak memory")
    memory_mib: float = Field(32.0, ge=0, description="peak memory, in MiB; a regression exceeds both")
    score_percent: float = Field(5.0, gt=0, description="every metric not listed in metric_percent")
    metric_percent: dict[str, Annotated[float, Field(gt=0)]] = Field(
        {}, description="individual metrics, by id, name or label"
    )


class SampleImages(StrictModel):
    real: int = Field(8, ge=0, description="real images to save before training")
    generated: int = Field(10, ge=0, description="images to generate from fixed latent vectors")
    at_epochs: Epochs = Field([10, 30, 50], description="epochs after which to generate them; the end always counts")
    at_kimg: Kimgs = Field([], description="generate them after so many thousand images as well")
    every_kimg: float | None = Field(None, gt=0, description="generate them every so many thousand images as well")
    generator_mode: GeneratorMode = Field("train", description="batch norm by batch or by running statistics")
    weights: Weights = Field("raw", description="the generator as trained, or its moving average (needs [ema])")


class BenchmarkSpec(StrictModel):
    """One benchmark, resolved: every plugin found, every option validated and filled in."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")  # it names a folder of runs
    summary: str = ""
    model: ModelConfig
    loss: LossConfig
    dataset: DatasetConfig
    optimizer: Optimizers
    training: TrainingOptions
    penalties: list[PenaltyConfig] = []
    augmentations: list[AugmentationConfig] = []
    ema: EMAOptions | None = None
    data: DataOptions = DataOptions()
    engine: EngineOptions = EngineOptions()
    scoring: ScoringOptions = ScoringOptions()
    sample_images: SampleImages = SampleImages()
    metrics: list[MetricConfig] = []
    checkpoint: CheckpointOptions = CheckpointOptions()
    gate: GateOptions = GateOptions()

    @field_validator("metrics")
    @classmethod
    def _identify_metrics(cls, metrics: list[MetricConfig]) -> list[MetricConfig]:
        return unique_ids(metrics, "metrics")

    @field_validator("penalties")
    @classmethod
    def _identify_penalties(cls, penalties: list[PenaltyConfig]) -> list[PenaltyConfig]:
        return unique_ids(penalties, "penalties")

    @model_validator(mode="after")
    def _ema_is_there(self) -> BenchmarkSpec:
        users = [f"metrics.{number}" for number, metric in enumerate(self.metrics) if metric.weights == "ema"]
        if self.sample_images.weights == "ema":
            users.append("sample_images")
        if users and self.ema is None:
            raise PydanticCustomError(
                "no_ema",
                "{user}.weights is 'ema', but the spec has no [ema]: add one, such as -o ema.half_life_kimg=10",
                {"user": users[0]},
            )
        return self

    def plugin_configs(self) -> list[PluginConfig]:
        """Every plugin that the spec names, including those in the options of others."""
        direct = [
            *(self.model, self.loss, self.dataset, self.optimizer.generator, self.optimizer.discriminator),
            *(*self.penalties, *self.augmentations, *self.metrics),
        ]
        return [inner for config in direct for inner in config.nested()]

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


def sections() -> dict[str, type[StrictModel]]:
    """The parts of a spec that name no plugin, such as training, and what each accepts."""
    return {
        "training": TrainingOptions,
        "data": DataOptions,
        "engine": EngineOptions,
        "ema": EMAOptions,
        "scoring": ScoringOptions,
        "sample_images": SampleImages,
        "checkpoint": CheckpointOptions,
        "gate": GateOptions,
    }
