"""The contract of feature extractors."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ganbench.plugin.interfaces import FeatureExtractor
from ganbench.plugin.registrations import FeatureExtractorPlugin

from .assertions import assert_finite, assert_json, assert_unchanged, quantized
from .contract import SEED, PluginContract
from .without_values import META, without_reading


class FeatureExtractorContract(PluginContract):
    plugin: ClassVar[FeatureExtractorPlugin]

    def features(self, extractor: FeatureExtractor, images: Tensor) -> Tensor:
        with torch.no_grad():
            return extractor(images)

    def test_features_are_one_row_of_floats_for_each_image(self) -> None:
        """Images, uint8 `(N, channels, height, width)`, or vectors, float32, become finite floats
        `(N, num_features)`.
        """
        extractor: FeatureExtractor = self.build()
        images = quantized(self.images())
        features = self.features(extractor, images)
        expected = (len(images), extractor.num_features)
        assert features.shape == expected, f"expected shape {expected}, got {tuple(features.shape)}"
        assert features.is_floating_point(), f"expected floats, got {features.dtype}"
        assert_finite(features)

    def test_features_do_not_depend_on_the_batch(self) -> None:
        """An image has the same features alone as in a batch with others."""
        extractor: FeatureExtractor = self.build()
        images = quantized(self.images())
        together, alone = self.features(extractor, images), self.features(extractor, images[:1])
        difference = (together[:1] - alone).abs().max().item()
        assert torch.allclose(together[:1], alone, rtol=1e-4, atol=1e-4), (
            f"expected the same features of an image in any batch, got a difference of up to {difference:.3g}"
        )

    def test_features_are_the_same_in_every_run(self) -> None:
        """Two builds return the same features, regardless of the seeds: weights are stored, not random."""
        images = quantized(self.images())
        features = [self.features(self.build(seed=seed), images) for seed in (SEED, SEED + 1)]
        difference = (features[0] - features[1]).abs().max().item()
        assert difference == 0, f"expected the same features in every run, got a difference of up to {difference:.3g}"

    def test_it_runs_on_the_device_of_the_images(self) -> None:
        """After `.to(device)`, all its tensors are on the device of the images. Checked with torch's device `meta`."""
        extractor: Any = self.build()
        images = quantized(self.images()).to(META)
        extractor.to(META)
        with without_reading():
            self.features(extractor, images)

    def test_it_does_not_change_its_input(self) -> None:
        """The images are not changed in place: all metrics share them."""
        images = quantized(self.images())
        before = images.clone()
        self.features(self.build(), images)
        assert_unchanged(images, before, "images")

    def test_logits_are_one_finite_row_for_each_image(self) -> None:
        """The optional method `logits` maps features to finite logits `(N, classes)`."""
        extractor: Any = self.build()
        if not hasattr(extractor, "logits"):
            self.skip("the extractor has no method `logits`")
        images = quantized(self.images())
        with torch.no_grad():
            logits = extractor.logits(extractor(images))
        shape = tuple(logits.shape)
        assert len(shape) == 2 and shape[0] == len(images), f"expected shape ({len(images)}, classes), got {shape}"  # noqa: PT018 - one message
        assert_finite(logits)

    def test_it_is_frozen(self) -> None:
        """It is a module in eval mode, and no parameter requires a gradient."""
        extractor = self.build()
        assert isinstance(extractor, nn.Module), f"expected an nn.Module, got {type(extractor).__name__}"
        modes = [getattr(module, "training", False) for module in extractor.modules()]
        assert not any(modes), "expected eval mode, got train mode: call .eval() in build"
        trainable = [name for name, parameter in extractor.named_parameters() if parameter.requires_grad]
        assert not trainable, f"expected no parameter that requires a gradient, got {', '.join(trainable)}"

    def test_the_protocol_names_the_extractor(self) -> None:
        """The protocol has the plugin's name under "extractor", and can be stored as JSON."""
        protocol = self.build().protocol
        name = protocol.get("extractor")
        assert name == self.plugin.name, f"expected {self.plugin.name!r} under 'extractor', got {name!r}"
        assert_json(protocol)

    def test_the_summary_has_the_right_number_of_features(self) -> None:
        """If the summary of an extractor says how many features it has ("2,048 features"), that is `num_features`."""
        claim = re.search(r"([\d,]+) features", self.plugin.summary)
        if claim is None:
            self.skip("the summary says no number of features")
        expected = f"{self.build().num_features:,}"
        assert claim[1] == expected, f"expected a summary with '{expected} features', got '{claim[0]}'"
