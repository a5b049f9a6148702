"""Generating images without a trace in the training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from ganbench.protocols import Networks
from ganbench.spec import GeneratorMode

from .data import to_uint8
from .precision import float32_products
from .seeds import derived_seed, seed_torch


@contextmanager
def isolated(seed: int, device: torch.device) -> Iterator[None]:
    """No gradients, IEEE float32, and torch's global random streams seeded; afterwards they are as they were."""
    forked = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(forked), torch.no_grad(), float32_products("fp32"):
        seed_torch(derived_seed(seed, "isolated"), device)
        yield


@contextmanager
def generator_mode(networks: Networks, mode: GeneratorMode) -> Iterator[None]:
    """The generator in train or eval mode; afterwards its modes and buffers are as they were."""
    generator = networks.generator
    modes = {module: module.training for module in generator.modules()}
    buffers = {name: buffer.clone() for name, buffer in generator.named_buffers()}
    try:
        generator.train(mode == "train")
        yield
    finally:
        for module, training in modes.items():
            module.training = training
        for name, buffer in generator.named_buffers():
            buffer.copy_(buffers[name])


def generate(
    networks: Networks, mode: GeneratorMode, count: int, batch_size: int, latents: torch.Generator, device: torch.device
) -> Iterator[Tensor]:
    """`count` generated images, uint8 `(N, C, H, W)`, in batches; to be called within `isolated`.

    Each is made in a full batch, the last one cut afterwards: in train mode an image depends on its batch's statistics.
    The latents are drawn on the CPU, so that the same ones come on every device.
    """
    with generator_mode(networks, mode):
        for start in range(0, count, batch_size):
            latent = torch.randn(batch_size, networks.latent_dim, generator=latents).to(device)
            yield to_uint8(networks.generator(latent))[: count - start]
