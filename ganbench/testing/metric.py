"""The contract of metrics."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor

from ganbench.plugin.interfaces import FeatureMetric, Features, Loss, Networks, NetworksMetric, ReferenceImages
from ganbench.plugin.registrations import MetricPlugin
from ganbench.runtime.networks import NetworkState
from ganbench.scoring.features import FeatureWriter, StoredFeatures
from ganbench.scoring.metric_values import by_name, directions
from ganbench.scoring.requirements import min_images, uses_labels, uses_real_labels
from ganbench.scoring.sampling import evaluation_context

from .assertions import assert_json, assert_unchanged, quantized
from .contract import SEED, PluginContract
from .networks import LogisticLoss, two_layer_networks

CPU = torch.device("cpu")


class MetricContract(PluginContract):
    """For a network metric, override `networks` and `loss` if it needs particular ones."""

    plugin: ClassVar[MetricPlugin]

    def networks(self, device: str = "cpu") -> Networks:
        """Return the networks for a network metric."""
        return two_layer_networks(self.image_shape, SEED)

    def loss(self, device: str = "cpu") -> Loss:
        return LogisticLoss()

    def metric_of_images(self) -> Any:
        """Return the metric, for rules that do not apply to network metrics."""
        metric = self.build()
        if isinstance(metric, NetworksMetric):
            self.skip("it is a network metric")
        return metric

    def scores(self, metric: Any, images: Tensor, batch_size: int) -> dict[str, float]:
        """Return the metric's values of images against `self.enough_images`, by name; a single value under ""."""
        return self.scores_of(metric, quantized(self.enough_images(metric)), quantized(images), batch_size)

    def enough_images(self, metric: Any, seed: int = SEED) -> Tensor:
        """Return at least as many images as the metric requires; rules use the seeds 0 and 1."""
        images = self.images(seed)
        while len(images) < min_images(metric):
            seed += 2
            images = torch.cat([images, self.images(seed)])
        return images

    def scores_of(self, metric: Any, real: Tensor, generated: Tensor, batch_size: int) -> dict[str, float]:
        """Return the metric's values of quantized images, by name; a single value under ""."""
        labels = torch.arange(len(real)) % self.num_classes
        real_labels = labels if uses_real_labels(metric) else None
        with evaluation_context(SEED, CPU):
            if isinstance(metric, FeatureMetric):
                features = self.features(metric, real.split(5), real_labels)
                of_generated = labels if uses_labels(metric) else None
                return by_name(metric.score(features, self.features(metric, generated.split(batch_size), of_generated)))
            reference = ReferenceImages(lambda: iter(real.split(5)), len(real), "contract", real_labels)
            metric.fit(reference)
            for batch, batch_labels in zip(generated.split(batch_size), labels.split(batch_size), strict=True):
                metric.update(batch, *([batch_labels] if uses_labels(metric) else []))
            return by_name(metric.compute())

    def features(self, metric: FeatureMetric, batches: Iterable[Tensor], labels: Tensor | None) -> Features:
        with FeatureWriter(self.new_folder() / "features", CPU) as writer:
            for batch in batches:
                writer.append(metric.features(batch))
        return StoredFeatures(writer.result(), labels)

    def measured(self, metric: NetworksMetric, networks: Networks) -> dict[str, float]:
        with evaluation_context(SEED, CPU):
            return by_name(metric.measure(networks, self.loss()))

    def signs(self, metric: Any) -> dict[str, int]:
        """Return, by name, 1 for values of which lower is better, -1 if higher is, and 0 for those never ranked."""
        return {name: 0 if higher is None else -1 if higher else 1 for name, higher in directions(metric).items()}

    def test_the_direction_of_every_value_is_known(self) -> None:
        """`higher_is_better` is a bool for a single value; for several, it maps their names to bools, or None."""
        metric = self.build()
        assert metric.higher_is_better is not None, "expected a bool for a single value, got None"
        if isinstance(metric, NetworksMetric):
            values = self.measured(metric, self.networks())
        else:
            values = self.scores(metric, self.enough_images(metric), 8)
        expected = self.signs(metric)
        assert set(values) == set(expected), f"expected values called {sorted(expected)}, got {sorted(values)}"
        numbers = all(isinstance(value, int | float) for value in values.values())
        assert numbers, f"expected Python numbers, got {values}"

    def test_real_images_score_better_than_other_images(self) -> None:
        """Real images score better than at least one of negatives, blank images and noise, and no worse than any.

        A metric need not distinguish all three from real images: negatives may have a precision of 1.
        """
        metric = self.metric_of_images()
        if not any(self.signs(metric).values()):
            self.skip("none of its values is ranked")
        images = self.enough_images(metric)
        noise = torch.rand(images.shape, generator=torch.Generator().manual_seed(SEED)) * 2 - 1
        others = {"negatives": -images, "blank images": -torch.ones_like(images), "noise": noise}
        real = self.scores(metric, images, 8)
        scores = {name: self.scores(metric, other, 8) for name, other in others.items()}
        gaps = [
            sign * (score[name] - real[name]) if math.isfinite(score[name]) else math.inf
            for score in scores.values()
            for name, sign in self.signs(metric).items()
            if sign
        ]
        details = f"real images score {real}, other images {scores}; higher is better: {metric.higher_is_better}"
        assert all(gap >= 0 for gap in gaps), f"real images score worse than others: {details}"
        assert any(gap > 0 for gap in gaps), f"real images score no better than others: {details}"

    def test_a_score_does_not_depend_on_batches_or_previous_scores(self) -> None:
        """The same images get the same score in batches of another size, and when the metric is used again."""
        metric = self.metric_of_images()
        images = self.enough_images(metric, seed=1)
        first = self.scores(metric, images, 16)
        again = self.scores(metric, images, 3)
        assert all(abs(first[name] - again[name]) <= 1e-4 * max(1.0, abs(first[name])) for name in first), (
            f"expected the same score of the same images, got {first}, then in other batches {again}"
        )

    def test_it_does_not_change_the_images(self) -> None:
        """Real and generated images are not changed in place: other metrics score them, too."""
        metric = self.metric_of_images()
        real, generated = (quantized(self.enough_images(metric, seed)) for seed in (SEED, 1))
        before = real.clone(), generated.clone()
        self.scores_of(metric, real, generated, 8)
        assert_unchanged(real, before[0], "real images")
        assert_unchanged(generated, before[1], "generated images")

    def test_it_does_not_change_the_networks(self) -> None:
        """A network metric leaves weights, buffers and modes as they were."""
        metric = self.build()
        if not isinstance(metric, NetworksMetric):
            self.skip("it is an image metric")
        networks = self.networks()
        states = [NetworkState(network) for network in (networks.generator, networks.discriminator)]
        self.measured(metric, networks)
        changed = [name for state in states for name in state.differing()]
        modes = {module: mode for state in states for module, mode in state.modes.items()}
        changed += [f"{type(module).__name__}.training" for module, mode in modes.items() if module.training != mode]
        assert not changed, f"expected unchanged networks, got changes of {', '.join(changed)}"

    def test_it_has_a_label_and_a_protocol(self) -> None:
        """`label` is a name for tables, and `protocol` can be stored as JSON."""
        metric = self.build()
        assert metric.label, f"expected a name for tables, got {metric.label!r}"
        assert_json(metric.protocol)
