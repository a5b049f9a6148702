"""Errors name a plugin that breaks its contract, with what it returned and what was expected."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import torch
from conftest import PLUGIN_NAMES
from linear_gan import OVERRIDES, own_run, plugin
from run_spec import run
from short_epochs import SMALL_FASHION, with_small_fashion
from test_python_state import LABELS, REAL, Least, descend, step_of, take
from torch import Tensor, nn
from torch.utils.data import ConcatDataset, Dataset, Subset, TensorDataset

from ganbench import ImageData, Networks, Players, PluginError, UsageError
from ganbench.data.batches import make_batches
from ganbench.data.contract import changes_between_reads, check_data
from ganbench.plugin.callbacks import Callback
from ganbench.plugin.interfaces import PLAYERS
from ganbench.plugin.registry import Registry
from ganbench.results.schema import MetricPoint
from ganbench.runtime.networks import set_train_mode
from ganbench.runtime.rng import make_rng
from ganbench.scoring.sampling import NotFiniteError, Sampler, Source
from ganbench.spec.loading import load_spec
from ganbench.system.torch_defaults import preserve_torch_defaults
from ganbench.training.state.measuring import untouched
from ganbench.training.step import TrainingStep

CPU = torch.device("cpu")
IMAGES, CLASSES = torch.zeros(20, 1, 4, 4, dtype=torch.uint8), torch.zeros(20, dtype=torch.int64)
SOUND = TensorDataset(IMAGES, CLASSES)


class Items(Dataset):
    """20 items, one of which differs."""

    def __init__(self, odd: Any = None, index: int = 7, length: int = 20) -> None:
        self.odd, self.index, self.length = odd, index, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Any:
        if index >= 20:
            raise IndexError(index)
        return self.odd if index == self.index and self.odd is not None else (IMAGES[index], 0)


def data_of(train: Any, test: Any = SOUND, num_classes: Any = 10) -> ImageData:
    return ImageData(train, test, num_classes=num_classes, source="own", fingerprint="0")


class White(TensorDataset):
    def __getitem__(self, index: Any) -> Any:
        return torch.full((1, 4, 4), 255, dtype=torch.uint8), 0


WHITE = White(IMAGES, CLASSES)


@pytest.mark.parametrize("split", [WHITE, Subset(WHITE, [0]), ConcatDataset([WHITE])])
def test_items_are_trained_on_as_the_dataset_returns_them(split: Any) -> None:
    data = check_data(data_of(split), "dataset 'own'")
    batches = make_batches(data.train, 1, CPU, make_rng(0, "order"))
    assert batches.placement == "streamed"
    real, _ = batches.load(*next(batches.epoch()))
    assert real.min() == 1


IMAGE = IMAGES[0]
BROKEN_ITEMS = {
    "dictionary": ({"image": IMAGE, "label": 0}, "item 7 of the train split is a dict with the keys 'image', 'label'"),
    "unlabelled": (IMAGE, "item 7 of the train split is a tensor, uint8"),
    "array": ((IMAGE.numpy(), 0), "the image is a numpy.ndarray"),
    "floats": ((IMAGE.float(), 0), "the image is a tensor, float32 of shape"),
    "two channels": (
        (IMAGE.expand(2, -1, -1), 0),
        r"image has shape \(2, 4, 4\), but the first train image has \(1, 4",
    ),
    "label out of range": ((IMAGE, 10), "the label is 10; expected an integer from 0 to 9"),
    "fraction": ((IMAGE, 0.5), "the label is 0.5"),
    "one-hot": ((IMAGE, torch.zeros(10)), "the label is a tensor"),
}


@pytest.mark.parametrize(("odd", "message"), BROKEN_ITEMS.values(), ids=BROKEN_ITEMS.keys())
def test_an_invalid_item_is_reported_when_it_is_read(odd: Any, message: str) -> None:
    data = check_data(
        data_of(Items(odd, index=7)), "dataset 'own'"
    )  # 7 is not among those that are read before training
    with pytest.raises(PluginError, match=f"^dataset 'own': .*{message}"):
        data.train[7]
    with pytest.raises(PluginError, match=r"^dataset 'own': item 13 of the train"):
        check_data(data_of(Items(odd, index=13)), "dataset 'own'")


BROKEN_DATA = {
    "one tensor": (data_of(TensorDataset(IMAGES)), "train split is a TensorDataset of 1 tensors"),
    "floats": (data_of(TensorDataset(IMAGES.float(), CLASSES)), "images of the train split are a tensor, float32"),
    "labels": (data_of(SOUND, TensorDataset(IMAGES, CLASSES + 10)), "labels of the test split range from 10 to 10"),
    "float labels": (
        data_of(TensorDataset(IMAGES, CLASSES.float())),
        "labels of the train split are a tensor, float32",
    ),
    "test shape": (data_of(SOUND, TensorDataset(IMAGES[:, :, :3], CLASSES)), r"the test split has \(1, 3, 4\)"),
    "classes": (data_of(SOUND, num_classes=0), "num_classes must be a positive integer, got 0"),
    "empty": (data_of(TensorDataset(IMAGES[:0], CLASSES[:0])), "train split has no images"),
    "no length": (data_of(iter([1])), "which has no len"),
    "a length that lies": (data_of(Items(length=30)), r"raised while reading image \d+ of the train split: IndexError"),
    "a test split of another shape": (
        data_of(SOUND, Items((IMAGE[:, :3], 0), 0)),
        r"item 0 of the test split|\(1, 3, 4\)",
    ),
}


@pytest.mark.parametrize(("data", "message"), BROKEN_DATA.values(), ids=BROKEN_DATA.keys())
def test_invalid_data_is_reported_before_training(data: ImageData, message: str) -> None:
    with pytest.raises(PluginError, match=f"^dataset 'own'.*({message})"):
        check_data(data, "dataset 'own'")


class Flipped(Items):
    """Images that are flipped at random, as this generator decides, or else torch's default one."""

    def __init__(self, generator: torch.Generator | None) -> None:
        super().__init__()
        self.generator = generator

    def __getitem__(self, index: int) -> Any:
        image = torch.arange(16, dtype=torch.uint8).view(1, 4, 4)
        return (image.flip(-1) if torch.rand((), generator=self.generator) < 0.5 else image), 0


@pytest.mark.parametrize(
    ("split", "with_equal_seeds", "with_others"),
    [
        (SOUND, False, False),
        (Items(), False, False),
        (Flipped(None), False, True),
        (Flipped(torch.Generator().manual_seed(0)), True, True),
    ],
    ids=["in memory", "streamed", "flipped", "flipped by a generator of its own"],
)
def test_images_that_change_between_reads_are_detected_whether_or_not_a_seed_can_reproduce_them(
    split: Any, with_equal_seeds: bool, with_others: bool
) -> None:
    assert changes_between_reads(split) == (with_equal_seeds, with_others)


def returning(value: Any) -> Any:
    """Return a loss whose discriminator_loss returns `value(loss)`."""

    class Returning(Least):
        def discriminator_loss(self, players: Players, batch: Any) -> Any:
            return value(super().discriminator_loss(players, batch)[0])

    return Returning(lambda: None)


RETURNS = {
    "a number": (lambda loss: (loss.item(), {}), r"returned 0\.\d+ as the loss \(.item\(\)"),
    "no pair": (lambda loss: loss, "returned a tensor, float32 of shape .*expected a pair"),
    "three": (lambda loss: (loss, {}, {}), "returned a tuple of 3"),
    "nothing": (lambda _: None, "returned None"),
    "a vector": (lambda loss: (loss.expand(3), {}), r"returned a tensor, float32 of shape \(3,\) as the loss"),
    "detached": (lambda loss: (loss.detach(), {}), "does not depend on the discriminator's parameters"),
    "a monitor as a number": (lambda loss: (loss, {"d": 1.0}), "1.0 as 'd'; expected a scalar tensor"),
    "a monitor as a vector": (lambda loss: (loss, {"d": loss.detach().expand(3)}), r"shape \(3,\) as 'd'"),
    "a list of monitors": (lambda loss: (loss, [1]), "returned a list of 1 as monitors"),
}


@pytest.mark.parametrize(("value", "message"), RETURNS.values(), ids=RETURNS.keys())
def test_a_loss_that_returns_an_invalid_value_is_named(value: Any, message: str) -> None:
    with pytest.raises(PluginError, match=f"^the loss: .*{message}"):
        take(step_of(returning(value)))


class Labeled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 4)

    def forward(self, latent: Tensor, labels: Tensor) -> Tensor:
        return self.linear(latent).unflatten(1, (1, 2, 2))


class Pair(nn.Module):
    """A network with a second output."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        output = self.network(inputs)
        return output, output


def test_a_network_that_returns_a_tuple_is_named() -> None:
    layers = nn.Sequential(nn.Linear(3, 4), nn.Unflatten(1, (1, 2, 2)))
    with pytest.raises(PluginError, match=r"^the model: its generator returned a tuple of 2; expected a tensor"):
        take(step_of(Least(lambda: None), generator=Pair(layers)))
    step = step_of(Least(lambda: None))
    step.called = replace(step.networks, discriminator=Pair(step.networks.discriminator))
    message = r"^the loss raised in discriminator_loss: .*; the discriminator of the model returned a tuple of 2, which"
    with pytest.raises(PluginError, match=message):
        take(step)


def test_only_the_plugin_at_fault_is_named() -> None:
    with pytest.raises(PluginError, match=r"^the model raised in its generator\.0: RuntimeError: .*shapes"):
        take(step_of(Least(lambda: None), generator=nn.Sequential(nn.Linear(5, 4))))
    with pytest.raises(
        PluginError, match=r"^the loss calls the generator of the model with invalid arguments: .*labels"
    ):
        take(step_of(Least(lambda: None), generator=Labeled()))
    with pytest.raises(
        PluginError, match=r"^its optimizer: for the discriminator's parameters it returned a list of 2"
    ):
        step_of(Least(lambda: None), factory=list)


def sampler_of(generator: nn.Module, warnings: list[str] | None = None) -> Sampler:
    networks = Networks(generator, nn.Flatten(), latent_dim=3)
    return Sampler(networks, PLUGIN_NAMES, (1, 2, 2), CPU, ([] if warnings is None else warnings).append)


def sampled(generator: nn.Module, warnings: list[str] | None = None) -> list[Tensor]:
    sampler = sampler_of(generator, warnings)
    return list(sampler.generate(Source("raw", "eval"), 5, 4, make_rng(0, "latents")))


class Making(nn.Module):
    """A generator that returns `make(latents)`."""

    def __init__(self, make: Any) -> None:
        super().__init__()
        self.make = make

    def forward(self, latent: Tensor) -> Any:
        return self.make(latent)


def filled(value: float) -> Any:
    return lambda latent: latent.new_full((len(latent), 1, 2, 2), value)


@pytest.mark.parametrize(
    ("generator", "message"),
    [
        (Labeled(), "raised in its generator: TypeError: .*labels.* latent vectors .* labels only if"),
        (Making(lambda latent: latent), r"must return .*\(4, 1, 2, 2\), got a tensor, float32 of shape \(4, 3\)"),
        (Making(lambda latent: filled(0)(latent)[:1]), r"for 4 latent vectors, .* got .*\(1, 1, 2, 2\)"),
        (Making(lambda latent: [latent]), "must return .*, got a list of 1"),
        (Making(lambda _: 1 // 0), "raised in its generator: ZeroDivisionError: .* is called in eval mode with latent"),
    ],
)
def test_a_generator_that_returns_no_images_is_named(generator: nn.Module, message: str) -> None:
    with pytest.raises(PluginError, match=f"^the model.*{message}"):
        sampled(generator)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_images_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(
        NotFiniteError, match=r"^the model: in eval mode, .* contain 32 values that are NaN or infinite"
    ):
        sampled(Making(filled(value)))


@pytest.mark.parametrize(("value", "warned"), [(1.0, False), (-1.2, False), (1.6, True), (-40.0, True)])
def test_images_far_outside_the_range_are_a_warning(value: float, warned: bool) -> None:
    warnings: list[str] = []
    sampled(Making(filled(value)), warnings)
    assert [f"from {value:.3g} to {value:.3g}" in warning for warning in warnings] == [True] * warned


@pytest.mark.parametrize("value", [torch.nan, -40.0, 0.5])
def test_values_are_not_judged_before_training(value: float) -> None:
    warnings: list[str] = []
    sampler_of(Making(filled(value)), warnings).try_out(Source("raw", "eval"), 4)
    assert warnings == []


def test_a_plugin_that_changes_a_default_of_torch_is_named_and_the_default_restored() -> None:
    for change, message in (
        (lambda: torch.set_default_dtype(torch.float64), "default dtype from torch.float32 to torch.float64"),
        (lambda: torch.set_default_device("meta"), "default device from cpu to meta"),
        (lambda: torch.set_grad_enabled(False), "gradient mode from True to False"),
    ):
        with (
            pytest.raises(PluginError, match=f"^loss 'own' changed torch's {message}"),
            preserve_torch_defaults("loss 'own' changed"),
        ):
            change()
        assert (torch.get_default_dtype(), torch.zeros(1).device, torch.is_grad_enabled()) == (torch.float32, CPU, True)


def test_a_parameter_of_both_networks_learns_in_both_updates() -> None:
    shared = nn.Linear(4, 4)
    networks = Networks(
        nn.Sequential(nn.Linear(3, 4), shared, nn.Unflatten(1, (1, 2, 2))),
        nn.Sequential(nn.Flatten(), shared, nn.Linear(4, 1)),
        latent_dim=3,
    )
    arguments: Any = (dict.fromkeys(PLAYERS, descend), make_rng(0, "latents"), "fp32", PLUGIN_NAMES)
    step = TrainingStep(networks, Least(lambda: None), *arguments)
    before, moved = [shared.weight.detach().clone()], []

    def ended(_: str) -> None:
        moved.append(not torch.equal(before[-1], shared.weight))
        before.append(shared.weight.detach().clone())

    step(torch.ones_like(REAL), LABELS, (), ended)
    assert moved == [True, True]
    with pytest.raises(
        PluginError, match=r"^the model: its networks share parameters, which training.update_scheme=simultaneous"
    ):
        TrainingStep(networks, Least(lambda: None), *arguments, update_scheme="simultaneous")


class Swapping(nn.Module):
    """Changes its weights in `eval()` and may undo that in `train()`, like averaged weights and merged adapters."""

    def __init__(self, undo: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 4)
        self.undo = undo
        self.swapped = False
        self.register_buffer("calls", torch.zeros(1))

    def train(self, mode: bool = True) -> Any:
        super().train(mode)
        if self.swapped == mode and (self.undo or not mode):
            self.linear.weight.data = -self.linear.weight.data
            self.swapped = not mode
        return self

    def forward(self, latent: Tensor) -> Tensor:
        self.calls += 1
        torch.rand(1)
        return self.linear(latent).unflatten(1, (1, 2, 2))


@pytest.mark.parametrize("undo", [True, False])
def test_scoring_restores_what_eval_and_forward_do(undo: bool) -> None:
    step = step_of(Least(lambda: None), generator=Swapping(undo))
    generator: Any = step.networks.generator
    weight, address, state = (
        generator.linear.weight.detach().clone(),
        generator.linear.weight.data_ptr(),
        torch.get_rng_state(),
    )
    warnings: list[str] = []
    batches: Any = type("Batches", (), {"order": make_rng(0, "order"), "flips": None})
    with untouched(step, batches, warnings.append):
        generator.eval()
        assert torch.equal(generator.linear.weight, -weight)
        generator(torch.zeros(2, 3))
        step.loss.seen = 1
    assert torch.equal(generator.linear.weight, weight)
    assert generator.linear.weight.data_ptr() == address  # a captured step uses this address
    assert (generator.swapped, generator.training, float(generator.calls)) == (False, True, 0.0)
    assert torch.equal(torch.get_rng_state(), state)
    assert not hasattr(step.loss, "seen")
    assert not warnings


def test_frozen_modules_that_were_built_in_eval_mode_stay_in_it() -> None:
    frozen = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).requires_grad_(False).eval()
    network = nn.Sequential(frozen, nn.Linear(2, 2))
    set_train_mode(network)
    assert [module.training for module in network.modules()] == [True, False, False, False, True]
    set_train_mode(network.eval())  # as from_pretrained leaves it
    assert [module.training for module in network.modules()] == [True, False, False, False, True]


def small(out: Path, overrides: Iterable[str], **more: Any) -> Any:
    spec = load_spec(
        "dcgan-fashion", with_small_fashion(), [*SMALL_FASHION[:2], "metrics=[]", "sample_images.real=0", *overrides]
    )
    return run(spec, device="cpu", out=out, **more)[0]


def test_drop_last_skips_the_smaller_last_batch_and_does_not_count_it(tmp_path: Path) -> None:
    own = ["training.batch_size=99", "training.drop_last=true", "training.epochs=2", "sample_images.generated=0"]
    result = small(tmp_path / "run", own)
    assert [row.images for row in result.history] == [5 * 99] * 2
    assert result.epochs == 2
    assert {window.images % 99 for window in result.throughput.windows} == {0}


ODD = """
    from torch.utils.data import TensorDataset
    from ganbench import DatasetPlugin, ImageData, hookimpl
    from ganbench_datasets.fashion_mnist.sources import embedded_subset

    def build(options, context):
        split = TensorDataset(*(tensor[:65] for tensor in embedded_subset().test.tensors))
        return ImageData(split, split, num_classes=10, source="own", fingerprint="0")

    @hookimpl
    def ganbench_datasets():
        return [DatasetPlugin(name="odd", summary="65 images", build=build)]
"""


def test_an_error_of_a_last_batch_with_one_image_says_so(tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(dedent(ODD))
    spec = load_spec(
        "dcgan-fashion",
        Registry.load([str(tmp_path / "odd.py")]),
        ["dataset=odd", "model.width=2", "metrics=[]", "training.epochs=1"],
    )
    with pytest.raises(PluginError, match=r"model 'dcgan'.* which has 1 image, as 65 .* -o training.drop_last=true"):
        run(spec, device="cpu", out=tmp_path / "run")


def test_ctrl_c_during_scoring_ends_the_run_without_another_step(tmp_path: Path) -> None:
    class Impatient(Callback):
        def on_score(self, label: str, point: MetricPoint) -> None:
            if point.epoch == 1:
                os.kill(os.getpid(), signal.SIGINT)

    metric = 'metrics=[{name = "fid", features = "fashion-cnn", num_samples = 20, at_epochs = [1]}]'
    own = ["training.batch_size=100", "training.epochs=3", "sample_images.generated=0", metric]
    result = small(tmp_path / "run", own, callback=Impatient())
    assert result.status == "interrupted"
    assert sum(row.images for row in result.history) == 500


def test_nan_weights_after_the_last_update_are_a_divergence(tmp_path: Path) -> None:
    own = ["training.steps=1", "optimizer.generator=sgd", "optimizer.generator.lr=1e39", "sample_images.generated=0"]
    result = small(tmp_path / "run", own)
    assert result.status == "diverged"
    assert "the generator's parameter" in str(result.message)


def test_an_error_class_of_a_plugin_may_take_other_arguments(tmp_path: Path) -> None:
    source = """
    from ganbench import UsageError
    class Unusable(UsageError):
        def __init__(self, what, hint):
            super().__init__(f"{what}: {hint}")
    class Own(LeastSquares):
        def generator_loss(self, players, batch):
            raise Unusable("temperature", "must be positive")
    build_loss = lambda options, context: Own()
    """
    with pytest.raises(UsageError, match=r"^the run failed after 0 steps: temperature: must be positive"):
        own_run(tmp_path, source)


SHARED = {
    "loss": """
        class Own(LeastSquares, nn.Module):
            def __init__(self):
                super().__init__()
                self.register_buffer("calls", torch.zeros(()))
            def factor(self):
                return self.calls.add_(1)

        OWN = Own()
        build_loss = lambda options, context: OWN
        """,
    "model": """
        GENERATOR = generator()
        build_model = lambda options, context: Networks(GENERATOR, discriminator(), LATENT)
        """,
}


def run_twice(source: str, folder: Path, *overrides: str) -> None:
    """Two runs of a process, as of two seeds."""
    folder.mkdir(exist_ok=True)
    registry = plugin(folder, source)
    for number in (1, 2):
        spec = load_spec("dcgan-fashion", registry, [*OVERRIDES, *overrides, f"training.seed={number}"])
        run(spec, device="cpu", out=folder / str(number))


@pytest.mark.parametrize("kind", SHARED)
def test_an_object_that_was_trained_is_not_trained_again_in_the_next_run(kind: str, tmp_path: Path) -> None:
    with pytest.raises(
        PluginError, match=rf"{kind} 'own' \(from own.py .*\): build returned the same object as before"
    ):
        run_twice(SHARED[kind], tmp_path)
    assert (tmp_path / "1" / "result.json").exists()
    assert not (tmp_path / "2").exists()


def test_a_build_may_return_a_module_without_state_again_and_what_another_plugin_built(tmp_path: Path) -> None:
    stateless = """
        class Own(LeastSquares, nn.Module):
            pass

        OWN = Own()
        build_loss = lambda options, context: OWN
        """
    run_twice(stateless, tmp_path / "stateless")
    wrapping = """
        from ganbench import Options
        from ganbench.spec.configs import ModelConfig

        class WrapOptions(Options):
            inner: ModelConfig

        build = lambda options, context: options.inner.build(context)

        @hookimpl(specname="ganbench_models")
        def more():
            return [ModelPlugin(name="wrapped", summary="Another one", options=WrapOptions, build=build)]
        """
    run_twice(wrapping, tmp_path / "wrapping", "model={name='wrapped', inner='own'}")
