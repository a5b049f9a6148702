"""The shipped models: published sizes, initialization and formulas, and training in two steps of each."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from run_spec import run
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, relu

from ganbench import BuildContext, Networks, Registry, UsageError
from ganbench.spec.loading import load_spec
from ganbench.training.engines.unordered import unordered_operations
from ganbench_models import ganbench_models
from ganbench_models.mimicry_resnet import networks as mimicry
from ganbench_models.r3gan.networks import Downsample, ResidualBlock, Upsample
from ganbench_models.sngan_resnet.networks import (
    ConditionalBatchNorm,
    DiscriminatorBlock,
    FirstDiscriminatorBlock,
    GeneratorBlock,
)

PLUGINS = {plugin.name: plugin for plugin in ganbench_models()}
# the options with which a model trains in milliseconds
SMALL: dict[str, dict[str, Any]] = {
    "mlp": {"width": 8, "latent_dim": 4},
    "dcgan-radford": {"width": 4, "latent_dim": 8},
    "mimicry-resnet": {"width": 4, "latent_dim": 8},
    "sngan-resnet": {"width": 2, "latent_dim": 8},
    "wgan-gp-convnet": {"width": 4, "latent_dim": 8},
    "r3gan": {"width": 8, "blocks": 1, "latent_dim": 8},
}
CONVOLUTIONAL = [name for name in SMALL if name != "mlp"]
CONDITIONAL = ["sngan-resnet", "r3gan"]


def build(name: str, shape: tuple[int, ...] = (1, 28, 28), num_classes: int = 10, **options: Any) -> Networks:
    torch.manual_seed(0)
    plugin = PLUGINS[name]
    context = BuildContext(data_shape=shape, num_classes=num_classes, device="cpu", cache_dir=Path("unused"), seed=0)
    return plugin.build(plugin.options(**options), context)


def small(name: str, shape: tuple[int, ...] = (1, 28, 28), **options: Any) -> Networks:
    return build(name, shape, **(SMALL[name] | options))


def labels_for(networks: Networks, count: int) -> tuple[Tensor, ...]:
    return (torch.arange(count) % 10,) if networks.conditional else ()


def test_dcgan_rejects_image_sides_that_are_not_multiples_of_4() -> None:
    with pytest.raises(UsageError, match="multiples of 4, but this dataset has 30x28"):
        build("dcgan", (1, 30, 28))


def test_the_linear_output_of_r3gan_is_declared() -> None:
    networks = small("r3gan")
    assert networks.unbounded
    assert networks.generator(torch.randn(16, networks.latent_dim)).std() < 2


# published sizes

IMAGENET: dict[str, Any] = {"width": 1536, "group_width": 16, "conditional": True, "num_classes": 1000}  # of R3GAN


PUBLISHED: list[tuple[str, tuple[int, ...], dict[str, Any], int, int]] = [
    # Gulrajani et al.'s networks for 2-D data: 2-512-512-512-2 and 2-512-512-512-1
    ("mlp", (2,), {"latent_dim": 2}, 527_874, 527_361),
    # the homework's
    ("dcgan", (1, 28, 28), {}, 2_305_473, 212_865),
    # as in Figure 1 of Radford et al., without biases
    ("dcgan-radford", (3, 64, 64), {}, 18_885_760, 17_232_768),
    # PyTorch's DCGAN example has 2,765,568 and 3,576,704; it normalizes 512 channels instead of 512 x 4 x 4 units
    ("dcgan-radford", (3, 64, 64), {"width": 64, "kernel_size": 4}, 3_576_704 + 2 * (8192 - 512), 2_765_568),
    # as in mimicry (kwotsin/mimicry), whose smaller discriminators have one more bias
    ("mimicry-resnet", (3, 32, 32), {}, 4_276_739, 1_053_825),
    ("sngan-resnet", (3, 32, 32), {}, 4_276_739, 1_053_824),
    ("sngan-resnet", (3, 32, 32), {"conditional": True}, 4_304_387, 1_055_104),
    ("sngan-resnet", (3, 64, 64), {}, 12_220_675, 10_141_441),
    ("wgan-gp-convnet", (3, 32, 32), {}, 5_179_907, 4_114_689),
    # as in the authors' code (brownvc/R3GAN), whose models of CIFAR-10 and ImageNet are class-conditional
    ("r3gan", (3, 32, 32), {"conditional": True}, 20_781_952, 21_280_512),
    ("r3gan", (3, 32, 32), IMAGENET, 82_914_304, 86_548_992),
    ("r3gan", (3, 64, 64), IMAGENET, 103_570_432, 107_205_120),
]


@pytest.mark.parametrize(("name", "shape", "options", "generator", "discriminator"), PUBLISHED)
def test_the_networks_have_the_published_numbers_of_parameters(
    name: str, shape: tuple[int, ...], options: dict[str, Any], generator: int, discriminator: int
) -> None:
    with torch.device("meta"):
        networks = build(name, shape, **options)
    assert sum(parameter.numel() for parameter in networks.generator.parameters()) == generator
    assert sum(parameter.numel() for parameter in networks.discriminator.parameters()) == discriminator


def test_the_page_of_models_has_the_published_numbers_of_parameters() -> None:
    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\S+)` .* \| ([\d,]+), ([\d,]+) \(", page, re.MULTILINE)
    found = {(name, int(first.replace(",", "")), int(second.replace(",", ""))) for name, first, second in rows}
    assert found <= {(name, generator, discriminator) for name, _, _, generator, discriminator in PUBLISHED}
    assert {name for name, _, _ in found} == PLUGINS.keys()


@pytest.mark.parametrize("name", CONVOLUTIONAL)
@pytest.mark.parametrize("side", [16, 20, 24, 28, 32, 40, 48, 56, 64])
def test_a_convolutional_model_supports_all_sizes_that_its_error_names(name: str, side: int) -> None:
    networks = small(name, (1, side, side))
    images = networks.generator(torch.randn(2, networks.latent_dim))
    assert images.shape == (2, 1, side, side)
    assert networks.discriminator(images).shape == (2, 1)


@pytest.mark.parametrize("name", CONVOLUTIONAL)
@pytest.mark.parametrize("size", [(30, 30), (28, 32), (8, 8), (128, 128)])
def test_a_convolutional_model_refuses_other_sizes(name: str, size: tuple[int, int]) -> None:
    message = rf"model '{name}' requires square images .* or 64 pixels, but this dataset has {size[0]}x{size[1]}; use"
    with pytest.raises(UsageError, match=message):
        small(name, (1, *size))


@pytest.mark.parametrize("name", CONDITIONAL)
def test_a_conditional_model_refuses_data_of_one_class(name: str) -> None:
    with pytest.raises(UsageError, match=rf"model '{name}' has conditional = true, but this dataset has no classes"):
        build(name, num_classes=1, conditional=True, **SMALL[name])


# initialization


def test_dcgans_weights_are_normal_with_standard_deviation_0_02() -> None:
    networks = build("dcgan-radford", (3, 32, 32), width=16)
    for network in (networks.generator, networks.discriminator):
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                assert module.weight.mean().item() == pytest.approx(1, abs=0.02)
                assert module.weight.std().item() == pytest.approx(0.02, rel=0.6)
                assert not module.bias.any()
            elif isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                assert module.weight.mean().item() == pytest.approx(0, abs=0.003)
                assert module.weight.std().item() == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize(
    ("layer", "std"),
    [  # sqrt(4 / (fan-in + fan-out)), where a stride of 2 divides the fan-in of a transposed convolution by 4
        ("generator.layers.0", math.sqrt(2 / (128 + 4096))),
        ("generator.layers.4", math.sqrt(4 / (256 * 25 / 4 + 128 * 25))),
        ("discriminator.layers.2", math.sqrt(4 / (64 * 25 + 128 * 25 / 4))),
    ],
)
def test_wgan_gps_weights_have_the_authors_variance(layer: str, std: float) -> None:
    networks = build("wgan-gp-convnet", (3, 32, 32), width=64)
    weight = getattr(networks, layer.partition(".")[0]).get_submodule(layer.partition(".")[2]).weight
    assert weight.std().item() == pytest.approx(std, rel=0.02)
    assert weight.abs().max().item() == pytest.approx(std * math.sqrt(3), rel=0.01)  # uniform


def test_r3gans_residual_blocks_start_as_the_identity_with_scaled_inner_layers() -> None:
    networks = build("r3gan", (3, 32, 32), width=64)
    blocks = [module for module in networks.generator.modules() if isinstance(module, ResidualBlock)]
    assert len(blocks) == 8  # two at each of 4, 8, 16 and 32 pixels
    inputs = torch.randn(2, 64, 4, 4)
    assert all(torch.equal(block(inputs), inputs) for block in blocks)
    gain = math.sqrt(2 / 1.04) * 8 ** (-1 / 4)
    assert blocks[0].layers[0].weight.std().item() == pytest.approx(gain / math.sqrt(64), rel=0.05)
    assert blocks[0].layers[2].weight.std().item() == pytest.approx(gain / math.sqrt(16 * 9), rel=0.05)
    assert blocks[0].layers[2].groups == 8


def test_r3gans_width_is_a_multiple_of_its_group_width() -> None:
    with pytest.raises(ValueError, match=r"width must be a multiple of group_width, 16; got 24"):
        build("r3gan", width=24, group_width=16)


def test_r3gan_resamples_bilinearly() -> None:
    images = torch.randn(2, 3, 8, 8)
    doubled, halved = Upsample()(images), Downsample()(images)
    expected = interpolate(images, scale_factor=2, mode="bilinear")
    torch.testing.assert_close(doubled[:, :, 1:-1, 1:-1], expected[:, :, 1:-1, 1:-1])  # zeros beyond the border
    expected = interpolate(images, scale_factor=0.5, mode="bilinear", antialias=True)
    torch.testing.assert_close(halved[:, :, 1:-1, 1:-1], expected[:, :, 1:-1, 1:-1])


# formulas


def test_mimicrys_blocks_upsample_bilinearly_and_rectify_the_input_of_the_shortcut() -> None:
    torch.manual_seed(0)
    inputs = torch.randn(4, 3, 6, 6).double()

    def convolved(layer: Any, maps: Tensor) -> Tensor:
        return conv2d(maps, layer.weight, layer.bias, padding=layer.weight.shape[-1] // 2)

    def doubled(maps: Tensor) -> Tensor:
        return interpolate(maps, scale_factor=2, mode="bilinear", align_corners=False)

    block = mimicry.GeneratorBlock(3, 1.0).double().eval()
    normalized = inputs / (1 + 1e-5) ** 0.5  # with the initial running statistics
    hidden = convolved(block.conv1, doubled(relu(normalized))) / (1 + 1e-5) ** 0.5
    expected = convolved(block.conv2, relu(hidden)) + convolved(block.shortcut, doubled(inputs))
    torch.testing.assert_close(block(inputs), expected)

    plain = mimicry.DiscriminatorBlock(3, 1.0, downsample=False).double()
    branch = convolved(plain.conv2, relu(convolved(plain.conv1, relu(inputs))))
    torch.testing.assert_close(plain(inputs), branch + relu(inputs))


def test_mimicrys_variants_differ_in_spectral_norm_pooling_and_the_range_of_images(images: Tensor) -> None:
    variants = {name: small("mimicry-resnet", variant=name) for name in ("sngan", "wgan-gp", "dcgan")}
    normalized = [any("parametrizations" in key for key in v.discriminator.state_dict()) for v in variants.values()]
    assert normalized == [True, False, False]
    critic: Any = variants["wgan-gp"].discriminator
    torch.testing.assert_close(critic(images[:8]), critic.output(critic.blocks(images[:8]).mean((2, 3))))
    on_unit_range: Any = variants["dcgan"].discriminator
    pooled = on_unit_range.blocks((images[:8] + 1) / 2).sum((2, 3))
    torch.testing.assert_close(on_unit_range(images[:8]), on_unit_range.output(pooled))
    generator: Any = variants["dcgan"].generator.eval()
    latent = torch.randn(4, 8)
    in_unit_range = generator.last(generator.blocks(generator.first(latent))).sigmoid()
    torch.testing.assert_close((generator(latent) + 1) / 2, in_unit_range)


@pytest.mark.parametrize("name", ["wgan-gp-convnet", "r3gan"])
def test_a_critic_for_gradient_penalties_judges_each_image_alone(name: str, images: Tensor) -> None:
    critic = small(name).discriminator.train()
    torch.testing.assert_close(critic(images[:8])[:1], critic(images[:1]))


def test_conditional_batch_norm_is_normalization_with_a_gain_and_a_bias_of_the_class() -> None:
    torch.manual_seed(0)
    norm, inputs, labels = ConditionalBatchNorm(3, 5).double(), torch.randn(6, 3, 4, 4).double(), torch.arange(6) % 5
    mean = inputs.mean((0, 2, 3), keepdim=True)
    normalized = (inputs - mean) / ((inputs - mean).square().mean((0, 2, 3), keepdim=True) + 2e-5).sqrt()
    torch.testing.assert_close(norm(inputs, labels), normalized)  # gain 1 and bias 0 initially
    for table in (norm.gains, norm.biases):
        nn.init.normal_(table.weight)
    expected = torch.stack(
        [
            normalized[n] * (1 + norm.gains.weight[label])[:, None, None] + norm.biases.weight[label][:, None, None]
            for n, label in enumerate(labels.tolist())
        ]
    )
    torch.testing.assert_close(norm(inputs, labels), expected)


def test_sngans_residual_blocks_repeat_pixels_average_them_and_bypass_the_first_relu() -> None:
    torch.manual_seed(0)
    inputs = torch.randn(4, 3, 6, 6).double()

    def convolved(layer: Any, maps: Tensor) -> Tensor:
        return conv2d(maps, layer.weight, layer.bias, padding=layer.weight.shape[-1] // 2)

    def normalized(maps: Tensor) -> Tensor:
        centered = maps - maps.mean((0, 2, 3), keepdim=True)
        return centered / (centered.square().mean((0, 2, 3), keepdim=True) + 2e-5).sqrt()

    def repeated(maps: Tensor) -> Tensor:
        return maps.repeat_interleave(2, 2).repeat_interleave(2, 3)

    def averaged(maps: Tensor) -> Tensor:
        return maps.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).mean((3, 5))

    up = GeneratorBlock(3, 5, None).double()
    residual = convolved(up.conv1, repeated(relu(normalized(inputs))))
    expected = convolved(up.conv2, relu(normalized(residual))) + convolved(up.shortcut, repeated(inputs))
    torch.testing.assert_close(up(inputs.clone(), None), expected)

    first = FirstDiscriminatorBlock(3, 5).double().eval()
    residual = convolved(first.conv2, relu(convolved(first.conv1, inputs)))
    torch.testing.assert_close(first(inputs.clone()), averaged(residual + convolved(first.shortcut, inputs)))

    down, same = DiscriminatorBlock(3, 5, True).double().eval(), DiscriminatorBlock(3, 3, False).double().eval()
    residual = convolved(down.conv2, relu(convolved(down.conv1, relu(inputs))))
    torch.testing.assert_close(down(inputs.clone()), averaged(residual + convolved(down.shortcut, inputs)))
    residual = convolved(same.conv2, relu(convolved(same.conv1, relu(inputs))))
    torch.testing.assert_close(same(inputs.clone()), residual + inputs)


def test_the_projection_is_the_inner_product_of_summed_features_and_a_normalized_embedding(images: Tensor) -> None:
    discriminator, labels = small("sngan-resnet", conditional=True).discriminator, torch.arange(8)
    for _ in range(100):
        discriminator(images[:8], labels)  # power iterations
    discriminator.double().eval()
    maps = discriminator.blocks(images[:8].double())
    features = maps.mean((2, 3)) * maps.shape[2] * maps.shape[3]
    weight, table = (
        layer.parametrizations.weight.original / torch.linalg.matrix_norm(layer.parametrizations.weight.original, 2)
        for layer in (discriminator.output, discriminator.embedding)
    )
    expected = ((weight + table[labels]) * features).sum(1, keepdim=True)
    torch.testing.assert_close(discriminator(images[:8].double(), labels), expected, rtol=1e-5, atol=1e-5)


def test_all_weights_of_sngans_discriminator_keep_a_largest_singular_value_of_1(images: Tensor) -> None:
    networks = small("sngan-resnet", conditional=True)
    discriminator, (labels,) = networks.discriminator, labels_for(networks, 32)
    optimizer = torch.optim.Adam(discriminator.parameters(), 2e-4, betas=(0.0, 0.9))
    for _ in range(20):
        with torch.no_grad():
            fake = networks.generator(torch.randn(32, networks.latent_dim), labels)
        loss = relu(1 - discriminator(images[:32], labels)).mean() + relu(1 + discriminator(fake, labels)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    discriminator.eval()
    layers = [module for module in discriminator.modules() if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding)]
    assert len(layers) == 12  # 3 + 3 + 2 + 2 convolutions, the output and the embedding
    for layer in layers:
        sigma = torch.linalg.matrix_norm(layer.weight.detach().double().flatten(1), 2).item()
        assert sigma == pytest.approx(1, abs=1e-2), layer


# training


@pytest.mark.parametrize(
    ("name", "options"),
    [*((name, {}) for name in SMALL), *((name, {"conditional": True}) for name in CONDITIONAL)],
)
def test_gradients_reach_all_weights_of_both_networks(name: str, options: dict[str, Any], images: Tensor) -> None:
    networks, real = small(name, **options), images[:20]
    labels = labels_for(networks, 20)
    players = (networks.generator, networks.discriminator)
    for _ in range(2):  # the inner layers of R3GAN have no gradient before the outer ones are changed
        fake = networks.generator(torch.randn(20, networks.latent_dim), *labels)
        loss = (networks.discriminator(fake, *labels) - networks.discriminator(real, *labels)).square().mean()
        for player in players:
            player.zero_grad()
        loss.backward()
        with torch.no_grad():
            for player in players:
                for parameter in player.parameters():
                    parameter.sub_(0.1 * parameter.grad / (parameter.grad.norm() + 1e-9))
    for player in players:
        for key, parameter in player.named_parameters():
            assert parameter.grad.isfinite().all(), key
            assert parameter.ndim == 1 or parameter.grad.any(), key


@pytest.mark.parametrize("name", SMALL)
def test_gradients_add_in_a_fixed_order_on_a_gpu(name: str) -> None:
    networks = small(name)

    def train() -> None:
        labels = labels_for(networks, 4)
        images = networks.generator(torch.randn(4, networks.latent_dim), *labels)
        networks.discriminator(images, *labels).sum().backward()

    assert unordered_operations(train) == []


@pytest.mark.parametrize("name", CONDITIONAL)
def test_images_and_logits_of_a_conditional_model_depend_on_the_label(name: str, images: Tensor) -> None:
    networks = small(name, conditional=True)
    for module in networks.generator.modules():
        if isinstance(module, nn.Embedding):  # zero before training in conditional batch norm
            nn.init.normal_(module.weight)
    latent = torch.randn(1, networks.latent_dim).expand(10, -1)
    generated = networks.generator(latent, torch.arange(10)).flatten(1)
    logits = networks.discriminator(images[:1].expand(10, -1, -1, -1), torch.arange(10))
    assert len(generated.detach().round(decimals=4).unique(dim=0)) == 10
    assert len(logits.detach().unique()) == 10


RUNS: dict[str, list[str]] = {
    "mlp": [],
    "dcgan-radford": [],
    "mimicry-resnet": [],
    "sngan-resnet": ["ema.half_life_kimg=0.05", "sample_images.weights=ema", "sample_images.at_epochs=[0]"],
    "wgan-gp-convnet": ["training.discriminator_steps=2", 'penalties=[{name="gradient-penalty",weight=10.0}]'],
    "r3gan": ['penalties=[{name="r1",weight=0.05},{name="r2",weight=0.05}]'],
}


@pytest.mark.parametrize(
    ("name", "overrides"),
    [*RUNS.items(), *((name, [*RUNS[name], "model.conditional=true"]) for name in CONDITIONAL)],
)
def test_a_model_trains_through_the_engine(name: str, overrides: list[str], registry: Registry, tmp_path: Path) -> None:
    options = [f"model.{key}={value}" for key, value in SMALL[name].items()]
    common = ["dataset.source=embedded", "metrics=[]", "training.steps=2", "training.batch_size=8"]
    spec = load_spec("dcgan-fashion", registry, [f"model={name}", *options, *common, *overrides])
    result, _ = run(spec, device="cpu", out=tmp_path / "run")
    assert result.status == "completed"
    (row,) = result.history
    assert row.d_loss is not None
    assert row.g_loss is not None
    assert math.isfinite(row.d_loss)
    assert math.isfinite(row.g_loss)
    assert all(math.isfinite(value) for value in row.monitors.values())
    if "sample_images.weights=ema" in overrides:
        assert (tmp_path / "run" / "samples" / "epoch-0000.png").exists()


def test_an_mlp_generates_points_far_outside_the_range_of_images() -> None:
    """Published networks for 2-D data have a linear output, as modes may lie anywhere."""
    torch.manual_seed(0)
    latent = 100 * torch.randn(64, 4)
    assert small("mlp", (2,)).generator(latent).abs().max() > 2
    assert small("mlp", (1, 2, 2)).generator(latent).abs().max() <= 1
