"""The pictures of a run: real images before training, generated ones along the way, losses and a course at the end.

They are not part of the result: one that cannot be written is a warning.
"""

from __future__ import annotations

import torch

from ganbench.data.batches import select_images
from ganbench.plugin.callbacks import Callback
from ganbench.reporting import plots
from ganbench.results.run_directory import RunDirectory
from ganbench.results.schema import EpochRow
from ganbench.runtime.seeds import stream
from ganbench.scoring.sampling import NotFiniteError, isolated
from ganbench.system.files import atomic_write

from .preparation import PreparedRun, can_show


def save_real_images(prepared: PreparedRun, directory: RunDirectory, callback: Callback) -> None:
    """Write samples/real.png: some images of the train split."""
    train, count = prepared.data.train, prepared.spec.sample_images.real
    if not count or not can_show(prepared.sampler.image_shape):
        return
    chosen = torch.randperm(len(train), generator=stream(prepared.spec.training.seed, "real pictures"))[:count]
    with isolated(prepared.spec.training.seed, prepared.device):  # reading an image may draw at random
        (images,) = select_images(train, chosen, count, torch.device("cpu"))
    with directory.extra("samples/real.png", "samples_real", callback.on_warning) as path:
        plots.save_grid(images.numpy(), path, columns=4)


def save_generated_images(prepared: PreparedRun, moment: str, directory: RunDirectory, callback: Callback) -> None:
    """Write samples/MOMENT.png: what the generator makes of one fixed noise, a whole batch of it."""
    training, options = prepared.spec.training, prepared.spec.sample_images
    if not options.generated or not can_show(prepared.sampler.image_shape):
        return
    count = max(options.generated, training.batch_size)
    latents = stream(training.seed, "pictures")
    with isolated(training.seed, prepared.device):
        try:
            (images,) = prepared.sampler.generate(options.generator_mode, count, count, latents)
        except NotFiniteError as error:
            prepared.sampler.warn_once("not finite", str(error))
            return
    name, artifact = f"samples/{moment}.png", f"samples_{moment.replace('-', '_')}"
    with directory.extra(name, artifact, callback.on_warning) as path:
        plots.save_grid(images[: options.generated].cpu().numpy(), path)


def save_course(prepared: PreparedRun, history: list[EpochRow], directory: RunDirectory, callback: Callback) -> None:
    """Write course.png, if the loss can picture a training."""
    loss = prepared.step.loss
    if not hasattr(loss, "draw") or not history:
        return
    with (
        directory.extra("course.png", "course", callback.on_warning) as path,
        atomic_write(path) as part,
        prepared.spec.loss.plugin.wrap_errors("raised in draw"),
    ):
        loss.draw(history, part)
