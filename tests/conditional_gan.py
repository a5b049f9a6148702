"""A small conditional GAN on real images, with everything that a step can have: what tests make of it."""

from __future__ import annotations

SOURCE = """
from typing import Annotated
import torch
from torch import nn
from linear_gan import LATENT, PIXELS, few_images, other_images
from ganbench import (
    AugmentationPlugin, DatasetPlugin, ImageData, LossPlugin, ModelPlugin, Networks, Options, PenaltyPlugin,
    Schedulable, ScheduleConfig, hookimpl
)

class Scheduled(Options):
    contrast: Annotated[float | ScheduleConfig, Schedulable(ge=0)] = 1.0

class Generator(nn.Module):
    def __init__(self, contrast):
        super().__init__()
        self.contrast = contrast
        self.embed = nn.Embedding(10, LATENT)
        self.layers = nn.Sequential(
            nn.Linear(LATENT, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, PIXELS), nn.Tanh(),
            nn.Unflatten(1, (1, 28, 28)),
        )

    def forward(self, latent, labels):
        assert labels.dtype == torch.int64 and labels.shape == (len(latent),)
        return self.contrast * self.layers(latent + self.embed(labels))

class Discriminator(nn.Module):
    \"\"\"A projection discriminator (Miyato and Koyama 2018, arXiv:1802.05637).\"\"\"

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, 16), nn.Tanh(), nn.Dropout(0.1))
        self.linear, self.embed = nn.Linear(16, 1), nn.Embedding(10, 16)

    def forward(self, images, labels):
        features = self.features(images)
        return self.linear(features) + (self.embed(labels) * features).sum(1, keepdim=True)

class Hinge:
    def discriminator_loss(self, players, batch):
        real = players.discriminate(batch.real, batch.labels)
        fake = players.discriminate(players.generate(batch), batch.fake_labels)
        return (1 - real).relu().mean() + (1 + fake).relu().mean(), {"real_output": real.mean()}

    def generator_loss(self, players, batch):
        return -players.discriminate(players.generate(batch), batch.fake_labels).mean(), {}

class InHalves(Hinge, nn.Module):
    \"\"\"Accumulates the gradients of generated and of real images, whose logits are relative to a running mean.\"\"\"

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))

    def discriminator_loss(self, players, batch):
        fake = players.discriminate(players.generate(batch), batch.fake_labels)
        (1 + fake).relu().mean().backward()
        real = players.discriminate(batch.real, batch.labels) - self.mean
        self.mean.lerp_(real.detach().mean(), 0.1)
        return (1 - real).relu().mean(), {}

class PathLength(nn.Module):
    \"\"\"Path length regularization (Karras et al. 2020, arXiv:1912.04958), for the latent vectors.\"\"\"

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, players, batch):
        latent = batch.latent.detach().requires_grad_()
        images = players.networks.generator(latent, batch.fake_labels)
        (gradient,) = torch.autograd.grad((images * torch.randn_like(images)).sum(), latent, create_graph=True)
        length = gradient.square().sum(1).sqrt()
        self.mean.lerp_(length.detach().mean(), 0.1)
        return (length - self.mean).square().mean()

class Adaptive(nn.Module):
    \"\"\"Dims images with a probability that follows the discriminator's logits, as ADA's p does.\"\"\"

    def __init__(self):
        super().__init__()
        self.register_buffer("p", torch.tensor(0.5))

    def forward(self, images):
        dimmed = torch.rand(len(images), 1, 1, 1, device=images.device) < self.p
        return torch.where(dimmed, images * 0.5, images)

    def adapt(self, logits):
        self.p.add_(0.05 * logits.sign().mean()).clamp_(0, 1)

class Streamed(torch.utils.data.Dataset):
    def __init__(self, split):
        self.split = split
    def __len__(self):
        return len(self.split)
    def __getitem__(self, index):
        return self.split[index]

@hookimpl
def ganbench_models():
    def build(options, context):
        generator = Generator(context.scheduled(options.contrast))
        return Networks(generator, Discriminator(), LATENT, conditional=True)
    return [ModelPlugin(name="projection", summary="Conditional", options=Scheduled, build=build)]

@hookimpl
def ganbench_losses():
    return [
        LossPlugin(name="hinge-test", summary="Hinge", build=lambda o, c: Hinge()),
        LossPlugin(name="in-halves", summary="Hinge", build=lambda o, c: InHalves()),
    ]

@hookimpl
def ganbench_penalties():
    return [PenaltyPlugin(name="path-length", summary="-", player="generator", build=lambda o, c: PathLength())]

@hookimpl
def ganbench_augmentations():
    return [AugmentationPlugin(name="adaptive", summary="Adapts", build=lambda o, c: Adaptive())]

@hookimpl
def ganbench_datasets():
    def resident(options, context):
        return ImageData(few_images(), other_images(), 10, "own", "ef" * 32)
    def streamed(options, context):
        split = few_images()
        counts = torch.bincount(split.tensors[1].long(), minlength=10).tolist()
        return ImageData(Streamed(split), Streamed(split), 10, "own", "ef" * 32, label_counts=tuple(counts))
    return [
        DatasetPlugin(name="few", summary="Few images", build=resident),
        DatasetPlugin(name="few-streamed", summary="Few images", build=streamed),
    ]
"""
CONDITIONAL = [
    *("model=projection", "loss=hinge-test", "dataset=few", "training.batch_size=4", "training.steps=12"),
    *("metrics=[]", "sample_images.real=0", "sample_images.generated=0", "data.workers=0"),
    *("optimizer.generator={name='adam',lr=1e-3}", "optimizer.discriminator={name='adam',lr=1e-3}"),
]
PARTS = {
    "ema": ["ema.half_life_kimg=0.02", 'metrics=[{name="fid",features="fashion-cnn",num_samples=20,weights="ema"}]'],
    "adaptive": ['augmentations=["adaptive"]'],
    "schedule": [
        "optimizer.discriminator.lr={name='cosine',start=1e-2,end=1e-4}",
        "ema.half_life_kimg={name='cosine',start=0.0,end=0.02}",
    ],
    "generator penalty": ['penalties=[{name="path-length",weight=1.0,every=2}]'],
    "lazy": ['penalties=[{name="r1",weight=0.1,every=4},{name="gradient-penalty",weight=1.0,every=2}]'],
    "accumulated gradients": ["loss=in-halves"],
    "scheduled network": ["model.contrast={name='linear',start=0.1,end=1.0}", "ema.half_life_kimg=0.02"],
    "updates": ["training.discriminator_steps=3", "training.generator_batch_size=8"],
    "flips": ["training.horizontal_flips=true"],
    "bf16": ["training.precision=bf16"],
    "streamed": ["dataset=few-streamed"],
}
ALL_PENALTIES = PARTS["lazy"][0].replace("[{", '[{name="path-length",weight=1.0,every=2},{')
EVERYTHING = [*(override for overrides in PARTS.values() for override in overrides), ALL_PENALTIES]
