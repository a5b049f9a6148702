"""Sampling the generator and scoring what it makes, without a trace in the training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganbench.files import write_text
from ganbench.plugin import BuildContext
from ganbench.protocols import ImageData, Metric, Networks, ReferenceImages
from ganbench.result import MetricResult, Point
from ganbench.spec import GeneratorMode, MetricChoice

from .data import select_images, to_uint8
from .precision import float32_products
from .seeds import stream

EVALUATION_BATCH = 250


@contextmanager
def sampling(networks: Networks, mode: GeneratorMode, device: torch.device) -> Iterator[None]:
    """The generator in `mode`; afterwards it, its buffers and the global random streams are as they were."""
    generator = networks.generator
    modes = {module: module.training for module in generator.modules()}
    buffers = {name: buffer.clone() for name, buffer in generator.named_buffers()}
    forked = [device] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(forked), torch.no_grad(), float32_products("fp32"):
            generator.train(mode == "train")
            yield
    finally:
        for module, training in modes.items():
            module.training = training
        for name, buffer in generator.named_buffers():
            buffer.copy_(buffers[name])


def generate(
    networks: Networks, mode: GeneratorMode, count: int, batch_size: int, latents: torch.Generator, device: torch.device
) -> Iterator[Tensor]:
    """`count` generated images, uint8 `(N, C, H, W)`, in batches.

    Each is made in a full batch, the last one cut afterwards: in train mode an image depends on its batch's statistics.
    The latents are drawn on the CPU, so that the same ones come on every device.
    """
    with sampling(networks, mode, device):
        for start in range(0, count, batch_size):
            latent = torch.randn(batch_size, networks.latent_dim, generator=latents).to(device)
            yield to_uint8(networks.generator(latent))[: count - start]


@dataclass
class ScoredMetric:
    """A metric of the benchmark with its real images, its stamp and the values so far."""

    choice: MetricChoice
    metric: Metric
    stamp: dict[str, Any]
    floor: float
    floor_samples: int
    curve: list[Point] = field(default_factory=list)

    def result(self) -> MetricResult:
        pick = min if self.metric.better == "lower" else max
        return MetricResult(
            name=self.choice.name,
            label=self.metric.label,
            value=self.curve[-1].value,
            better=self.metric.better,
            best=pick(self.curve, key=lambda point: point.value),
            curve=self.curve,
            floor=self.floor,
            floor_samples=self.floor_samples,
            stamp=self.stamp,
        )


class Evaluator:
    """Builds a benchmark's metrics and scores the generator with them."""

    def __init__(
        self,
        choices: list[MetricChoice],
        data: ImageData,
        context: BuildContext,
        training_batch_size: int,
    ) -> None:
        self.data = data
        self.device = torch.device(context.device)
        self.seed = context.seed
        self.training_batch_size = training_batch_size
        self.metrics = [self._prepare(choice, context) for choice in choices]

    def is_due(self, epoch: int) -> bool:
        return any(epoch in scored.choice.at_epochs for scored in self.metrics)

    def evaluate(
        self, networks: Networks, epoch: int, images: int, everything: bool = False
    ) -> list[tuple[str, Point]]:
        """Score the generator with the metrics that are due after `epoch`, or with all of them."""
        due = [scored for scored in self.metrics if everything or epoch in scored.choice.at_epochs]
        due = [scored for scored in due if not scored.curve or scored.curve[-1].images != images]
        for mode, count in dict.fromkeys((scored.choice.generator_mode, scored.choice.samples) for scored in due):
            sharing = [s for s in due if (s.choice.generator_mode, s.choice.samples) == (mode, count)]
            for batch in generate(
                networks, mode, count, self._batch_size(mode), stream(self.seed, "evaluation"), self.device
            ):
                for scored in sharing:
                    with scored.choice.plugin.blamed("raised in update"):
                        scored.metric.update(batch)
        for scored in due:
            scored.curve.append(Point(epoch=epoch, images=images, value=compute(scored.choice, scored.metric)))
        return [(scored.metric.label, scored.curve[-1]) for scored in due]

    def results(self) -> list[MetricResult]:
        return [scored.result() for scored in self.metrics if scored.curve]

    def _batch_size(self, mode: GeneratorMode) -> int:
        return self.training_batch_size if mode == "train" else EVALUATION_BATCH

    def _prepare(self, choice: MetricChoice, context: BuildContext) -> ScoredMetric:
        metric: Metric = choice.build(context)
        split = self.data.test if choice.split == "test" else self.data.train
        indices = torch.arange(len(split))
        reference_stamp = {
            **metric.stamp,
            "data": self.data.fingerprint,
            "split": choice.split,
            "real_samples": len(indices),
        }
        reference = ReferenceImages(
            batches=lambda: select_images(split, indices, EVALUATION_BATCH, self.device),
            count=len(indices),
            fingerprint=f"{self.data.fingerprint}-{choice.split}",
        )
        with torch.no_grad(), float32_products("fp32"):
            with choice.plugin.blamed("raised in fit"):
                metric.fit(reference)
            floor, floor_samples = self._floor(choice, metric, reference_stamp, context.cache_dir)
        batch_norm = (
            "running statistics" if choice.generator_mode == "eval" else f"batches of {self.training_batch_size}"
        )
        stamp = {
            **reference_stamp,
            "generated_samples": choice.samples,
            "quantisation": "uint8, rounded",
            "weights": "raw",
            "batch_norm": batch_norm,
            "torch": torch.__version__,
        }
        return ScoredMetric(choice, metric, stamp, floor, floor_samples)

    def _floor(self, choice: MetricChoice, metric: Metric, stamp: dict[str, Any], cache_dir: Path) -> tuple[float, int]:
        """The score of as many real images of the other split, or of all it has: what a perfect generator gets."""
        other = self.data.train if choice.split == "test" else self.data.test
        order = torch.randperm(len(other), generator=stream(0, "floor"))[: choice.samples]
        protocol = {**stamp, "metric": choice.name, "floor_samples": len(order), "torch": torch.__version__}
        key = hashlib.sha256(json.dumps(protocol, sort_keys=True).encode()).hexdigest()
        cached = cache_dir / "floors" / f"{key}.json"
        try:
            return float(json.loads(cached.read_text())["value"]), len(order)
        except (OSError, ValueError, KeyError, TypeError):
            pass  # not there, or not whole: computed and written anew
        for batch in select_images(other, order, EVALUATION_BATCH, self.device):
            with choice.plugin.blamed("raised in update"):
                metric.update(batch)
        value = compute(choice, metric)
        cached.parent.mkdir(parents=True, exist_ok=True)
        write_text(cached, json.dumps({"value": value, "protocol": protocol}))
        return value, len(order)


def compute(choice: MetricChoice, metric: Metric) -> float:
    """The score of what the metric was updated with; what it raises names its plugin."""
    with choice.plugin.blamed("raised in compute"):
        return float(metric.compute())
