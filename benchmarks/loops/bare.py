"""A hand-tuned loop for this GAN, without a framework: resident uint8 data, fused optimizers, no synchronization."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.nn.functional import softplus

from .setting import LATENT_DIM, Setting, take_turns


def steps(setting: Setting) -> Iterator[int]:
    images = setting.images()[0].to(setting.device)
    generator, discriminator = setting.players()
    optimizer_g, optimizer_d = setting.adam(generator, fused=True), setting.adam(discriminator, fused=True)
    while True:
        for indices in torch.randperm(len(images), device=setting.device).split(setting.batch_size):
            real = images[indices].float().div_(127.5).sub_(1)

            with torch.no_grad(), setting.autocast():
                fake = generator(torch.randn(len(real), LATENT_DIM, device=setting.device))
            with setting.autocast():
                loss_d = softplus(-discriminator(real)).mean() + softplus(discriminator(fake)).mean()
            optimizer_d.zero_grad()
            loss_d.backward()
            optimizer_d.step()

            discriminator.requires_grad_(False)
            with setting.autocast():
                fake = generator(torch.randn(len(real), LATENT_DIM, device=setting.device))
                loss_g = softplus(-discriminator(fake)).mean()
            optimizer_g.zero_grad()
            loss_g.backward()
            optimizer_g.step()
            discriminator.requires_grad_(True)
            yield len(real)


def run(setting: Setting) -> None:
    take_turns(setting, steps(setting))
