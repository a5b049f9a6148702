"""Fast dropout equals torch's dropout in everything but the random numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from conftest import SMALL
from run_spec import run
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from ganbench.plugin.registry import Registry
from ganbench.results.schema import Result
from ganbench.runtime import dropout
from ganbench.runtime.dropout import LEVELS, MIN_ELEMENTS, fast_dropout
from ganbench.spec.loading import load_spec

LARGE = 2_000_000


def drop(images: Tensor, p: float = 0.3, inplace: bool = False, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    with fast_dropout():
        return functional.dropout(images, p, inplace=inplace)


@pytest.mark.parametrize("p", [0.5, 0.3, 1e-3, 0.999])
def test_elements_are_dropped_with_probability_p_and_the_others_scaled_to_the_same_mean(p: float) -> None:
    dropped = drop(torch.ones(LARGE, dtype=torch.float64), p)
    exact = round(p * LEVELS) / LEVELS
    assert abs(exact - p) < 1e-5
    fraction = (dropped == 0).double().mean().item()
    assert fraction == pytest.approx(exact, abs=5 * (p * (1 - p) / LARGE) ** 0.5)
    assert dropped.max().item() == pytest.approx(1 / (1 - exact), rel=1e-15)


def test_the_four_numbers_of_a_draw_are_independent() -> None:
    kept = (drop(torch.ones(LARGE), 0.5) != 0).double().view(-1, 4)
    correlation = torch.corrcoef(kept.T) - torch.eye(4, dtype=torch.float64)
    assert correlation.abs().max().item() < 5 / (LARGE / 4) ** 0.5
    assert kept.mean(0) == pytest.approx(torch.full((4,), 0.5), abs=5 * 0.5 / (LARGE / 4) ** 0.5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_type_shape_and_memory_format_are_kept_and_gradients_use_the_same_mask(
    dtype: torch.dtype, memory_format: torch.memory_format
) -> None:
    images = torch.ones(16, 8, 14, 14, dtype=dtype).to(memory_format=memory_format).requires_grad_()
    dropped = drop(images)
    assert (dropped.dtype, dropped.shape, dropped.stride()) == (dtype, images.shape, images.stride())
    dropped.backward(torch.ones_like(dropped))
    assert torch.equal(images.grad, dropped.detach())  # of ones, both are mask times scale
    scale = LEVELS / (LEVELS - round(0.3 * LEVELS))
    assert dropped.max().item() == torch.tensor(scale, dtype=dtype).item()


def test_a_mask_of_16_bits_does_not_bias_the_mean() -> None:
    images = torch.full((LARGE,), 0.7, dtype=torch.bfloat16)
    dropped = drop(images, 0.3).double()
    scale = LEVELS / (LEVELS - round(0.3 * LEVELS))
    assert dropped.max() == (images[0].float() * scale).bfloat16().double()  # rounded once


def test_gradients_of_gradients_use_the_same_mask() -> None:
    images = torch.randn(MIN_ELEMENTS, dtype=torch.float64).requires_grad_()
    dropped = drop(images)
    mask = (dropped / images).detach()
    (gradient,) = torch.autograd.grad(dropped.pow(3).sum(), images, create_graph=True)
    gradient.sum().backward()
    torch.testing.assert_close(images.grad, 6 * images.detach() * mask**3)


def test_a_recomputed_forward_pass_uses_the_same_mask() -> None:
    images = torch.ones(MIN_ELEMENTS).requires_grad_()
    torch.manual_seed(0)
    with fast_dropout():
        dropped = checkpoint(lambda x: functional.dropout(x, 0.3) ** 2, images, use_reentrant=False)
        dropped.sum().backward()
    torch.testing.assert_close(images.grad, 2 * dropped.detach())


@pytest.mark.parametrize(
    "images",
    [
        torch.ones(64, 128).T,
        torch.ones(1, 128).expand(64, 128),
        torch.ones(64, 256)[:, ::2],
        torch.ones(64, 129)[:, 1:],
    ],
    ids=["transposed", "expanded", "strided", "slice"],
)
def test_any_layout_in_memory_can_be_dropped(images: Tensor) -> None:
    dropped = drop(images, 0.5)
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert 0.45 < (dropped == 0).float().mean().item() < 0.55


def test_in_place_dropout_changes_its_input() -> None:
    images = torch.ones(LARGE)
    assert drop(images, inplace=True) is images
    assert torch.equal(images, drop(torch.ones(LARGE)))


def test_equal_seeds_give_equal_masks() -> None:
    images = torch.ones(LARGE)
    assert torch.equal(drop(images, seed=1), drop(images, seed=1))
    assert not torch.equal(drop(images, seed=1), drop(images, seed=2))


def test_torch_handles_the_rest() -> None:
    images = torch.ones(LARGE)
    with fast_dropout():
        assert torch.equal(functional.dropout(images, 0.0), images)
        assert not functional.dropout(images, 1.0).any()
        assert functional.dropout(images, 0.5, training=False) is images
        assert torch.equal(nn.Dropout(0.5).eval()(images), images)
        with pytest.raises(ValueError, match=r"between 0 and 1, but got 1\.5"):
            functional.dropout(images, 1.5)
        few = torch.ones(MIN_ELEMENTS - 1)
        torch.manual_seed(0)
        mine = functional.dropout(few, 0.5)
    torch.manual_seed(0)
    assert torch.equal(mine, functional.dropout(few, 0.5))


def test_a_run_uses_the_dropout_of_its_spec(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(name: str, *overrides: str) -> Result:
        spec = load_spec("dcgan-fashion", registry, [*SMALL, "training.steps=2", *overrides])
        return run(spec, device="cpu", out=tmp_path / name)[0]

    masks = []

    def count(like: Tensor, threshold: int) -> Tensor:
        masks.append(threshold)
        return draw(like, threshold)

    draw = dropout._draw_mask
    monkeypatch.setattr(dropout, "_draw_mask", count)
    fast = train("fast")
    assert fast.throughput.conditions["dropout"] == "fast"
    assert set(masks) == {round(0.3 * LEVELS)}
    masks.clear()
    slow = train("slow", "engine.dropout=torch")
    assert slow.throughput.conditions["dropout"] == "torch"
    assert not masks
    assert slow.history[0].d_loss != fast.history[0].d_loss
