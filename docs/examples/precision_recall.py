"""Two metrics on shared features: improved precision and recall (Kynkäänniemi et al. 2019), and a distance of means.

ganbench run dcgan-fashion -p precision_recall.py
    -o 'metrics=[{name = "precision-recall", features = "fashion-cnn"}, {name = "means", features = "fashion-cnn"}]'
"""

from pydantic import Field

from ganbench import FeatureExtractorConfig, MetricPlugin, Options, hookimpl


class MeansOptions(Options):
    features: FeatureExtractorConfig = Field(description="the feature extractor, by name")


class PrecisionRecallOptions(MeansOptions):
    neighbors: int = Field(3, ge=1, description="k of the k-nearest-neighbor radius")


class PrecisionRecall:
    higher_is_better = {"precision": True, "recall": True}

    def __init__(self, features, neighbors):
        self.features, self.neighbors = features, neighbors
        self.label = f"precision and recall ({features.protocol['extractor']})"
        self.protocol = {}

    def score(self, real, generated):
        import torch

        real, generated = (torch.cat(list(features.batches())) for features in (real, generated))
        return {"precision": self.coverage(real, generated), "recall": self.coverage(generated, real)}

    def coverage(self, manifold, points):
        """The share of points within the k-nearest-neighbor radius of any point of the manifold."""
        import torch

        radii = torch.cdist(manifold, manifold).kthvalue(self.neighbors + 1, dim=1).values
        return (torch.cdist(points, manifold) <= radii).any(1).double().mean().item()


class Means:
    higher_is_better = False

    def __init__(self, features):
        self.features = features
        self.label = f"distance of means ({features.protocol['extractor']})"
        self.protocol = {}

    def score(self, real, generated):
        one, other = (
            features.derived("mean", lambda features=features: {"mean": self.mean(features)})["mean"]
            for features in (real, generated)
        )
        return (one - other).norm().item()

    def mean(self, features):
        return sum(batch.double().sum(0) for batch in features.batches()) / len(features)


@hookimpl
def ganbench_metrics():
    return [
        MetricPlugin(
            name="precision-recall",
            summary="Improved precision and recall",
            options=PrecisionRecallOptions,
            build=lambda options, context: PrecisionRecall(options.features.build(context), options.neighbors),
        ),
        MetricPlugin(
            name="means",
            summary="Distance of mean features",
            options=MeansOptions,
            build=lambda options, context: Means(options.features.build(context)),
        ),
    ]
