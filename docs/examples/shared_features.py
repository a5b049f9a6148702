"""Two metrics with shared features: distances between moments, and the distance to the nearest generated image.

ganbench run dcgan-fashion -p shared_features.py
    -o 'metrics=[{name = "moments", features = "fashion-cnn"}, {name = "nearest", features = "fashion-cnn"}]'
"""

from pydantic import Field

from ganbench import FeatureExtractorConfig, MetricPlugin, Options, hookimpl


class FeatureOptions(Options):
    features: FeatureExtractorConfig = Field(description="the feature extractor, by name")


class Moments:
    """The distance between the mean features of real and generated images, and between their standard deviations."""

    higher_is_better = {"mean": False, "std": False}

    def __init__(self, features):
        self.features = features
        self.label = f"moments ({features.protocol['extractor']})"
        self.protocol = {}

    def score(self, real, generated):
        one, other = (
            features.derived("moments", lambda features=features: self.moments(features))
            for features in (real, generated)
        )
        return {name: (one[name] - other[name]).norm().item() for name in self.higher_is_better}

    def moments(self, features):
        mean = sum(batch.double().sum(0) for batch in features.batches()) / len(features)
        square = sum(batch.double().square().sum(0) for batch in features.batches()) / len(features)
        return {"mean": mean, "std": (square - mean**2).clamp(min=0).sqrt()}


class Nearest:
    """The mean distance of a real image to the nearest generated image: high if the generator misses a class."""

    higher_is_better = False

    def __init__(self, features):
        self.features = features
        self.label = f"distance to the nearest image ({features.protocol['extractor']})"
        self.protocol = {}

    def score(self, real, generated):
        import torch

        distances = []
        for batch in real.batches():
            nearest = [torch.cdist(batch, other).amin(1) for other in generated.batches()]
            distances.append(torch.stack(nearest).amin(0))
        return torch.cat(distances).double().mean().item()


@hookimpl
def ganbench_metrics():
    return [
        MetricPlugin(
            name="moments",
            summary="Distances between the means and the standard deviations of features",
            options=FeatureOptions,
            build=lambda options, context: Moments(options.features.build(context)),
        ),
        MetricPlugin(
            name="nearest",
            summary="Mean distance of a real image to the nearest generated image",
            options=FeatureOptions,
            build=lambda options, context: Nearest(options.features.build(context)),
        ),
    ]
