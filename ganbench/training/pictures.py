"""The pictures of a run: real images before training, generated ones along the way, a course at the end."""

from __future__ import annotations

import torch

from ganbench import plots
from ganbench.files import written_whole
from ganbench.result import EpochRow, RunDirectory

from .data import select_images
from .preparation import Prepared, can_show
from .sampling import NotFiniteError, isolated
from .seeds import stream


def save_real_images(prepared: Prepared, directory: RunDirectory) -> None:
    """Write samples/real.png: some images of the train split."""
    train, count = prepared.data.train, prepared.spec.pictures.real
    if not count or not can_show(prepared.data.image_shape):
        return
    chosen = torch.randperm(len(train), generator=stream(prepared.spec.training.seed, "real pictures"))[:count]
    with isolated(prepared.spec.training.seed, prepared.device):  # reading an image may draw at random
        (images,) = select_images(train, chosen, count, torch.device("cpu"))
    plots.save_grid(images.numpy(), directory.file("samples/real.png", "samples_real"), columns=4)


def save_generated_images(prepared: Prepared, moment: str, directory: RunDirectory) -> None:
    """Write samples/MOMENT.png: what the generator makes of one fixed noise, a whole batch of it."""
    training, pictures = prepared.spec.training, prepared.spec.pictures
    if not pictures.generated or not can_show(prepared.data.image_shape):
        return
    count = max(pictures.generated, training.batch_size)
    latents = stream(training.seed, "pictures")
    with isolated(training.seed, prepared.device):
        try:
            (images,) = prepared.sampler.generate(pictures.generator_mode, count, count, latents)
        except NotFiniteError as error:
            prepared.sampler.warn_once("not finite", str(error))
            return
    path = directory.file(f"samples/{moment}.png", f"samples_{moment.replace('-', '_')}")
    plots.save_grid(images[: pictures.generated].cpu().numpy(), path)


def save_course(prepared: Prepared, history: list[EpochRow], directory: RunDirectory) -> None:
    """Write course.png, if the loss can picture a training."""
    loss = prepared.step.loss
    if not hasattr(loss, "draw") or not history:
        return
    with (
        written_whole(directory.file("course.png", "course")) as part,
        prepared.spec.loss.plugin.blamed("raised in draw"),
    ):
        loss.draw(history, part)
