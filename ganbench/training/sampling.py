"""Generating images without a trace in the training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

import torch
from torch import Tensor, nn

from ganbench.errors import PluginError
from ganbench.protocols import Loss, Networks
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
    with modes_and_buffers_kept(networks.generator):
        networks.generator.train(mode == "train")
        yield


@contextmanager
def kept(networks: Networks, loss: Loss) -> Iterator[None]:
    """After the block, modes and buffers of both players and the state of the loss are as they were."""
    state = deepcopy(loss.state_dict()) if hasattr(loss, "state_dict") else None
    try:
        with modes_and_buffers_kept(networks.generator), modes_and_buffers_kept(networks.discriminator):
            yield
    finally:
        if hasattr(loss, "load_state_dict"):
            loss.load_state_dict(state)


@contextmanager
def modes_and_buffers_kept(network: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in network.modules()}
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
        for name, buffer in network.named_buffers():
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
            images = networks.generator(latent)
            if images.dim() != 4:
                raise PluginError(
                    f"the generator makes no images: what it returns has the shape {tuple(images.shape)}, not "
                    "(N, channels, height, width)"
                )
            yield to_uint8(images)[: count - start]
