"""Hook specifications: a plugin package implements these hooks to register its plugins.

A hook takes no arguments and returns a list of registration objects. A package declares the module that contains its
hooks in the entry-point group `ganbench`:

    [project.entry-points.ganbench]
    tiny = "ganbench_tiny"
"""

from __future__ import annotations

import pluggy

from .registrations import (
    AugmentationPlugin,
    Benchmark,
    DatasetPlugin,
    ExecutorPlugin,
    FeatureExtractorPlugin,
    LossPlugin,
    MetricPlugin,
    ModelPlugin,
    OptimizerPlugin,
    PenaltyPlugin,
    SchedulePlugin,
    TrackerPlugin,
)

PROJECT = "ganbench"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def ganbench_models() -> list[ModelPlugin]:  # type: ignore[empty-body]
    """Models: pairs of a generator and a discriminator.

    from pydantic import Field
    from ganbench import ModelPlugin, Networks, Options, hookimpl

    class LinearOptions(Options):
        latent_dim: int = Field(16, ge=1, description="dimension of the latent vectors")

    def build(options, context):
        from math import prod
        from torch import nn
        size = prod(context.image_shape)
        generator = nn.Sequential(
            nn.Linear(options.latent_dim, size), nn.Tanh(), nn.Unflatten(1, context.image_shape)
        )
        discriminator = nn.Sequential(nn.Flatten(), nn.Linear(size, 1))
        return Networks(generator, discriminator, options.latent_dim)

    @hookimpl
    def ganbench_models():
        return [ModelPlugin(name="linear", summary="One linear layer each", options=LinearOptions, build=build)]
    """


@hookspec
def ganbench_losses() -> list[LossPlugin]:  # type: ignore[empty-body]
    """Losses: the objectives of both networks.

    from ganbench import LossPlugin, hookimpl

    class LeastSquares:  # Mao et al. 2016, arXiv:1611.04076
        output_is_logit = False  # the threshold of the output is 1/2

        def discriminator_loss(self, players, batch):
            real = players.discriminate(batch.real, batch.labels)
            fake = players.discriminate(players.generate(batch), batch.fake_labels)
            loss = (real.float() - 1).square().mean() + fake.float().square().mean()
            return loss, {"real_output": real.mean()}

        def generator_loss(self, players, batch):
            fake = players.discriminate(players.generate(batch), batch.fake_labels)
            return (fake.float() - 1).square().mean(), {}

    @hookimpl
    def ganbench_losses():
        return [LossPlugin(name="squares", summary="Least squares", build=lambda options, context: LeastSquares())]
    """


@hookspec
def ganbench_datasets() -> list[DatasetPlugin]:  # type: ignore[empty-body]
    """Datasets of images and labels.

    import hashlib
    from ganbench import DatasetPlugin, ImageData, hookimpl

    def build(options, context):
        import torch
        from torch.utils.data import TensorDataset
        levels = torch.arange(256, dtype=torch.uint8)
        images = levels.view(-1, 1, 1, 1).expand(-1, 1, 28, 28).contiguous()
        train, test = (TensorDataset(part, torch.zeros(128, dtype=torch.int64)) for part in (images[::2], images[1::2]))
        fingerprint = hashlib.sha256(images.numpy().tobytes()).hexdigest()
        return ImageData(train, test, num_classes=1, source="computed", fingerprint=fingerprint)

    @hookimpl
    def ganbench_datasets():
        return [DatasetPlugin(name="grays", summary="One image of each gray level", build=build)]
    """


@hookspec
def ganbench_metrics() -> list[MetricPlugin]:  # type: ignore[empty-body]
    """Metrics: scores of generated images, or of the networks themselves (see `NetworksMetric`).

    from pydantic import Field
    from ganbench import FeatureExtractorConfig, MetricPlugin, Options, hookimpl

    class MeanDistanceOptions(Options):
        features: FeatureExtractorConfig = Field(description="the feature extractor, by name")

    class MeanDistance:
        higher_is_better = False
        protocol = {}

        def __init__(self, extractor):
            self.features = extractor
            self.label = f"mean distance ({extractor.protocol['extractor']})"

        def mean(self, features):
            return sum(batch.sum(0) for batch in features.batches()) / len(features)

        def score(self, real, generated):
            return (self.mean(generated) - self.mean(real)).norm().item()

    def build(options, context):
        return MeanDistance(options.features.build(context))

    @hookimpl
    def ganbench_metrics():
        return [
            MetricPlugin(name="mean", summary="Distance between means", options=MeanDistanceOptions, build=build)
        ]
    """


@hookspec
def ganbench_feature_extractors() -> list[FeatureExtractorPlugin]:  # type: ignore[empty-body]
    """Feature extractors: frozen networks that map images to features, for metrics.

    from ganbench import FeatureExtractorPlugin, hookimpl

    def build(options, context):
        import torch

        class Thumbnail(torch.nn.Module):
            num_features = 16
            protocol = {"extractor": "thumbnail", "resize": "4x4, average pooling"}

            def forward(self, images):
                return torch.nn.functional.adaptive_avg_pool2d(images.float().mean(1), 4).flatten(1)

        return Thumbnail().eval()

    @hookimpl
    def ganbench_feature_extractors():
        return [FeatureExtractorPlugin(name="thumbnail", summary="The image, downsampled to 4x4", build=build)]
    """


@hookspec
def ganbench_optimizers() -> list[OptimizerPlugin]:  # type: ignore[empty-body]
    """Optimizers; `build` returns a function from a network's named parameters to a `torch.optim.Optimizer`.

    from functools import partial
    from pydantic import Field
    from ganbench import OptimizerPlugin, Options, hookimpl

    class AdadeltaOptions(Options):
        lr: float = Field(1.0, gt=0, description="learning rate")

    def build(options, context):
        from torch.optim import Adadelta
        return partial(Adadelta, lr=options.lr)

    @hookimpl
    def ganbench_optimizers():
        return [OptimizerPlugin(name="adadelta", summary="Zeiler 2012", options=AdadeltaOptions, build=build)]
    """


@hookspec
def ganbench_penalties() -> list[PenaltyPlugin]:  # type: ignore[empty-body]
    """Penalties: terms of a network's loss (by default the discriminator's), with spec keys `weight` and `every`.

    from ganbench import PenaltyPlugin, hookimpl

    def r1(players, batch):  # Mescheder et al. 2018, arXiv:1801.04406, eq. 9
        gradient = players.input_gradient(batch.real, batch.labels)
        return gradient.square().flatten(1).sum(1).mean() / 2

    @hookimpl
    def ganbench_penalties():
        return [PenaltyPlugin(name="my-r1", summary="Squared gradient", build=lambda options, context: r1)]
    """


@hookspec
def ganbench_augmentations() -> list[AugmentationPlugin]:  # type: ignore[empty-body]
    """Augmentations: random transformations of all images that the discriminator sees.

    from ganbench import AugmentationPlugin, hookimpl

    def mirror(images):
        import torch
        mirrored = torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5
        return torch.where(mirrored, images.flip(-1), images)

    @hookimpl
    def ganbench_augmentations():
        return [AugmentationPlugin(name="mirror", summary="Horizontal flip", build=lambda options, context: mirror)]
    """


@hookspec
def ganbench_schedules() -> list[SchedulePlugin]:  # type: ignore[empty-body]
    """Schedules: values that depend on the number of real images seen in training.

    from pydantic import Field
    from ganbench import Options, SchedulePlugin, hookimpl

    class HalvingOptions(Options):
        start: float = Field(description="initial value")
        kimg: float = Field(100, gt=0, description="half-life, in thousands of images")

    def build(options, context):
        return lambda images: options.start * 0.5 ** (images / (1000 * options.kimg))

    @hookimpl
    def ganbench_schedules():
        return [SchedulePlugin(name="halving", summary="Exponential decay", options=HalvingOptions, build=build)]
    """


@hookspec
def ganbench_trackers() -> list[TrackerPlugin]:  # type: ignore[empty-body]
    """Trackers: callbacks that log a run, selected with `--track` or in the user's configuration.

    from ganbench import Callback, TrackerPlugin, hookimpl

    class Lines(Callback):
        def __init__(self, directory):
            self.file = directory / "lines.txt"

        def on_epoch_end(self, row):
            with self.file.open("a") as file:
                print(row.epoch, row.d_loss, row.g_loss, file=file)

    def build(options, context):
        return Lines(context.directory)

    @hookimpl
    def ganbench_trackers():
        return [TrackerPlugin(name="lines", summary="One line per epoch", build=build)]
    """


@hookspec
def ganbench_executors() -> list[ExecutorPlugin]:  # type: ignore[empty-body]
    """Executors: they run the jobs of a suite, selected with `ganbench suite --executor`.

    from concurrent.futures import ThreadPoolExecutor
    from ganbench import ExecutorPlugin, JobEnd, JobProcess, hookimpl

    class OneByOne:
        def __init__(self):
            self.pool, self.processes = ThreadPoolExecutor(1), []

        def submit(self, jobs):
            return [self.pool.submit(self.run, job) for job in jobs]

        def run(self, job):
            self.processes.append(JobProcess(job))
            return JobEnd(self.processes[-1].run())

        def shut_down(self):
            for process in self.processes:
                process.stop()
            self.pool.shutdown(cancel_futures=True)

    def build(options, context):
        return OneByOne()

    @hookimpl
    def ganbench_executors():
        return [ExecutorPlugin(name="one-by-one", summary="One job at a time, on this machine", build=build)]
    """


@hookspec
def ganbench_benchmarks() -> list[Benchmark]:  # type: ignore[empty-body]
    """Benchmarks: named specs. `Benchmark.from_toml(Path(__file__).with_name("mine.toml"))` reads one from a file.

    from ganbench import Benchmark, hookimpl

    SPEC = {
        "name": "quick-fashion",
        "summary": "100 steps on the embedded subset",
        "model": {"name": "dcgan", "width": 8},
        "loss": "bce",
        "dataset": {"name": "fashion-mnist", "source": "embedded"},
        "optimizer": {"generator": "adam", "discriminator": "adam"},
        "training": {"steps": 100},
    }

    @hookimpl
    def ganbench_benchmarks():
        return [Benchmark(name=SPEC["name"], summary=SPEC["summary"], spec=SPEC)]
    """
