"""The hooks: how a plugin package tells ganbench what it offers.

A hook takes no arguments and returns a list of registration objects. A package points the entry-point group
`ganbench` at the module that holds its hooks:

    [project.entry-points.ganbench]
    tiny = "ganbench_tiny"
"""

from __future__ import annotations

import pluggy

from .plugin import (
    Benchmark,
    DatasetPlugin,
    FeatureExtractorPlugin,
    LossPlugin,
    MetricPlugin,
    ModelPlugin,
    OptimizerPlugin,
)

PROJECT = "ganbench"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def ganbench_models() -> list[ModelPlugin]:  # type: ignore[empty-body]
    """Pairs of generator and discriminator.

    from pydantic import Field
    from ganbench import ModelPlugin, Networks, Options, hookimpl

    class TinyOptions(Options):
        width: int = Field(32, ge=4, description="channels of the first layer")

    def build(options, context):
        from .networks import Discriminator, Generator
        return Networks(
            Generator(options.width, context.image_shape), Discriminator(options.width), latent_dim=64
        )

    @hookimpl
    def ganbench_models():
        return [ModelPlugin(name="tiny", summary="A small DCGAN", options=TinyOptions, build=build)]
    """


@hookspec
def ganbench_losses() -> list[LossPlugin]:  # type: ignore[empty-body]
    """Objectives of both players. What `build` returns has the two methods of `ganbench.Loss`.

    class NonSaturating:
        def discriminator_loss(self, networks, batch):
            real = networks.discriminator(batch.real)
            fake = networks.discriminator(networks.generator(batch.latent))
            return softplus(-real).mean() + softplus(fake).mean(), {"real_score": real.sigmoid().mean()}

        def generator_loss(self, networks, batch):
            return softplus(-networks.discriminator(networks.generator(batch.latent))).mean(), {}

    @hookimpl
    def ganbench_losses():
        return [LossPlugin(name="ns", summary="Non-saturating", build=lambda options, context: NonSaturating())]
    """


@hookspec
def ganbench_datasets() -> list[DatasetPlugin]:  # type: ignore[empty-body]
    """Data sets of images and labels.

    def build(options, context):
        train, test = read(context.data_dir / "squares.npz")  # two TensorDatasets: uint8 (N, C, H, W), int64 (N,)
        return ImageData(train, test, num_classes=4, source="files", fingerprint=sha256_of_the_file)

    @hookimpl
    def ganbench_datasets():
        return [DatasetPlugin(name="squares", summary="Coloured squares", build=build)]
    """


@hookspec
def ganbench_metrics() -> list[MetricPlugin]:  # type: ignore[empty-body]
    """Scores of generated images. What `build` returns follows `ganbench.Metric`.

    class FrechetOptions(Options):
        features: FeatureExtractorChoice = Field(description="the feature extractor, by name")

    def build(options, context):
        return FrechetDistance(options.features.build(context))

    @hookimpl
    def ganbench_metrics():
        return [MetricPlugin(name="fd", summary="Fréchet distance", options=FrechetOptions, build=build)]
    """


@hookspec
def ganbench_feature_extractors() -> list[FeatureExtractorPlugin]:  # type: ignore[empty-body]
    """Frozen networks from images to features, for metrics. What `build` returns follows `ganbench.FeatureExtractor`.

    @hookimpl
    def ganbench_feature_extractors():
        return [FeatureExtractorPlugin(name="digits-cnn", summary="Features of a digit classifier", build=build)]
    """


@hookspec
def ganbench_optimizers() -> list[OptimizerPlugin]:  # type: ignore[empty-body]
    """Update rules. What `build` returns makes a `torch.optim.Optimizer` from one player's parameters.

    def build(options, context):
        from torch.optim import Adadelta
        return partial(Adadelta, lr=options.lr)

    @hookimpl
    def ganbench_optimizers():
        return [OptimizerPlugin(name="adadelta", summary="Adadelta", options=AdadeltaOptions, build=build)]
    """


@hookspec
def ganbench_benchmarks() -> list[Benchmark]:  # type: ignore[empty-body]
    """Named specs, customarily read from TOML files beside the module.

    @hookimpl
    def ganbench_benchmarks():
        return [Benchmark.from_toml(Path(__file__).with_name("tiny-fashion.toml"))]
    """
