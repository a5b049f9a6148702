"""The pictures of a run: real images before training, generated ones along the way, losses and a course at the end.

They are not part of the result: one that cannot be written is a warning.
"""

from __future__ import annotations

import torch

from ganbench.data.batches import select_images
from ganbench.plugin.callbacks import Observer
from ganbench.reporting import plots
from ganbench.results.result import EpochRow, RunDirectory
from ganbench.runtime.seeds import stream
from ganbench.scoring.sampling import NotFiniteError, isolated
from ganbench.system.files import written_whole

from .preparation import Prepared, can_show


def save_real_images(prepared: Prepared, directory: RunDirectory, observer: Observer) -> None:
    """Write samples/real.png: some images of the train split."""
    train, count = prepared.data.train, prepared.spec.pictures.real
    if not count or not can_show(prepared.sampler.image_shape):
        return
    chosen = torch.randperm(len(train), generator=stream(prepared.spec.training.seed, "real pictures"))[:count]
    with isolated(prepared.spec.training.seed, prepared.device):  # reading an image may draw at random
        (images,) = select_images(train, chosen, count, torch.device("cpu"))
    with directory.extra("samples/real.png", "samples_real", observer.warned) as path:
        plots.save_grid(images.numpy(), path, columns=4)


def save_generated_images(prepared: Prepared, moment: str, directory: RunDirectory, observer: Observer) -> None:
    """Write samples/MOMENT.png: what the generator makes of one fixed noise, a whole batch of it."""
    training, pictures = prepared.spec.training, prepared.spec.pictures
    if not pictures.generated or not can_show(prepared.sampler.image_shape):
        return
    count = max(pictures.generated, training.batch_size)
    latents = stream(training.seed, "pictures")
    with isolated(training.seed, prepared.device):
        try:
            (images,) = prepared.sampler.generate(pictures.generator_mode, count, count, latents)
        except NotFiniteError as error:
            prepared.sampler.warn_once("not finite", str(error))
            return
    name, artifact = f"samples/{moment}.png", f"samples_{moment.replace('-', '_')}"
    with directory.extra(name, artifact, observer.warned) as path:
        plots.save_grid(images[: pictures.generated].cpu().numpy(), path)


def save_course(prepared: Prepared, history: list[EpochRow], directory: RunDirectory, observer: Observer) -> None:
    """Write course.png, if the loss can picture a training."""
    loss = prepared.step.loss
    if not hasattr(loss, "draw") or not history:
        return
    with (
        directory.extra("course.png", "course", observer.warned) as path,
        written_whole(path) as part,
        prepared.spec.loss.plugin.blamed("raised in draw"),
    ):
        loss.draw(history, part)
