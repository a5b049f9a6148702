"""ADA's transformations are those of its paper, and p follows the discriminator's signs on real images."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import UNSCORED
from linear_gan import Noting
from run_spec import run
from scipy import ndimage
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch.nn.functional import avg_pool2d

from ganbench import Registry, UsageError
from ganbench.runtime.checkpoint import load_checkpoint
from ganbench.spec.loading import load_spec
from ganbench_augmentations.ada import ADA, Filters, draw_geometry, recolor, resample, rotation

COUNT = 8
BATCH = 50


def ada(p: float = 0.0, **options: Any) -> ADA:
    defaults = {"size": (28, 28), "color": 1.0, "cutout": 0.0, "target": 0.6, "every": 4, "kimg": 500.0}
    augment = ADA(**defaults | options)
    augment.p.fill_(p)
    return augment


def feed(augment: ADA, positive: int, updates: int) -> list[float]:
    """Return p after each update with so many positive logits in a batch of 50."""
    logits = torch.cat([torch.full((positive, 1), 0.1), torch.full((BATCH - positive, 1), -9.0)])
    values = []
    for _ in range(updates):
        augment.adapt(logits)
        values.append(augment.p.item())
    return values


# p


def test_p_rises_every_4_updates_by_the_share_of_500_kimg_that_they_showed() -> None:
    step = 4 * BATCH / 500_000
    expected = [0.0] * 3 + [step] * 4 + [2 * step] * 4 + [3 * step]
    assert feed(ada(), positive=BATCH, updates=12) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("positive", "direction"), [(39, -1), (41, 1)])
def test_p_moves_towards_the_target_for_the_mean_sign(positive: int, direction: int) -> None:
    """With 40 positive and 10 negative logits, it is 0.6. The size of the logits does not matter."""
    *_, p = feed(ada(p=0.5), positive, updates=4)
    assert p == pytest.approx(0.5 + direction * 4 * BATCH / 500_000)


@pytest.mark.parametrize(("positive", "bound"), [(BATCH, 1.0), (0, 0.0)])
def test_p_stays_between_0_and_1(positive: int, bound: float) -> None:
    assert feed(ada(p=0.5, kimg=0.5), positive, updates=20)[-1] == bound


def test_signs_before_the_last_change_of_p_do_not_count() -> None:
    augment = ada(p=0.5)
    feed(augment, positive=BATCH, updates=4)
    before = augment.p.item()
    feed(augment, positive=0, updates=4)
    assert augment.p.item() < before


# the transformations


@pytest.mark.parametrize("channels", [1, 3])
def test_with_p_0_images_stay_as_they_are(channels: int, images: Tensor) -> None:
    real = images[:COUNT].expand(-1, channels, -1, -1)
    torch.testing.assert_close(ada()(real), real, rtol=0, atol=1e-5)


def show(images: Tensor, linear: Any, shift: tuple[float, float] = (0.0, 0.0)) -> Tensor:
    count = len(images)
    matrices = torch.as_tensor(linear, dtype=images.dtype).expand(count, 2, 2)
    shifts = torch.tensor(shift, dtype=images.dtype).expand(count, 2)
    return resample(images, matrices, shifts, *(Filters(side) for side in images.shape[2:]))


def test_a_translation_by_whole_pixels_is_exact_and_mirrors_the_edges(images: Tensor) -> None:
    real = images[:COUNT]
    moved = show(real, torch.eye(2), (3.0, -2.0))
    padded = np.pad(real.numpy(), ((0, 0), (0, 0), (2, 0), (0, 3)), mode="reflect")
    torch.testing.assert_close(moved, torch.from_numpy(padded)[:, :, :28, 3:], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("linear", "expected"),
    [
        ([[-1.0, 0.0], [0.0, 1.0]], lambda images: images.flip(3)),
        (rotation(torch.tensor(math.pi / 2)), lambda images: images.rot90(1, (2, 3))),
        (rotation(torch.tensor(math.pi)), lambda images: images.flip((2, 3))),
    ],
)
def test_flips_and_quarter_turns_keep_a_smooth_image(linear: Any, expected: Any, images: Tensor) -> None:
    """Up to the asymmetry of the filter, a tenth of a pixel: a shift by one pixel changes it by 0.1."""
    smooth = avg_pool2d(images[:COUNT], 5, 1, 2, count_include_pad=False)
    assert (show(smooth, linear) - expected(smooth)).abs().mean() < 0.015


@pytest.mark.parametrize("angle", [0.4, -2.0])
def test_rotated_and_scaled_images_agree_with_spline_interpolation(angle: float, images: Tensor) -> None:
    smooth = avg_pool2d(images[:COUNT], 5, 1, 2, count_include_pad=False)
    linear = rotation(torch.tensor(angle))[0] @ torch.diag(torch.tensor([1 / 1.2, 1.1]))
    result = show(smooth, linear, (0.7, -0.3))
    swapped = linear.double().numpy()[::-1, ::-1]  # SciPy's positions are (row, column)
    offset = 13.5 - swapped @ np.full(2, 13.5) + np.array([-0.3, 0.7])
    for image, own in zip(smooth.double().numpy(), result, strict=True):
        reference = ndimage.affine_transform(image[0], swapped, offset, order=3, mode="mirror")
        assert np.abs(own[0].numpy() - reference).mean() < 0.015


def test_the_drawn_geometry_has_the_probabilities_and_sizes_of_the_paper() -> None:
    """Only flips change the sign of the determinant, only isotropic scaling its size."""
    torch.manual_seed(0)
    for p in (0.0, 0.4, 1.0):
        linear, shift = draw_geometry(20_000, (28, 28), torch.tensor(p))
        determinant = linear.double().det()
        size = determinant.abs().log2() / 2
        assert (determinant < 0).double().mean().item() == pytest.approx(p / 2, abs=0.02)
        assert (size.abs() > 1e-5).double().mean().item() == pytest.approx(p, abs=0.02)
        assert size.std().item() == pytest.approx(0.2 * math.sqrt(p), abs=0.01)
        integer, fractional = (p, 28 / 8 / math.sqrt(3)), (p, 28 / 8)  # probability and standard deviation
        variance = sum(probability * deviation**2 for probability, deviation in (integer, fractional))
        assert shift.square().mean().sqrt().item() == pytest.approx(math.sqrt(variance), rel=0.1, abs=1e-6)


def test_colors_change_by_the_matrices_of_the_paper(images: Tensor) -> None:
    real = torch.stack([images[number : number + 3, 0] for number in range(COUNT)]).double()
    brightness, contrast, hue, saturation = 0.2, 1.4, 2.0, 0.3
    own = recolor(real, *(torch.tensor(value) for value in (brightness, contrast, 1.0, hue, saturation)))
    axis = np.ones(3) / math.sqrt(3)
    along = np.outer(axis, axis)
    matrix = (
        (along + (np.eye(3) - along) * saturation)
        @ Rotation.from_rotvec(hue * axis).as_matrix()
        @ (np.eye(3) - 2 * along)
        * contrast
    )
    expected = np.einsum("ij,njhw->nihw", matrix, real.numpy() + brightness)
    np.testing.assert_allclose(own.numpy(), expected, atol=1e-6)


def test_a_luma_flip_of_a_grayscale_image_is_its_negative(images: Tensor) -> None:
    zero, one = torch.tensor(0.0), torch.tensor(1.0)
    torch.testing.assert_close(recolor(images[:2], zero, one, one, one, one), -images[:2])


@pytest.mark.parametrize(("color", "changed"), [(0.0, 0.0), (0.5, 1 - 0.5 * 0.5 * 0.75), (1.0, 1.0)])
def test_color_is_a_factor_of_the_probability(color: float, changed: float) -> None:
    """Brightness and contrast change a gray image, and a luma flip does half of the time; its center stays inside."""
    torch.manual_seed(0)
    gray = torch.full((5000, 1, 8, 8), 0.25)
    augmented = ada(p=1.0, size=(8, 8), color=color)(gray)
    share = ((augmented - gray)[:, 0, 4, 4].abs() > 1e-5).double().mean().item()
    assert share == pytest.approx(changed, abs=0.02)


@pytest.mark.parametrize(("p", "cutout"), [(1.0, 1.0), (0.8, 0.5), (1.0, 0.0)])
def test_cutout_clears_a_square_of_half_the_side_with_its_probability(p: float, cutout: float) -> None:
    """Around a center anywhere in the image, 7/16 of each axis on average: as in AugmentPipe of the authors' code."""
    torch.manual_seed(0)
    count, side = 4000, 8
    augmented = ada(p=p, size=(side, side), color=0.0, cutout=cutout)(torch.ones(count, 1, side, side))[:, 0]
    cleared = augmented.abs() < 1e-5
    rows, columns = cleared.any(2), cleared.any(1)
    assert torch.equal(cleared, rows[:, :, None] & columns[:, None, :])
    for axis in (rows, columns):
        assert axis.sum(1).max().item() <= side // 2
        assert axis.sum(1).sum().item() / count == pytest.approx(p * cutout * side * 7 / 16, rel=0.05)


def test_it_can_be_differentiated_twice_as_r1_requires(images: Tensor) -> None:
    augment = ada(p=1.0, size=(8, 8))
    real = images[:2, :, 10:18, 10:18].double().requires_grad_()

    def augmented(values: Tensor) -> Tensor:
        torch.manual_seed(1)
        return augment(values).square()

    assert torch.autograd.gradcheck(augmented, (real,), fast_mode=True)
    assert torch.autograd.gradgradcheck(augmented, (real,), fast_mode=True)


# runs


def test_a_run_with_r1_adapts_p_and_saves_it(registry: Registry, tmp_path: Path) -> None:
    overrides = [
        *(*UNSCORED, "training.steps=6", "training.batch_size=16"),
        'augmentations=[{name="ada",target=-0.99,every=2,kimg=1}]',
        'penalties=[{name="r1",weight=0.1}]',
    ]
    spec = load_spec("dcgan-fashion", registry, overrides)
    result, _ = run(spec, device="cpu", out=tmp_path / "run")
    assert result.status == "completed"
    (saved,) = load_checkpoint(tmp_path / "run" / "checkpoint.pt").state["augmentations"]
    assert saved["state"]["updates"].item() == 6
    assert saved["state"]["p"].item() == pytest.approx(3 * 2 * 16 / 1000)


R3GAN = 'p={name="linear",start=0.0,end=0.6},color=0.5,cutout=1.0'


@pytest.mark.parametrize(("options", "last"), [("p=0.3", 0.3), (R3GAN, 0.6 * 5 / 6)])
def test_p_may_be_given_or_follow_a_schedule_also_without_logits(options: str, last: float, tmp_path: Path) -> None:
    """R3GAN's loss gives no logits to adapt to. Before the last of 6 steps, 5/6 of the images were seen."""
    augmentation = f'augmentations=[{{name="ada",{options}}}]'
    overrides = ["loss=rpgan", "model.width=8", "training.steps=6", "training.batch_size=16", augmentation]
    spec = load_spec("dcgan-fashion", Registry.load(), [*UNSCORED, *overrides])
    warnings = Noting()
    result, _ = run(spec, device="cpu", out=tmp_path / "run", callback=warnings)
    assert result.status == "completed"
    (saved,) = load_checkpoint(tmp_path / "run" / "checkpoint.pt").state["augmentations"]
    assert saved["state"]["p"].item() == pytest.approx(last)
    assert warnings.warnings == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("p=1.5", r"augmentations\.0\.p: must be at most 1 \(got 1\.5\)"),
        ('p={name="linear",start=0.0,end=2.0}', r"^augmentations\.0\.p: schedule 'linear' .* returned 1\."),
        ("p=0.3,target=0.5", r"with p, the probability does not adapt, so target has no effect"),
    ],
)
def test_an_invalid_p_is_refused(options: str, message: str, registry: Registry, tmp_path: Path) -> None:
    def train() -> None:
        spec = load_spec("dcgan-fashion", registry, [*UNSCORED, f'augmentations=[{{name="ada",{options}}}]'])
        run(spec, device="cpu", out=tmp_path / "run")

    with pytest.raises(UsageError, match=message):
        train()


def test_images_with_other_channels_are_rejected() -> None:
    from ganbench_augmentations import ADAOptions, build_ada

    context: Any = type("Context", (), {"image_shape": (5, 28, 28)})
    with pytest.raises(UsageError, match="grayscale and RGB images, but this dataset has 5 channels"):
        build_ada(ADAOptions(), context)
