"""Lightning with manual optimization, with the optimizations and the resident data of the hand-tuned loop."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.nn.functional import softplus
from torch.utils.data import DataLoader, IterableDataset

from .setting import LATENT_DIM, WARMUP_STEPS, Setting, Turns


class ResidentImages(IterableDataset[Tensor]):
    """Endless epochs of normalized batches from uint8 data on the device."""

    def __init__(self, setting: Setting) -> None:
        self.images = setting.images()[0].to(setting.device)
        self.batch_size = setting.batch_size

    def __iter__(self) -> Iterator[Tensor]:
        while True:
            for indices in torch.randperm(len(self.images), device=self.images.device).split(self.batch_size):
                yield self.images[indices].float().div_(127.5).sub_(1)


class GAN(lightning.LightningModule):
    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.setting = setting
        self.generator, self.discriminator = setting.players()

    def configure_optimizers(self) -> Any:
        return [self.setting.adam(player, fused=True) for player in (self.generator, self.discriminator)], []

    def training_step(self, real: Tensor, _: int) -> None:
        optimizers: Any = self.optimizers()
        optimizer_g, optimizer_d = optimizers

        self.toggle_optimizer(optimizer_d)
        fake = self.generator(torch.randn(len(real), LATENT_DIM, device=self.device))
        loss_d = softplus(-self.discriminator(real)).mean() + softplus(self.discriminator(fake)).mean()
        optimizer_d.zero_grad()
        self.manual_backward(loss_d)
        optimizer_d.step()
        self.untoggle_optimizer(optimizer_d)

        self.toggle_optimizer(optimizer_g)
        fake = self.generator(torch.randn(len(real), LATENT_DIM, device=self.device))
        loss_g = softplus(-self.discriminator(fake)).mean()
        optimizer_g.zero_grad()
        self.manual_backward(loss_g)
        optimizer_g.step()
        self.untoggle_optimizer(optimizer_g)


class TakesTurns(lightning.Callback):
    """Counts the images of steps after the warm-up."""

    def __init__(self, setting: Setting) -> None:
        self.turns = Turns(setting)
        self.steps = 0

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Tensor, index: int) -> None:
        self.steps += 1
        if self.steps == WARMUP_STEPS:
            self.turns.begin()
        elif self.steps > WARMUP_STEPS:
            self.turns.add(len(batch))


def run(setting: Setting) -> None:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    trainer = lightning.Trainer(
        accelerator="gpu" if setting.device.startswith("cuda") else "cpu",
        devices=1,
        precision="bf16-mixed" if setting.precision == "bf16" else "32-true",
        max_steps=-1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[TakesTurns(setting)],
    )
    trainer.fit(GAN(setting), DataLoader(ResidentImages(setting), batch_size=None))
