"""A class-conditional GAN with a projection discriminator (Miyato and Koyama 2018), scored class by class.

ganbench run dcgan-fashion -p projection_gan.py -o model=projection-gan -o loss=hinge
"""

from pydantic import Field

from ganbench import (
    FeatureExtractorConfig,
    MetricPlugin,
    ModelPlugin,
    Networks,
    Options,
    hookimpl,
)


class ModelOptions(Options):
    width: int = Field(64, ge=1, description="units of each hidden layer")
    latent_dim: int = Field(32, ge=1, description="size of the generator's input")


def build_model(options, context):
    import torch
    from torch import nn

    size = context.image_shape[0] * context.image_shape[1] * context.image_shape[2]

    class Generator(nn.Module):
        def __init__(self):
            super().__init__()
            self.classes = nn.Embedding(context.num_classes, options.latent_dim)
            self.layers = nn.Sequential(
                nn.Linear(2 * options.latent_dim, options.width),
                nn.BatchNorm1d(options.width),
                nn.ReLU(),
                nn.Linear(options.width, size),
                nn.Tanh(),
                nn.Unflatten(1, context.image_shape),
            )

        def forward(self, latent, labels):
            return self.layers(torch.cat([latent, self.classes(labels)], 1))

    class Discriminator(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Sequential(nn.Flatten(), nn.Linear(size, options.width), nn.LeakyReLU(0.2))
            self.output = nn.Linear(options.width, 1)
            self.classes = nn.Embedding(context.num_classes, options.width)

        def forward(self, images, labels):
            features = self.features(images)
            return self.output(features) + (self.classes(labels) * features).sum(1, keepdim=True)

    return Networks(Generator(), Discriminator(), options.latent_dim, conditional=True)


class MetricOptions(Options):
    features: FeatureExtractorConfig = Field(description="the feature extractor, by name")


class ClassDistances:
    """For each class, the distance between the mean features of real and generated images."""

    uses_labels = True

    def __init__(self, features, num_classes):
        self.features, self.num_classes = features, num_classes
        self.label = f"distance of class means ({features.protocol['extractor']})"
        self.higher_is_better = {f"class-{number}": False for number in range(num_classes)}
        self.protocol = {}

    def score(self, real, generated):
        distances = (self.means(real) - self.means(generated)).norm(dim=1)
        return dict(zip(self.higher_is_better, distances.tolist(), strict=True))

    def means(self, features):
        sums, start = 0, 0
        for batch in features.batches():
            labels = features.labels[start : start + len(batch)].to(batch.device)
            one_hot = labels[:, None].eq(labels.new_tensor(range(self.num_classes))).to(batch.dtype)
            sums, start = sums + one_hot.T @ batch, start + len(batch)
        return sums / features.labels.bincount(minlength=self.num_classes).clamp(min=1)[:, None].to(sums.device)


def build_metric(options, context):
    return ClassDistances(options.features.build(context), context.num_classes)


@hookimpl
def ganbench_models():
    summary = "Conditional, with a projection discriminator"
    return [ModelPlugin(name="projection-gan", summary=summary, options=ModelOptions, build=build_model)]


@hookimpl
def ganbench_metrics():
    summary = "Distances of mean features, class by class"
    return [MetricPlugin(name="class-distances", summary=summary, options=MetricOptions, build=build_metric)]
