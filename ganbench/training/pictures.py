"""The pictures of a run: real images before training, generated ones along the way."""

from __future__ import annotations

import torch

from ganbench import plots
from ganbench.result import RunDirectory

from .data import select_images
from .evaluation import generate
from .preparation import Prepared
from .seeds import stream


def save_real_images(prepared: Prepared, directory: RunDirectory) -> None:
    """Write samples/real.png: some images of the train split."""
    train, pictures = prepared.data.train, prepared.spec.pictures
    order = torch.randperm(len(train), generator=stream(prepared.spec.training.seed, "pictures"))
    chosen = order[: pictures.real]
    (images,) = select_images(train, chosen, len(chosen), torch.device("cpu"))
    plots.save_grid(images.numpy(), directory.file("samples/real.png", "samples_real"), columns=4)


def save_generated_images(prepared: Prepared, epoch: int, directory: RunDirectory) -> None:
    """Write samples/epoch-NNNN.png: what the generator makes of one fixed noise, a whole batch of it."""
    training, pictures = prepared.spec.training, prepared.spec.pictures
    count = max(pictures.generated, training.batch_size)
    latents = stream(training.seed, "pictures")
    (images,) = generate(prepared.networks, pictures.generator_mode, count, count, latents, prepared.device)
    path = directory.file(f"samples/epoch-{epoch:04d}.png", f"samples_epoch_{epoch:04d}")
    plots.save_grid(images[: pictures.generated].cpu().numpy(), path)
