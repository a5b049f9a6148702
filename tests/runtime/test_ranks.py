"""How ranks split the images of a step; runs over several processes are in `tests/cases/torchrun`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from conftest import DEVICES
from linear_gan import LATENT, LeastSquares, generator, make_eager, take
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from ganbench import Batch, Networks, Players
from ganbench.data.batches import Batches, RankShare, ResidentBatches, StreamedBatches
from ganbench.errors import GanbenchError, PluginError, UsageError
from ganbench.runtime.ranks import SINGLE, Ranks, explain_lost_contact
from ganbench.runtime.rng import make_rng
from ganbench.spec.sections import DataOptions, EngineOptions, TrainingOptions
from ganbench.training.players import NamedAugmentation
from ganbench.training.rank_checks import batch_norm_warnings, check_launch, check_ranks, running_state_warnings
from ganbench.training.state.step_state import snapshot_state
from ganbench.training.step import UpdateSizes

UPDATE_IMAGES = 4
STEP_IMAGES = 8  # of two discriminator updates
SPLIT = TensorDataset(torch.arange(22, dtype=torch.uint8).view(22, 1, 1, 1), torch.arange(22))


def streamed(share: RankShare) -> StreamedBatches:
    options = DataOptions(workers=0)
    flips = make_rng(0, "flips")
    return StreamedBatches(SPLIT, STEP_IMAGES, torch.device("cpu"), make_rng(0, "order"), False, flips, options, share)


def resident(share: RankShare) -> ResidentBatches:
    flips = make_rng(0, "flips")
    return ResidentBatches(SPLIT, STEP_IMAGES, torch.device("cpu"), make_rng(0, "order"), False, flips, share)


def labels_of(batches: Batches) -> list[Tensor]:
    return [batches.load(*inputs)[1] for inputs in batches.epoch()]


@pytest.mark.parametrize("make", [resident, streamed])
def test_the_ranks_split_each_update_of_a_step(make: type[ResidentBatches]) -> None:
    whole = labels_of(make(RankShare(SINGLE, UPDATE_IMAGES)))  # type: ignore[arg-type, call-arg]
    first, second = (labels_of(make(RankShare(Ranks(rank, 2), UPDATE_IMAGES))) for rank in range(2))  # type: ignore[arg-type, call-arg]
    assert [len(step) for step in whole] == [8, 8, 6]
    for step, one, other in zip(whole, first, second, strict=True):
        updates = zip(step.split(4), one.split(2), other.split(2), strict=True)
        assert all(torch.equal(update, torch.cat([part, rest])) for update, part, rest in updates)


class TalkingToItself(Ranks):
    """The only rank, which nevertheless communicates."""

    @property
    def alone(self) -> bool:
        return False


@pytest.mark.parametrize("device", DEVICES)
def test_ranks_communicate_over_the_library_of_their_device(device: str, tmp_path: Path) -> None:
    backend = "gloo" if device == "cpu" else "nccl"
    dist.init_process_group(backend, init_method=f"file://{tmp_path / 'meeting'}", rank=0, world_size=1)
    try:
        ranks = TalkingToItself(0, 1, dist.new_group(backend="gloo"))
        tensors = [torch.full((2, 3), 1.5, device=device), torch.ones(4, device=device, dtype=torch.float64)]
        expected = [tensor.clone() for tensor in tensors]
        ranks.average(tensors)
        assert all(map(torch.equal, tensors, expected))
        assert torch.equal(ranks.all_rows(tensors[0]), expected[0])
        assert ranks.gather("text") == ranks.all_values("text") == [ranks.from_first("text")] == ["text"]
        assert ranks.any(True)
    finally:
        dist.destroy_process_group()


class WithAnother(TalkingToItself):
    """The first of two ranks; the other one has these tensors."""

    def __init__(self, others: list[Tensor]) -> None:
        super().__init__(0, 2)
        object.__setattr__(self, "others", others)

    def average(self, tensors: Sequence[Tensor]) -> None:
        for tensor, other in zip(tensors, self.others, strict=True):
            tensor.copy_((tensor + other) / 2)


def test_a_gradient_that_only_one_rank_has_is_averaged_with_zero() -> None:
    """As in a network with a part for each class. Each rank has another part without a gradient, of equal size."""
    parameters = [torch.nn.Parameter(torch.zeros(2)) for _ in range(3)]
    parameters[0].grad = torch.full((2,), 4.0)
    ranks = WithAnother([torch.zeros(2), torch.full((2,), 6.0), torch.zeros(2), torch.tensor([0.0, 1.0, 0.0])])
    ranks.average_gradients(parameters)
    first, second, third = (parameter.grad for parameter in parameters)
    assert first is not None
    assert second is not None
    assert (first.tolist(), second.tolist()) == ([2.0, 2.0], [3.0, 3.0])
    assert third is None  # the optimizers of all ranks skip it


class Silent(Ranks):
    """A rank whose gradients are not averaged."""

    def average_gradients(self, parameters: Sequence[Tensor], also: Sequence[Tensor] = ()) -> None:
        pass


class Noting(LeastSquares):
    """Notes the pairs of real images and latent vectors of the updates of the generator."""

    def __init__(self) -> None:
        self.pairs: list[tuple[Tensor, Tensor]] = []

    def generator_loss(self, players: Players, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        self.pairs += zip(batch.real, batch.latent, strict=True)
        return super().generator_loss(players, batch)


@pytest.mark.parametrize("images", [8, 6])
def test_the_ranks_pair_the_same_images_as_a_single_process_in_an_update_of_the_generator(images: int) -> None:
    """Also if it has those of several updates of the discriminator, or if the batch is the last of an epoch."""
    real, labels = torch.randn(images, 1, 28, 28), torch.zeros(images, dtype=torch.int64)

    def pairs_of(ranks: Ranks) -> list[tuple[Tensor, Tensor]]:
        share, loss = RankShare(ranks, UPDATE_IMAGES), Noting()
        sizes = UpdateSizes(UPDATE_IMAGES // ranks.size, STEP_IMAGES // ranks.size)
        step = make_eager(loss, ranks=ranks, sizes=sizes).step
        step(share.of(real), share.of(labels), (), on_phase_end=lambda _: None)
        return loss.pairs

    def latent_of(image: Tensor, pairs: list[tuple[Tensor, Tensor]]) -> Tensor:
        (latent,) = [latent for other, latent in pairs if torch.equal(image, other)]
        return latent

    whole, split = pairs_of(SINGLE), [*pairs_of(Silent(0, 2)), *pairs_of(Silent(1, 2))]
    assert len(split) == len(whole) == images
    assert all(torch.equal(latent, latent_of(image, split)) for image, latent in whole)


def test_batch_norm_that_communicates_is_refused() -> None:
    discriminator = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.SyncBatchNorm(28 * 28), torch.nn.Linear(28 * 28, 1)
    )
    networks = Networks(generator(), discriminator, LATENT)
    alone = make_eager(networks=networks).step
    assert batch_norm_warnings(alone) == []
    with pytest.raises(PluginError, match=r"^the model: nn.SyncBatchNorm is not supported"):
        batch_norm_warnings(make_eager(networks=networks, ranks=Ranks(0, 2)).step)


def test_only_the_first_rank_keeps_the_random_numbers_of_a_single_process() -> None:
    assert SINGLE.stream("training") == Ranks(0, 2).stream("training") == "training"
    assert Ranks(1, 2).stream("training") != Ranks(2, 3).stream("training") != "training"


def test_a_lost_contact_is_one_short_sentence() -> None:
    gloo = "[/src/gloo/pair.cc:545] Read error [127.0.0.1]:44239: Connection reset by peer. This is typically caused by"
    with pytest.raises(GanbenchError) as raised, explain_lost_contact():
        raise RuntimeError(gloo)
    assert str(raised.value).endswith("or was killed: Read error [127.0.0.1]:44239: Connection reset by peer")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 63}, "training.batch_size: 63 images cannot be split evenly over 2 processes"),
        ({"batch_size": 64, "generator_batch_size": 33}, "training.generator_batch_size: 33 images"),
        ({"batch_size": 64}, "the last batch of an epoch: 35 images .*drop_last=true"),
    ],
)
def test_batches_that_cannot_be_split_evenly_are_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_ranks(TrainingOptions(epochs=1, **options), 99, Ranks(0, 2))  # type: ignore[arg-type]
    check_ranks(TrainingOptions(epochs=1, batch_size=64, drop_last=True), 99, Ranks(0, 2))
    check_ranks(TrainingOptions(epochs=1, **options), 99, SINGLE)  # type: ignore[arg-type]


def test_a_last_batch_that_the_run_does_not_reach_need_not_be_split() -> None:
    check_ranks(TrainingOptions(steps=1, batch_size=64), 99, Ranks(0, 2))
    with pytest.raises(UsageError, match="the last batch of an epoch: 35 images"):
        check_ranks(TrainingOptions(steps=2, batch_size=64), 99, Ranks(0, 2))


@pytest.mark.parametrize(
    ("mode", "device", "profile", "verify_engine", "message"),
    [
        ("cuda_graph", "auto", False, None, "uses no CUDA graph"),
        ("auto", "cuda", False, 3, "--verify-engine: .* uses no CUDA graph"),
        ("auto", "cpu", True, None, "--profile"),
        ("auto", "cuda:1", False, None, "--device cuda:1: torchrun gives each process its own GPU"),
    ],
)
def test_unsupported_options_are_refused(
    mode: str, device: str, profile: bool, verify_engine: int | None, message: str
) -> None:
    engine = EngineOptions(mode=mode)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=message):
        check_launch(engine, device, profile, verify_engine, ranks=2)
    check_launch(engine, device, profile, verify_engine, ranks=1)


class Tracking(LeastSquares, nn.Module):
    """Divides its loss by a running average, held as a buffer or as an attribute."""

    def __init__(self, average: Tensor, is_buffer: bool) -> None:
        super().__init__()
        self.calls = 0
        self.draws = np.random.RandomState(0)
        if is_buffer:
            self.register_buffer("average", average)
        else:
            self.average = average

    def discriminator_loss(self, players: Players, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        loss, monitors = super().discriminator_loss(players, batch)
        self.calls += 1
        self.draws.rand()
        if self.average.is_floating_point():
            self.average.lerp_(loss.detach(), 0.1)
        return loss / self.average, monitors


class Adapting(nn.Module):
    """An augmentation whose strength adapts to all ranks' images."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("p", torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        return images * (1 - self.p)

    def adapt(self, logits: Tensor) -> None:
        self.p.add_(logits.mean().sigmoid() * 1e-3)


@pytest.mark.parametrize("is_buffer", [True, False])
@pytest.mark.parametrize(("average", "warned"), [(torch.ones(()), True), (torch.ones((), dtype=torch.int64), False)])
def test_state_that_each_rank_computes_of_its_own_images_is_a_warning(
    average: Tensor, warned: bool, is_buffer: bool
) -> None:
    loss: Any = Tracking(average.clone(), is_buffer)
    eager = make_eager(loss, augmentations=[NamedAugmentation("augmentation 'own'", Adapting())])
    before = snapshot_state(eager.step, eager.batches)
    take(eager, 2)
    warnings = running_state_warnings(eager.step, before, Ranks(0, 2))
    assert [each.partition(": ")[0] for each in warnings] == [eager.step.plugin_names.loss] * warned
    assert running_state_warnings(eager.step, before, SINGLE) == []
