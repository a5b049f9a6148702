"""Sampling leaves no trace in the training; scores are computed on shared images and carry their whole protocol."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import PLUGIN_NAMES
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from ganbench import (
    BuildContext,
    ImageData,
    MetricPlugin,
    Networks,
    Options,
    PluginError,
    ReferenceImages,
    ScoreWarning,
)
from ganbench.data.batches import normalize_images, to_uint8
from ganbench.plugin.registrations import Kind
from ganbench.plugin.registry import Provider, Registered, Registry
from ganbench.results.schema import DataRecord
from ganbench.runtime.rng import make_rng
from ganbench.scoring.evaluation import Evaluator
from ganbench.scoring.identity import state_hash
from ganbench.scoring.preparation import prepare_metrics
from ganbench.scoring.real_data import RealData
from ganbench.scoring.sampling import Sampler, Source, evaluation_context, generator_mode
from ganbench.scoring.scored_metric import ScoredMetric
from ganbench.spec.benchmark import BenchmarkSpec
from ganbench.spec.configs import GeneratorMode
from ganbench.spec.loading import load_spec, resolve
from ganbench.training.length import Events, Length
from ganbench_datasets.fashion_mnist.sources import embedded_subset
from ganbench_features.fashion_cnn import WEIGHTS_SHA256
from ganbench_losses.bce import BinaryCrossEntropy

CPU = torch.device("cpu")
BATCH = 16  # of the training
SCORING_BATCH = 250
PROVIDER = Provider("ganbench-test", None, "test", __name__)
RECORD = DataRecord(
    source="embedded",
    fingerprint="a part of the subset",
    content_sha256="0123456789abcdef",
    content_basis="all images",
    train_images=300,
    test_images=200,
    notice=None,
)


class BrightnessOptions(Options):
    higher_is_better: bool = False


class Brightness:
    """A metric of one line: the mean grey level. Notes how many images it was given."""

    label = "brightness"
    protocol = {"implementation": "a test's"}

    def __init__(self, options: BrightnessOptions, context: BuildContext) -> None:
        self.higher_is_better = options.higher_is_better
        self.seen = 0
        self.levels: list[Tensor] = []

    def fit(self, reference: ReferenceImages) -> None:
        assert sum(len(images) for images in reference.batches()) == reference.count

    def update(self, images: Tensor) -> None:
        assert images.dtype == torch.uint8
        self.seen += len(images)
        self.levels.append(images.double().mean((1, 2, 3)))

    def compute(self) -> float:
        value = torch.cat(self.levels).mean().item()
        self.levels.clear()
        return value


@pytest.fixture(scope="module")
def data() -> ImageData:
    """300 train and 200 test images."""
    subset = embedded_subset()
    train, test = (
        TensorDataset(*(tensor[:count] for tensor in split.tensors))
        for split, count in ((subset.train, 300), (subset.test, 200))
    )
    return ImageData(train, test, num_classes=10, source="embedded", fingerprint="a part of the subset")


@pytest.fixture
def context(tmp_path: Path) -> BuildContext:
    return BuildContext(data_shape=(1, 28, 28), num_classes=10, device="cpu", cache_dir=tmp_path, seed=7)


@pytest.fixture
def networks(registry: Registry, context: BuildContext) -> Networks:
    torch.manual_seed(0)
    model = registry.find(Kind.MODEL, "dcgan")
    return model.build(model.plugin.options(width=8), context)


@pytest.fixture
def batches(networks: Networks) -> Iterator[list[int]]:
    """The sizes of the batches that go through the generator, as they come."""
    sizes: list[int] = []
    with networks.generator.register_forward_hook(lambda _module, _latents, images: sizes.append(len(images))):
        yield sizes


def sampler_of(networks: Networks, warnings: list[str] | None = None) -> Sampler:
    """A sampler of FashionMNIST's shape, which adds to the warnings."""
    return Sampler(networks, PLUGIN_NAMES, (1, 28, 28), CPU, ([] if warnings is None else warnings).append)


EvaluatorOf = Callable[..., Evaluator]


def with_plugin(registry: Registry, plugin: MetricPlugin) -> Registry:
    """The shipped plugins and one more."""
    own = Registry()
    for registered in registry.all_plugins():
        own.add(registered)
    own.add(Registered(plugin, PROVIDER))
    return own


def spec_with(registry: Registry, *metrics: dict[str, Any]) -> BenchmarkSpec:
    """The homework's benchmark in small batches with these metrics, each of 20 images where nothing else is said."""
    homework = load_spec("dcgan-fashion", registry, ["metrics=[]", f"training.batch_size={BATCH}"])
    given = [{"num_samples": 20, **metric} for metric in metrics]
    return resolve({**homework.to_dict(), "metrics": given}, registry, origin="a test's")


def evaluator_for(
    spec: BenchmarkSpec, data: ImageData, context: BuildContext, networks: Networks, loss: Any = None
) -> Evaluator:
    loss = loss or BinaryCrossEntropy()
    real_data = RealData(data, RECORD, context, SCORING_BATCH)
    return Evaluator(
        prepare_metrics(spec, real_data, loss, networks.conditional, lambda _: None),
        real_data,
        loss,
        sampler_of(networks),
        seed=context.seed,
        images_per_epoch=len(data.train),
        training_batch_size=BATCH,
        batch_size=SCORING_BATCH,
    )


def brightness_spec(registry: Registry, *choices: dict[str, Any]) -> BenchmarkSpec:
    plugin = MetricPlugin(name="brightness", summary="A test's", options=BrightnessOptions, build=Brightness)
    named = [{"name": "brightness", "id": f"brightness-{number}", **each} for number, each in enumerate(choices)]
    return spec_with(with_plugin(registry, plugin), *named)


@pytest.fixture
def evaluator_of(registry: Registry, data: ImageData, context: BuildContext, networks: Networks) -> EvaluatorOf:
    """Evaluators of brightness of 20 images: `evaluator_of()`; of two: `evaluator_of({}, {"num_samples": 30})`."""

    def make(*choices: dict[str, Any]) -> Evaluator:
        return evaluator_for(brightness_spec(registry, *(choices or ({},))), data, context, networks)

    return make


def snapshot(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def assert_unchanged(module: nn.Module, before: dict[str, Tensor]) -> None:
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def shine(networks: Networks, level: float) -> None:
    """Let the generator make images of one grey level, from -1 (black) to 1 (white)."""
    last = networks.generator.layers[-2]
    nn.init.zeros_(last.weight)
    nn.init.constant_(last.bias, math.atanh(level))


@pytest.mark.parametrize("was_training", [False, True])
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_sampling_leaves_no_trace(mode: GeneratorMode, was_training: bool, networks: Networks) -> None:
    generator = networks.generator.train(was_training)
    before, random_state = snapshot(generator), torch.get_rng_state()
    with evaluation_context(0, CPU), generator_mode(networks.generator, mode):
        images = generator(torch.randn(BATCH, networks.latent_dim))
        assert not images.requires_grad
        assert generator.training == (mode == "train")
        assert torch.equal(generator.layers[1].running_mean, before["layers.1.running_mean"]) == (mode == "eval")
    assert generator.training == was_training
    assert torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), random_state)
    assert_unchanged(generator, before)


def generated(networks: Networks, mode: GeneratorMode, count: int, seed: int) -> Tensor:
    batches = sampler_of(networks).generate(Source("raw", mode), count, BATCH, make_rng(seed, "test"))
    return torch.cat([images for images, _ in batches])


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("count", [1, 16, 40])
def test_it_generates_exactly_as_many_images_as_asked_for_each_from_a_full_batch(
    count: int, mode: GeneratorMode, networks: Networks, batches: list[int]
) -> None:
    images = generated(networks, mode, count, seed=0)
    assert images.shape == (count, 1, 28, 28)
    assert images.dtype == torch.uint8
    assert batches == [BATCH] * math.ceil(count / BATCH)


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_equal_seeds_make_equal_images_and_other_seeds_others(mode: GeneratorMode, networks: Networks) -> None:
    def images(seed: int, count: int = 40) -> Tensor:
        return generated(networks, mode, count, seed)

    assert torch.equal(images(0), images(0))
    assert torch.equal(images(0)[:20], images(0, count=20))
    assert not torch.equal(images(0), images(1))


def test_every_grey_level_survives_the_way_to_the_unit_range_and_back() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    unit_range = normalize_images(levels)
    assert unit_range.dtype == torch.float32
    assert (unit_range.min(), unit_range.max()) == (-1, 1)
    assert torch.equal(to_uint8(unit_range), levels)


def test_values_beyond_the_unit_range_become_black_and_white() -> None:
    assert to_uint8(torch.tensor([-torch.inf, -1.5, -1, 1, 1.5, torch.inf])).tolist() == [0, 0, 0, 255, 255, 255]


@pytest.mark.parametrize(("split", "other"), [("test", "train"), ("train", "test")])
def test_the_score_of_real_data_is_that_of_the_other_split(
    split: str, other: str, data: ImageData, networks: Networks, evaluator_of: EvaluatorOf
) -> None:
    evaluator = evaluator_of({"split": split, "num_samples": 400})
    evaluator.evaluate(networks, 0)
    (result,) = evaluator.results(0)
    images = getattr(data, other).tensors[0]
    assert result.real_data_score == pytest.approx(images.double().mean().item())
    assert result.real_data_samples == len(images)  # as many as there are


def test_the_score_of_real_data_is_computed_once_for_each_protocol(evaluator_of: EvaluatorOf) -> None:
    (first,), (second,), (other,) = (evaluator_of({"num_samples": samples}).metrics for samples in (20, 20, 30))
    assert real_data_score(first) == real_data_score(second)
    assert [scored.metric.seen for scored in (first, second, other)] == [20, 0, 30]


def real_data_score(scored: ScoredMetric) -> float | None:
    """Of a metric with one value."""
    (score,) = scored.prepared.real_data_scores.values()
    return score


class Touching:
    """A metric of the networks that runs them as training does."""

    label = "loss on other noise"
    higher_is_better = False
    protocol = {"implementation": "a test's"}

    def measure(self, networks: Networks, loss: Any) -> float:
        networks.discriminator.eval()
        loss.seen += 1
        return networks.generator(torch.randn(8, networks.latent_dim)).mean().item()


class Counting(BinaryCrossEntropy):
    seen = 3

    def state_dict(self) -> dict[str, int]:
        return {"seen": self.seen}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.seen = state["seen"]


def test_a_metric_of_the_networks_leaves_them_and_the_loss_as_they_were(
    registry: Registry, data: ImageData, networks: Networks, context: BuildContext
) -> None:
    plugin = MetricPlugin(name="touching", summary="A test's", build=lambda _, __: Touching())
    loss = Counting()
    spec = spec_with(with_plugin(registry, plugin), {"name": "touching"})
    evaluator = evaluator_for(spec, data, context, networks, loss)
    before = [copy.deepcopy(networks[player].state_dict()) for player in ("generator", "discriminator")]
    random = torch.get_rng_state()
    ((label, point),) = evaluator.evaluate(networks, 0)
    assert label == "loss on other noise"
    assert math.isfinite(point.value)
    after = [networks[player].state_dict() for player in ("generator", "discriminator")]
    torch.testing.assert_close(after, before, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), random)
    assert networks.discriminator.training
    assert loss.seen == 3
    (result,) = evaluator.results(0)
    assert result.real_data_score is None
    assert result.protocol["loss"] == "bce@ganbench"
    assert result.protocol["data"] == RECORD.content_sha256
    assert "generated_samples" not in result.protocol
    assert "loss bce" in result.software


@pytest.mark.parametrize("damage", [lambda _: b"", lambda whole: whole[:-1] + b"7"], ids=["empty", "digit"])
def test_an_altered_cached_score_of_real_data_is_computed_anew(
    damage: Callable[[bytes], bytes], evaluator_of: EvaluatorOf, tmp_path: Path
) -> None:
    score = real_data_score(evaluator_of().metrics[0])
    (cached,) = (tmp_path / "real-data-scores").iterdir()
    cached.write_bytes(damage(cached.read_bytes()))
    again, from_new_file = evaluator_of().metrics[0], evaluator_of().metrics[0]
    assert score == real_data_score(again) == real_data_score(from_new_file)
    assert (again.metric.seen, from_new_file.metric.seen) == (20, 0)


def test_metrics_that_want_the_same_images_share_them(
    networks: Networks, batches: list[int], evaluator_of: EvaluatorOf
) -> None:
    wanted = {"num_samples": 40, "generator_mode": "train"}
    first, second = evaluator_of(wanted, {**wanted, "higher_is_better": True}).evaluate(networks, 0)
    assert batches == [BATCH] * 3
    assert first[1] == second[1]


def test_metrics_that_want_other_images_get_their_own(
    networks: Networks, batches: list[int], evaluator_of: EvaluatorOf
) -> None:
    wanted = {"num_samples": 40, "generator_mode": "train"}
    evaluator = evaluator_of(wanted, {**wanted, "num_samples": 20}, {**wanted, "generator_mode": "eval"})
    evaluator.evaluate(networks, 0)
    assert batches == [BATCH] * 3 + [BATCH] * 2 + [SCORING_BATCH]


def test_metrics_are_scored_when_they_are_due_and_once_at_the_end(
    registry: Registry, data: ImageData, context: BuildContext, networks: Networks
) -> None:
    spec = brightness_spec(registry, {"at_epochs": [0, 2]}, {"at_epochs": [5]})
    evaluator, length = evaluator_for(spec, data, context, networks), Length.of(spec.training, len(data.train))
    due = [Events(spec, length).scores(length.steps_per_epoch * epoch) for epoch in range(4)]
    assert due == [["brightness-0"], [], ["brightness-0"], []]
    for epoch in range(3):
        evaluator.evaluate(networks, 300 * epoch, due[epoch])
    assert len(evaluator.results(600)) == 1  # the other has no value yet
    evaluator.evaluate(networks, 600)
    curves = [[(point.epoch, point.images) for point in result.curve] for result in evaluator.results(600)]
    assert curves == [[(0, 0), (2, 600)], [(2, 600)]]


@pytest.mark.parametrize(("higher_is_better", "best_epoch"), [(False, 1), (True, 2)])
def test_a_result_has_the_whole_curve_the_best_and_the_last_value(
    higher_is_better: bool, best_epoch: int, networks: Networks, evaluator_of: EvaluatorOf
) -> None:
    evaluator = evaluator_of({"higher_is_better": higher_is_better})
    for epoch, level in enumerate((0.0, -0.6, 0.8, 0.2)):
        shine(networks, level)
        evaluator.evaluate(networks, 300 * epoch)
    (result,) = evaluator.results(900)
    assert [point.value for point in result.curve] == [128, 51, 230, 153]  # rounded grey levels
    assert result.value == 153
    assert result.best == result.curve[best_epoch]


def test_a_run_that_ended_after_its_last_score_has_no_value_at_the_end(
    networks: Networks, evaluator_of: EvaluatorOf
) -> None:
    evaluator = evaluator_of()
    evaluator.evaluate(networks, 0)
    (result,) = evaluator.results(300)
    assert result.value is None
    assert result.best == result.curve[0]


def test_a_score_that_is_not_finite_is_none_and_never_the_best(
    networks: Networks, evaluator_of: EvaluatorOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluator = evaluator_of()
    evaluator.evaluate(networks, 0)
    monkeypatch.setattr(Brightness, "compute", lambda _: math.nan)
    evaluator.evaluate(networks, 300)
    (result,) = evaluator.results(300)
    assert [point.value is None for point in result.curve] == [False, True]
    assert result.best == result.curve[0]
    assert type(result).model_validate_json(result.model_dump_json()) == result


def test_what_a_metric_draws_and_computes_is_kept_from_the_training(
    networks: Networks, evaluator_of: EvaluatorOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = []

    def compute(_: Brightness) -> float:
        assert not torch.is_grad_enabled()
        draws.append(torch.rand(()).item())
        return draws[-1]

    monkeypatch.setattr(Brightness, "compute", compute)
    evaluator = evaluator_of()
    before = torch.get_rng_state()
    for epoch in (0, 1):
        evaluator.evaluate(networks, 300 * epoch)
    assert torch.equal(torch.get_rng_state(), before)
    assert draws[-1] == draws[-2]  # the same whenever it is scored


def test_a_warning_about_a_score_is_reported_once_and_stored(
    networks: Networks, evaluator_of: EvaluatorOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compute(_: Brightness) -> float:
        warnings.warn(ScoreWarning("too dark to compare"), stacklevel=1)
        return 1.0

    monkeypatch.setattr(Brightness, "compute", compute)
    evaluator, reported = evaluator_of(), []
    evaluator.warn = reported.append
    (scored,) = evaluator.metrics
    scored.prepared.warnings.clear()  # the real images' score has warned already
    for epoch in (0, 1):
        evaluator.evaluate(networks, 300 * epoch)
    assert reported == ["brightness: too dark to compare"]
    assert evaluator.results(300)[0].warnings == ["too dark to compare"]
    monkeypatch.undo()
    resumed = evaluator_of()
    resumed.resume_from(evaluator.curves(), evaluator.warnings())
    assert resumed.results(300)[0].warnings == ["too dark to compare"]


def test_a_warning_about_real_images_is_kept_with_their_cached_score(
    evaluator_of: EvaluatorOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compute(_: Brightness) -> float:
        warnings.warn(ScoreWarning("too dark to compare"), stacklevel=1)
        return 1.0

    monkeypatch.setattr(Brightness, "compute", compute)
    computed, cached = (evaluator_of().metrics[0].prepared for _ in range(2))
    assert computed.warnings == cached.warnings == ["too dark to compare"]
    assert (computed.metric.seen, cached.metric.seen) == (20, 0)


@pytest.mark.parametrize(("mode", "batch_norm"), [("eval", "running statistics"), ("train", f"batches of {BATCH}")])
def test_a_protocol_is_complete(
    mode: GeneratorMode,
    batch_norm: str,
    registry: Registry,
    data: ImageData,
    context: BuildContext,
    networks: Networks,
) -> None:
    choice = {"name": "fid", "features": "fashion-cnn", "num_samples": 150, "split": "train", "generator_mode": mode}
    (metric,) = prepare_metrics(
        spec_with(registry, choice),
        RealData(data, RECORD, context, SCORING_BATCH),
        BinaryCrossEntropy(),
        networks.conditional,
        lambda _: None,
    )
    network = registry.find(Kind.FEATURE_EXTRACTOR, "fashion-cnn").build(Options(), context)
    assert metric.protocol == {
        "metric": "fid@ganbench",
        "metric.features": "fashion-cnn@ganbench",
        "metric.features.state": state_hash(network),
        "statistics": "float64",
        "extractor": "fashion-cnn",
        "weights_sha256": WEIGHTS_SHA256,
        "resize": "none",
        "data": RECORD.content_sha256,
        "split": "train",
        "real_samples": 300,
        "generated_samples": 150,
        "quantization": "uint8, rounded",
        "weights": "raw",
        "batch_norm": batch_norm,
    }
    assert metric.software["torch"] == torch.__version__.partition("+")[0]
    assert metric.software["torchmetrics"]
    for name in ("ganbench", "metric fid", "feature-extractor fashion-cnn"):
        assert "source" in metric.software[name]


def unfinished(*_: object) -> None:
    raise NotImplementedError("to do")


@pytest.mark.parametrize("method", ["fit", "update", "compute"])
def test_an_unfinished_metric_is_named(method: str, evaluator_of: EvaluatorOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Brightness, method, unfinished)
    with pytest.raises(PluginError, match=f"metric 'brightness' .* raised in {method}: NotImplementedError: to do"):
        evaluator_of()


@pytest.mark.parametrize("method", ["update", "compute"])
def test_a_metric_that_fails_amid_training_is_named_and_leaves_the_generator_as_it_was(
    method: str, networks: Networks, evaluator_of: EvaluatorOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluator = evaluator_of({"generator_mode": "train"})
    before = snapshot(networks.generator)
    monkeypatch.setattr(Brightness, method, unfinished)
    with pytest.raises(PluginError, match=f"metric 'brightness' .* raised in {method}: NotImplementedError: to do"):
        evaluator.evaluate(networks, 0)
    assert torch.is_grad_enabled()
    assert_unchanged(networks.generator, before)
