"""The sections of a spec: the tables of options that do not belong to a plugin, such as [training]."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from ganbench.plugin.interfaces import Player
from ganbench.plugin.options import StrictModel

from .configs import (
    Epochs,
    GeneratorMode,
    Kimgs,
    OptimizerConfig,
    Schedulable,
    ScheduleConfig,
    Weights,
)
from .references import Reference
from .targets import TargetOptions

UpdateScheme = Literal["alternating", "simultaneous"]


class Optimizers(StrictModel):
    """The optimizers of both networks."""

    generator: OptimizerConfig = Field(description="the generator's optimizer: a name, or a table with options")
    discriminator: OptimizerConfig = Field(description="the discriminator's optimizer: a name, or a table with options")

    def __getitem__(self, player: Player) -> OptimizerConfig:
        return self.generator if player == "generator" else self.discriminator


class TrainingOptions(StrictModel):
    """The length of training, its batches and its precision."""

    batch_size: int = Field(64, ge=1, description="real images per discriminator update")
    discriminator_steps: int = Field(
        1, ge=1, description="discriminator updates per generator update (n_critic), each on new real images"
    )
    generator_batch_size: int | None = Field(None, ge=1, description="images per generator update; default: batch_size")
    drop_last: bool = Field(False, description="drop the last, incomplete step of each epoch")
    horizontal_flips: bool = Field(
        False, description="flip each real image horizontally with probability 1/2, in training only"
    )
    epochs: int | None = Field(None, ge=1, description="length of training in epochs; default: given by steps")
    steps: int | None = Field(None, ge=1, description="length of training in steps; default: given by epochs")
    budget_seconds: float | None = Field(
        None, gt=0, description="stop training after this time in timing windows, in seconds; default: no limit"
    )
    seed: int = Field(42, ge=0, lt=2**63, description="random seed of all random number generators")
    precision: Literal["fp32", "tf32", "bf16"] = Field(
        "tf32", description="floating-point precision; bf16 is autocast, and tf32 on a CPU is fp32"
    )
    update_scheme: UpdateScheme = Field(
        "alternating",
        description="simultaneous: compute both gradients at the same weights, then update both networks; "
        "alternating: update the discriminator first, then the generator against it",
    )

    @model_validator(mode="after")
    def _one_length(self) -> TrainingOptions:
        if (self.epochs is None) == (self.steps is None):
            raise PydanticCustomError("length", "give exactly one of 'epochs' and 'steps'")
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
        """Real images shown to the discriminator in a complete step."""
        return self.batch_size * self.discriminator_steps

    def images_per_epoch(self, train_images: int) -> int:
        """Return how many of `train_images` images an epoch shows to the discriminator."""
        return train_images - (train_images % self.images_per_step if self.drop_last else 0)

    def steps_per_epoch(self, train_images: int) -> int:
        """Return the number of steps in an epoch of `train_images` images."""
        whole_steps, remainder = divmod(train_images, self.images_per_step)
        return whole_steps + (remainder > 0 and not self.drop_last)

    def total_steps(self, train_images: int) -> int:
        """Return the length of training on `train_images` images in steps."""
        return self.steps or (self.epochs or 0) * self.steps_per_epoch(train_images)


class DataOptions(StrictModel):
    """How batches are moved to the device.

    These options do not affect their contents, except for transforms that draw random numbers when an image is read:
    each worker has its own.
    """

    max_resident_mib: int = Field(
        4096, ge=0, description="keep a split on the device up to this size, in MiB; stream larger ones"
    )
    workers: int = Field(2, ge=0, description="worker processes for a streamed split; 0 reads in the main process")
    prefetch_batches: int = Field(2, ge=1, description="batches that each worker prefetches")


class EngineOptions(StrictModel):
    """How steps are executed. These options do not affect the results, except for rounding and the dropout masks."""

    mode: Literal["auto", "eager", "cuda_graph"] = Field(
        "auto",
        description="cuda_graph captures a step and replays it; auto does so if verified to equal eager execution",
    )
    compile: bool = Field(False, description="run both networks through torch.compile")
    memory_format: Literal["contiguous", "channels_last"] = Field(
        "contiguous", description="memory format of convolution weights and images"
    )
    dropout: Literal["fast", "torch"] = Field(
        "fast",
        description="how a CPU draws dropout masks: fast uses one random number for four elements, torch one for each; "
        "GPUs and compiled networks always use torch's",
    )


class EMAOptions(StrictModel):
    """An exponential moving average of the generator's weights."""

    half_life_kimg: Annotated[float | ScheduleConfig, Schedulable(ge=0)] = Field(
        description="half-life of the average, in thousands of real images, a number or a schedule (StyleGAN2: 10; "
        "R3GAN: from 0 to 5,000 for CIFAR-10, to 500 for FFHQ)"
    )
    ramp: float = Field(
        0.05, ge=0, description="limit the half-life to this fraction of the images seen so far; 0 does not limit it"
    )


class ScoringOptions(StrictModel):
    """How images are generated and scored."""

    batch_size: int = Field(250, ge=1, description="images per batch for generation and features, in eval mode")


class CheckpointOptions(StrictModel):
    """When to save checkpoints. One is always saved at the end of training and when it is interrupted."""

    every_minutes: float = Field(
        10.0, ge=0, description="minutes between checkpoints, saved at window ends; 0 saves at every window"
    )
    every_epochs: int | None = Field(None, ge=1, description="epochs between additional checkpoints; default: none")
    every_kimg: float | None = Field(
        None, gt=0, description="thousands of real images between additional checkpoints; default: none"
    )


class GateOptions(StrictModel):
    """The margins of `ganbench check`: by how much each quantity may get worse, in percent."""

    time_percent: float = Field(
        5.0, gt=0, description="allowed increase in time per image, in percent, when both sides run in one job"
    )
    baseline_time_percent: float = Field(
        10.0, gt=0, description="allowed increase in time per image, in percent, against a baseline"
    )
    memory_percent: float = Field(2.0, ge=0, description="allowed increase in peak memory, in percent")
    memory_mib: float = Field(
        32.0, ge=0, description="allowed increase in peak memory, in MiB; a regression exceeds this and memory_percent"
    )
    score_percent: float = Field(
        5.0,
        gt=0,
        description="by how much scores of metrics not in metric_percent may get worse, in percent; must be below "
        "100 for metrics where higher is better",
    )
    metric_percent: dict[str, Annotated[float, Field(gt=0)]] = Field(
        {}, description="score_percent for single metrics, by id, name or label"
    )
    target_percent: float = Field(
        5.0, gt=0, description="allowed increase in images and in seconds to reach a target, in percent"
    )


class SampleImagesOptions(StrictModel):
    """Real and generated images to save in the run directory."""

    real: int = Field(8, ge=0, description="real images to save before training")
    generated: int = Field(10, ge=0, description="images to generate from fixed latent vectors")
    at_epochs: Epochs = Field(
        [10, 30, 50], description="epochs after which to generate images, in addition to the end of training"
    )
    at_kimg: Kimgs = Field([], description="thousands of real images after which to generate images, too")
    every_kimg: float | None = Field(
        None, gt=0, description="thousands of real images between additional sample images; default: none"
    )
    generator_mode: GeneratorMode = Field(
        "train", description="batch norm uses batch statistics (train) or running statistics (eval)"
    )
    weights: Weights = Field("raw", description="raw or moving-average (ema, requires [ema]) generator weights")


def sections() -> dict[str, type[StrictModel]]:
    """Return the tables of a spec that do not configure plugins, such as training, with their models."""
    return {
        "training": TrainingOptions,
        "data": DataOptions,
        "engine": EngineOptions,
        "ema": EMAOptions,
        "scoring": ScoringOptions,
        "sample_images": SampleImagesOptions,
        "targets": TargetOptions,
        "references": Reference,
        "checkpoint": CheckpointOptions,
        "gate": GateOptions,
    }
