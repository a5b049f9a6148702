"""The trained model of a run, which generates the images that the run scored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor, nn

from ganbench.errors import UsageError
from ganbench.plugin.interfaces import Networks
from ganbench.results.progress import RunProgress
from ganbench.runtime.precision import deterministic_convolutions
from ganbench.runtime.process_state import fresh_process_state
from ganbench.spec.configs import GeneratorMode, ModelConfig, Weights
from ganbench.spec.sections import ScoringOptions, TrainingOptions

from .sampling import Sampler, Source, evaluation_context


@dataclass(frozen=True, kw_only=True)
class TrainedRun:
    """The trained model of a run, which generates the images that the run scored."""

    directory: Path
    progress: RunProgress
    model: ModelConfig
    training: TrainingOptions
    scoring: ScoringOptions
    ema: dict[str, Any] | None  # as in the spec
    networks: Networks  # with the raw weights
    average: nn.Module | None  # the generator with the moving average of the weights; None without [ema]
    sampler: Sampler
    device: torch.device
    caveats: list[str]  # why its images may not be those of the complete run; a score of them has these warnings

    @property
    def generator(self) -> nn.Module:
        """The generator, with the moving average of the weights if the run has one."""
        return self.networks.generator if self.average is None else self.average

    def source(self, weights: Weights | None = None, mode: GeneratorMode = "eval") -> Source:
        """Return a source of images; `weights` defaults to the moving average if the run has one.

        Raises `UsageError` for unknown values, and if the run has no moving average, but `weights` is "ema".
        """
        for name, value, known in (("weights", weights or "raw", Weights), ("mode", mode, GeneratorMode)):
            if value not in get_args(known):
                raise UsageError(f"{name}={value!r}: choose {' or '.join(map(repr, get_args(known)))}")
        if weights == "ema" and self.average is None:
            raise UsageError(f"{self.directory}: the run has no moving average of the weights; use the raw weights")
        return Source(weights or ("raw" if self.average is None else "ema"), mode)

    @contextmanager
    def generating(
        self, count: int, source: Source, seed: int | None = None, classes: Sequence[int] | None = None
    ) -> Iterator[Iterator[tuple[Tensor, Tensor | None]]]:
        """Yield an iterator of images, uint8 `(N, C, H, W)`, and labels `(N,)` or None, in batches on the device.

        They are those that the run scored, if the weights, the mode and the seed are (default: the run's seed). The
        first images are the same for any `count`. A conditional model cycles through `classes`; by default, it samples
        them by their frequencies. Gradients are disabled in the block. Raises `UsageError` for invalid classes, and for
        a `count` below 1.
        """
        if count < 1:
            raise UsageError(f"{self.directory}: the number of images must be at least 1, got {count}")
        draw_labels = None if classes is None else self._cycle(classes)
        seed = self.training.seed if seed is None else seed
        batch_size = self.training.generator_images if source.mode == "train" else self.scoring.batch_size
        # the state of the process as in the run, because the number of threads, for example, can affect rounding
        with (
            fresh_process_state(self.device),
            evaluation_context(seed, self.device),
            deterministic_convolutions(),
            closing(self.sampler.scored_images(source, count, batch_size, seed, draw_labels)) as batches,
        ):
            yield batches

    def _cycle(self, classes: Sequence[int]) -> Callable[[int], Tensor]:
        """Return a function that cycles through classes, whatever the sizes of the batches."""
        number = self.progress.data.num_classes or 0
        if not self.networks.conditional:
            raise UsageError(f"{self.directory}: {self.model.plugin} is unconditional, so no classes can be chosen")
        if len(classes) == 0:
            raise UsageError(f"{self.directory}: no classes given; choose from 0 to {number - 1}, or omit them")
        if unknown := [label for label in classes if not 0 <= label < number]:
            raise UsageError(f"{self.directory}: there is no class {unknown[0]}; choose from 0 to {number - 1}")
        endless = cycle(classes)
        return lambda count: torch.tensor(list(islice(endless, count)))

    def sample(
        self,
        count: int,
        *,
        weights: Weights | None = None,
        mode: GeneratorMode = "eval",
        seed: int | None = None,
        classes: Sequence[int] | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Return images, uint8 `(count, C, H, W)`, and labels, int64 `(count,)` or None, on the CPU.

        Raises `UsageError` as `source` and `generating` do, and `PluginError` for a generator that raises or whose
        images are not finite.
        """
        with self.generating(count, self.source(weights, mode), seed, classes) as batches:
            parts = [(images.cpu(), None if labels is None else labels.cpu()) for images, labels in batches]
        labels = [part for _, part in parts if part is not None]
        return torch.cat([images for images, _ in parts]), torch.cat(labels) if labels else None
