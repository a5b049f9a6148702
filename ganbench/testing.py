"""Contract tests for plugins, as classes to subclass in a plugin package's own tests.

    from ganbench.testing import ModelContract
    from ganbench_tiny import ganbench_models

    class TestTiny(ModelContract):
        (plugin,) = ganbench_models()
        options = {"width": 8}

pytest then runs every test of the contract against the plugin.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import sys
import tempfile
import time
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .data.batches import to_uint8
from .plugin.callbacks import Callback, Progress
from .plugin.interfaces import (
    Batch,
    FeatureExtractor,
    FeatureMetric,
    Features,
    ImageData,
    Networks,
    NetworksMetric,
    Players,
    ReferenceImages,
)
from .plugin.jobs import Executor, Job, JobEnd
from .plugin.registrations import (
    AugmentationPlugin,
    BuildContext,
    DatasetContext,
    DatasetPlugin,
    ExecutorContext,
    ExecutorPlugin,
    FeatureExtractorPlugin,
    LossPlugin,
    MetricPlugin,
    ModelPlugin,
    OptimizerPlugin,
    PenaltyPlugin,
    SchedulePlugin,
    TrackerContext,
    TrackerPlugin,
)
from .plugin.registry import Registry
from .results.schema import EpochRow, MetricPoint
from .scoring.features import FeatureWriter, StoredFeatures
from .scoring.requirements import uses_labels
from .training.players import UpdatePlayers

BATCH = 16
SEED = 0
TOTAL_IMAGES = 1600  # length of the run in the build context


class Contract:
    """Base class: the plugin under test, its options and the dataset for which it is built."""

    plugin: ClassVar[Any]
    options: ClassVar[Mapping[str, Any]] = {}
    image_shape: ClassVar[tuple[int, ...]] = (1, 28, 28)  # or (features,) for a dataset of vectors
    num_classes: ClassVar[int] = 10

    def build(self) -> Any:
        """Build the plugin with `options`, on the CPU."""
        torch.manual_seed(SEED)
        options = self.plugin.options.model_validate(self.options, context={"registry": Registry.load()})
        return self.plugin.build(options, self.context())

    def context(self) -> Any:
        return BuildContext(
            data_shape=self.image_shape,
            num_classes=self.num_classes,
            device="cpu",
            cache_dir=self.new_folder(),
            seed=SEED,
            total_steps=TOTAL_IMAGES // BATCH,
            total_images=TOTAL_IMAGES,
        )

    def new_folder(self) -> Path:
        """Return an empty folder, which is removed together with this object."""
        folder = tempfile.mkdtemp(prefix="ganbench-contract-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Path(folder)

    def images(self, seed: int = SEED) -> Tensor:
        """Return smooth random images, float32 `(BATCH, channels, height, width)` in [-1, 1].

        For a dataset of vectors, return standard normal ones, `(BATCH, features)`.
        """
        rng = torch.Generator().manual_seed(seed)
        if len(self.image_shape) == 1:
            return torch.randn(BATCH, *self.image_shape, generator=rng)
        channels, height, width = self.image_shape
        coarse = torch.rand(BATCH, channels, 4, 4, generator=rng)
        return nn.functional.interpolate(coarse, (height, width), mode="bilinear") * 2 - 1


def assert_finite(output: Tensor) -> None:
    count = int((~output.isfinite()).sum())
    assert not count, f"expected finite values, got {count} of {output.numel()} that are NaN or infinite"


def assert_finite_scalar(value: Tensor, name: str) -> None:
    assert value.shape == (), f"expected a scalar, got shape {tuple(value.shape)} for {name}"
    assert value.isfinite(), f"expected a finite value, got {value.item()} for {name}"


def assert_gradients(value: Tensor, network: nn.Module, name: str) -> None:
    """Assert that the scalar depends on the network's parameters."""
    assert value.requires_grad, f"expected gradients, got a constant for {name}"
    gradients = torch.autograd.grad(value, list(network.parameters()), allow_unused=True)
    assert any(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients), (
        f"expected gradients with respect to the network's parameters, got none or zeros for {name}"
    )


def assert_json(protocol: Mapping[str, Any]) -> None:
    protocol = dict(protocol)
    try:
        stored = json.loads(json.dumps(protocol))
    except (TypeError, ValueError) as error:
        raise AssertionError(f"expected a protocol that JSON can represent, got {protocol}: {error}") from None
    assert stored == protocol, f"expected a protocol that JSON preserves, got {protocol}, which becomes {stored}"


class ModelContract(Contract):
    plugin: ClassVar[ModelPlugin]

    def test_generated_images_have_the_right_shape_and_range(self) -> None:
        networks: Networks = self.build()
        images = networks.generator(torch.randn(BATCH, networks.latent_dim))
        expected = (BATCH, *self.image_shape)
        assert images.shape == expected, f"expected shape {expected}, got {tuple(images.shape)}"
        if len(self.image_shape) == 3:
            least, largest = images.min().item(), images.max().item()
            assert -1 <= least <= largest <= 1, f"expected values in [-1, 1], got {least:.4g} to {largest:.4g}"

    def test_the_discriminator_returns_a_finite_output_for_each_image(self) -> None:
        networks: Networks = self.build()
        output = networks.discriminator(self.images())
        assert len(output) == BATCH, f"expected {BATCH} rows, one for each image, got {len(output)}"
        assert_finite(output)

    def test_the_same_seed_builds_the_same_networks(self) -> None:
        first, second = self.build(), self.build()
        for player in ("generator", "discriminator"):
            states = first[player].state_dict(), second[player].state_dict()
            different = [key for key in states[0] if not torch.equal(states[0][key], states[1][key])]
            assert not different, f"expected equal weights, got different ones in the {player}: {', '.join(different)}"

    def test_loading_a_state_dict_reproduces_the_generator(self) -> None:
        first: Networks = self.build()
        second: Networks = self.build()
        for parameter in second.generator.parameters():
            nn.init.zeros_(parameter)
        second.generator.load_state_dict(first.generator.state_dict())
        latent = torch.randn(BATCH, first.latent_dim)
        difference = (first.generator.eval()(latent) - second.generator.eval()(latent)).abs().max().item()
        assert difference == 0, f"expected equal images, got a difference of up to {difference:.3g}"


class LossContract(Contract):
    """Override `networks` if the loss requires particular networks."""

    plugin: ClassVar[LossPlugin]

    def networks(self) -> Networks:
        """Return a linear generator and a linear discriminator with one logit."""
        size = math.prod(self.image_shape)
        torch.manual_seed(SEED)
        return Networks(
            nn.Sequential(nn.Linear(8, size), nn.Tanh(), nn.Unflatten(1, self.image_shape)),
            nn.Sequential(nn.Flatten(), nn.Linear(size, 1)),
            latent_dim=8,
        )

    def batch(self, networks: Networks) -> Batch:
        labels = torch.arange(BATCH) % self.num_classes
        return Batch(self.images(), labels, torch.randn(BATCH, networks.latent_dim))

    def players(self, networks: Networks) -> Players:
        """Return the networks as the engine passes them to a loss."""
        return UpdatePlayers(networks, networks.generator, networks.discriminator)

    def test_each_loss_is_a_finite_scalar_with_gradients_for_its_network(self) -> None:
        networks, loss = self.networks(), self.build()
        objectives = {"discriminator": loss.discriminator_loss, "generator": loss.generator_loss}
        for player, objective in objectives.items():
            value, _ = objective(self.players(networks), self.batch(networks))
            assert_finite_scalar(value, f"{player}_loss")
            module = networks.discriminator if player == "discriminator" else networks.generator
            assert_gradients(value, module, f"{player}_loss")

    def test_monitors_are_scalars_with_unreserved_names(self) -> None:
        networks, loss = self.networks(), self.build()
        for objective in (loss.discriminator_loss, loss.generator_loss):
            _, monitors = objective(self.players(networks), self.batch(networks))
            for name, value in monitors.items():
                assert value.shape == (), f"expected scalars, got shape {tuple(value.shape)} for {name}"
            reserved = sorted(set(monitors) & set(EpochRow.model_fields))
            assert not reserved, f"expected names other than those of the history's columns, got {', '.join(reserved)}"


class DatasetContract(Contract):
    """Set `data_dir` to the folder for the dataset's files."""

    plugin: ClassVar[DatasetPlugin]
    data_dir: ClassVar[Path] = Path()

    def context(self) -> DatasetContext:
        return DatasetContext(data_dir=self.data_dir, cache_dir=self.new_folder(), seed=SEED)

    def test_splits_are_images_or_vectors_of_one_shape_with_labels_in_range(self) -> None:
        data: ImageData = self.build()
        for split in (data.train, data.test):
            if split is None:
                continue
            for index in range(0, len(split), max(1, len(split) // 100)):
                image, label = split[index]
                got = f"got {image.dtype} of shape {tuple(image.shape)} at index {index}"
                assert image.dtype == {3: torch.uint8, 1: torch.float32}.get(image.dim()), (
                    f"expected uint8 (channels, height, width) or float32 (features,), {got}"
                )
                assert tuple(image.shape) == data.data_shape, f"expected shape {data.data_shape}, {got}"
                assert 0 <= int(label) < data.num_classes, (
                    f"expected labels from 0 to {data.num_classes - 1}, got {int(label)} at index {index}"
                )

    def test_the_fingerprint_is_a_reproducible_sha256(self) -> None:
        first, second = self.build().fingerprint, self.build().fingerprint
        assert first == second, f"expected equal fingerprints of two builds, got {first} and {second}"
        assert re.fullmatch("[0-9a-f]{64}", first), f"expected 64 hexadecimal digits, got {first!r}"


class FeatureExtractorContract(Contract):
    plugin: ClassVar[FeatureExtractorPlugin]

    def test_features_do_not_depend_on_the_batch(self) -> None:
        extractor: FeatureExtractor = self.build()
        images = quantized(self.images())
        with torch.no_grad():
            together, alone = extractor(images), extractor(images[:1])
        expected = (BATCH, extractor.num_features)
        assert together.shape == expected, f"expected shape {expected}, got {tuple(together.shape)}"
        assert together.is_floating_point(), f"expected floats, got {together.dtype}"
        difference = (together[:1] - alone).abs().max().item()
        assert torch.allclose(together[:1], alone, rtol=1e-4, atol=1e-4), (
            f"expected the same features of an image in any batch, got a difference of up to {difference:.3g}"
        )

    def test_logits_are_one_finite_row_for_each_image(self) -> None:
        """Only for extractors with the optional method `logits`."""
        extractor: Any = self.build()
        if hasattr(extractor, "logits"):
            with torch.no_grad():
                logits = extractor.logits(extractor(quantized(self.images())))
            shape = tuple(logits.shape)
            assert len(shape) == 2, f"expected shape ({BATCH}, classes), got {shape}"
            assert len(logits) == BATCH, f"expected shape ({BATCH}, classes), got {shape}"
            assert_finite(logits)

    def test_it_is_frozen(self) -> None:
        extractor = self.build()
        assert isinstance(extractor, nn.Module), f"expected an nn.Module, got {type(extractor).__name__}"
        assert not extractor.training, "expected eval mode, got train mode: call .eval() in build"
        trainable = [name for name, parameter in extractor.named_parameters() if parameter.requires_grad]
        assert not trainable, f"expected no parameter that requires a gradient, got {', '.join(trainable)}"

    def test_the_protocol_names_the_extractor_and_is_json(self) -> None:
        protocol = self.build().protocol
        name = protocol.get("extractor")
        assert name == self.plugin.name, f"expected {self.plugin.name!r} under 'extractor', got {name!r}"
        assert_json(protocol)


def quantized(images: Tensor) -> Tensor:
    """Return images as extractors and metrics get them: uint8, or vectors unchanged."""
    return to_uint8(images) if images.dim() == 4 else images


class MetricContract(Contract):
    plugin: ClassVar[MetricPlugin]

    def scores(self, metric: Any, images: Tensor, batch_size: int) -> dict[str, float]:
        """Return the metric's values of images against `self.images()`, by name; a single value under ""."""
        real, generated = quantized(self.images()).split(5), quantized(images).split(batch_size)
        if isinstance(metric, FeatureMetric):
            values = metric.score(self.features(metric, real), self.features(metric, generated))
        else:
            labels = torch.arange(BATCH) % self.num_classes
            reference = ReferenceImages(lambda: iter(real), count=BATCH, fingerprint="contract", labels=labels)
            metric.fit(reference)
            for batch, batch_labels in zip(generated, labels.split(batch_size), strict=True):
                metric.update(batch, *([batch_labels] if uses_labels(metric) else []))
            values = metric.compute()
        return dict(values) if isinstance(values, Mapping) else {"": values}

    def features(self, metric: FeatureMetric, batches: Iterable[Tensor]) -> Features:
        with FeatureWriter(self.new_folder() / "features", torch.device("cpu")) as writer, torch.no_grad():
            for batch in batches:
                writer.append(metric.features(batch))
        labels = torch.arange(BATCH) % self.num_classes if uses_labels(metric) else None
        return StoredFeatures(writer.result(), labels)

    def signs(self, metric: Any) -> dict[str, int]:
        """Return, by name, 1 for values of which lower is better, else -1."""
        directions = metric.higher_is_better
        named = directions if isinstance(directions, Mapping) else {"": directions}
        return {name: -1 if higher else 1 for name, higher in named.items()}

    def test_real_images_score_better_than_other_images(self) -> None:
        """Better than at least one of negatives, blank images and noise, and never worse.

        A metric need not distinguish all three from real images: negatives may have a precision of 1. Not for metrics
        of networks.
        """
        metric, images = self.build(), self.images()
        if isinstance(metric, NetworksMetric):
            return
        noise = torch.rand(images.shape, generator=torch.Generator().manual_seed(SEED)) * 2 - 1
        others = {"negatives": -images, "blank images": -torch.ones_like(images), "noise": noise}
        real = self.scores(metric, images, 8)
        scores = {name: self.scores(metric, other, 8) for name, other in others.items()}
        signs = self.signs(metric)
        assert set(real) == set(signs), "the values must have the names in higher_is_better"
        gaps = [
            sign * (score[name] - real[name]) if math.isfinite(score[name]) else math.inf
            for score in scores.values()
            for name, sign in signs.items()
        ]
        details = f"real images score {real}, other images {scores}; higher is better: {metric.higher_is_better}"
        assert all(gap >= 0 for gap in gaps), f"real images score worse than others: {details}"
        assert any(gap > 0 for gap in gaps), f"real images score no better than others: {details}"

    def test_a_score_does_not_depend_on_batches_or_previous_scores(self) -> None:
        """Not for metrics of networks."""
        metric, images = self.build(), self.images(seed=1)
        if isinstance(metric, NetworksMetric):
            return
        first = self.scores(metric, images, 16)
        again = self.scores(metric, images, 3)
        assert all(abs(first[name] - again[name]) <= 1e-4 * max(1.0, abs(first[name])) for name in first), (
            f"expected the same score of the same images, got {first}, then in other batches {again}"
        )

    def test_it_has_a_label_and_the_protocol_is_json(self) -> None:
        metric = self.build()
        assert metric.label, f"expected a name for tables, got {metric.label!r}"
        assert_json(metric.protocol)


class PenaltyContract(Contract):
    """Override `networks` if the penalty requires particular networks."""

    plugin: ClassVar[PenaltyPlugin]

    def networks(self) -> Networks:
        """Return a linear generator and a two-layer discriminator with one logit."""
        return two_layer_networks(self.image_shape)

    def test_it_is_a_finite_scalar_with_gradients_for_the_discriminator(self) -> None:
        networks, penalty = self.networks(), self.build()
        networks.generator.requires_grad_(False)
        players = UpdatePlayers(networks, networks.generator, networks.discriminator, differentiable_images=True)
        labels = torch.arange(BATCH) % self.num_classes
        batch = Batch(self.images().requires_grad_(), labels, torch.randn(BATCH, networks.latent_dim), labels)
        players.discriminate(batch.real, labels)
        players.discriminate(players.generate(batch), labels)
        value = penalty(players, batch)
        assert_finite_scalar(value, "the penalty")
        assert_gradients(value, networks.discriminator, "the penalty")


class AugmentationContract(Contract):
    plugin: ClassVar[AugmentationPlugin]

    def test_it_preserves_shape_and_dtype(self) -> None:
        images = self.images()
        augmented = self.build()(images)
        expected, got = ((tuple(batch.shape), batch.dtype) for batch in (images, augmented))
        assert got == expected, f"expected {expected}, got {got}"
        assert_finite(augmented)

    def test_it_is_differentiable(self) -> None:
        images = self.images().requires_grad_()
        augmented = self.build()(images)
        assert augmented.requires_grad, "expected a gradient with respect to the images, got a constant"
        (gradient,) = torch.autograd.grad(augmented.square().sum(), images, create_graph=True)
        assert gradient.abs().sum() > 0, "expected a gradient with respect to the images, got zeros"

    def test_it_uses_torchs_default_rng(self) -> None:
        augment, images = self.build(), self.images()
        results = []
        for seed in (SEED, SEED):
            torch.manual_seed(seed)
            results.append(augment(images))
        assert torch.equal(*results), "expected equal images after torch.manual_seed, got different ones"


class ScheduleContract(Contract):
    plugin: ClassVar[SchedulePlugin]

    def test_its_values_are_finite_and_depend_only_on_the_number_of_images(self) -> None:
        schedule = self.build()
        images_seen = [0, 1, 63, 64, 1000, 500, TOTAL_IMAGES]
        values = [schedule(images) for images in images_seen]
        assert all(math.isfinite(value) for value in values), f"expected finite values, got {values}"
        again = [schedule(images) for images in reversed(images_seen)][::-1]
        assert again == values, f"after {images_seen} images: expected {values} again, got {again}"


class TrackerContract(Contract):
    plugin: ClassVar[TrackerPlugin]

    def context(self) -> TrackerContext:
        return TrackerContext(directory=self.new_folder())

    def test_it_accepts_every_event(self) -> None:
        tracker: Callback = self.build()
        tracker.on_status("warming up")
        tracker.on_warning("a warning")
        tracker.on_window_end(Progress(1, 10, 100, {"d_loss": 1.0, "g_loss": 1.0}, 1000.0, 5.0, images=640))
        tracker.on_epoch_end(
            EpochRow(epoch=1, d_loss=None, g_loss=1.0, images=640, seconds=1.0, images_per_second=640.0)
        )
        for value in (4.5, None):
            tracker.on_score("FID (test)", MetricPoint(epoch=1.0, images=640, value=value))
        tracker.on_best("FID (test)", MetricPoint(epoch=1.0, images=640, value=4.5))


class ExecutorContract(Contract):
    """Override `context` if the executor needs a folder that other machines share."""

    plugin: ClassVar[ExecutorPlugin]
    seconds: ClassVar[float] = 60.0  # limit for all jobs of a test

    def context(self) -> ExecutorContext:
        return ExecutorContext(directory=self.new_folder(), device="cpu")

    def job(self, code: str) -> Job:
        """Return a job that runs Python code in its own folder."""
        folder, command = self.new_folder(), (sys.executable, "-c", code)
        return Job(folder.name, folder / "run", command, command, folder / "log.txt", folder)

    def test_every_job_runs_and_a_lost_one_affects_no_other(self) -> None:
        executor: Executor = self.build()
        lost = self.job("import os; os.kill(os.getpid(), 9)")
        good = [self.job("open('done', 'w').close()") for _ in range(2)]
        for end in [future.result(self.seconds) for future in executor.submit([lost, *good])]:
            assert isinstance(end, JobEnd), f"expected a JobEnd, got {end!r}"
        unfinished = sum(not (job.working_directory / "done").exists() for job in good)
        assert not unfinished, f"expected {len(good)} finished jobs next to a killed one, got {len(good) - unfinished}"
        executor.shut_down()

    def test_shutting_down_ends_all_jobs(self) -> None:
        executor: Executor = self.build()
        job = self.job("import time; open('begun', 'w').close(); time.sleep(600); open('done', 'w').close()")
        executor.submit([job])
        deadline = time.monotonic() + self.seconds
        while not (job.working_directory / "begun").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        executor.shut_down()
        assert time.monotonic() < deadline, f"expected a job to begin and end within {self.seconds:g} s, got none"
        assert not (job.working_directory / "done").exists(), "expected a job that was ended, got a finished one"


def two_layer_networks(image_shape: tuple[int, ...]) -> Networks:
    """Return a linear generator and a smooth discriminator whose input gradient depends on the image."""
    size = math.prod(image_shape)
    torch.manual_seed(SEED)
    return Networks(
        nn.Sequential(nn.Linear(8, size), nn.Tanh(), nn.Unflatten(1, image_shape)),
        nn.Sequential(nn.Flatten(), nn.Linear(size, 16), nn.Tanh(), nn.Linear(16, 1)),
        latent_dim=8,
    )


class OptimizerContract(Contract):
    plugin: ClassVar[OptimizerPlugin]

    def descend(self, steps: int) -> float:
        """Minimize |x|^2 from (1, 1), and return the distance from the minimum."""
        point = nn.Parameter(torch.ones(2))
        optimizer = self.build()([("point", point)])
        for _ in range(steps):
            optimizer.zero_grad()
            point.square().sum().backward()
            optimizer.step()
        return point.norm().item()

    def test_it_resumes_from_its_state(self) -> None:
        """Like a resumed run. Note that torch's `load_state_dict` casts state to the dtype of the parameters."""
        uninterrupted, resumed = (nn.Parameter(torch.ones(2)) for _ in range(2))
        for point, stop in ((uninterrupted, None), (resumed, 3)):
            optimizer = self.build()([("point", point)])
            for step in range(6):
                if step == stop:
                    state, optimizer = optimizer.state_dict(), self.build()([("point", point)])
                    optimizer.load_state_dict(state)
                optimizer.zero_grad()
                point.square().sum().backward()
                optimizer.step()
        resumed_at, expected = resumed.tolist(), uninterrupted.tolist()
        assert resumed_at == expected, f"after 6 steps: expected the parameters {expected}, got {resumed_at}"

    def test_it_descends(self) -> None:
        near, far = self.descend(50), self.descend(1)
        assert near < far, f"expected to be nearer to the minimum after 50 steps than {far:.4g}, got {near:.4g}"
