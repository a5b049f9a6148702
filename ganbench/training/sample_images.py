"""Sample images of a run: real ones before training, generated ones during it.

Images are shown in a grid, and points in the plane as a scatter plot. They are not part of the result: if one cannot be
written, the run warns and continues.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.data.batches import select_images
from ganbench.plugin.callbacks import Callback, SampleImages
from ganbench.reporting import plots
from ganbench.results.run_directory import RunDirectory
from ganbench.results.sample_names import REAL, generated_name, sample_artifact, sample_file
from ganbench.runtime.rng import make_rng
from ganbench.scoring.sampling import NotFiniteError, Source, evaluation_context

from .loading import can_be_shown
from .position import Position
from .preparation import PreparedRun


def save_real_images(prepared: PreparedRun, directory: RunDirectory, callback: Callback) -> None:
    """Write samples/real.png with images of the train split."""
    count = prepared.spec.sample_images.real
    if not count or not can_be_shown(prepared.sampler.data_shape):
        return
    images = choose_real_images(prepared, count).numpy()
    with directory.extra(sample_file(REAL), sample_artifact(REAL), callback.on_warning) as path:
        if prepared.sampler.are_images:
            plots.save_grid(images, path, columns=4)
        else:
            plots.save_scatter(images, None, path)
        callback.on_sample_images(SampleImages(path.absolute(), "real", 0))


def save_generated_images(
    prepared: PreparedRun, position: Position, directory: RunDirectory, callback: Callback
) -> None:
    """Write a grid of images from fixed latent vectors; conditional models cycle through the classes.

    Generated points are plotted over as many real ones.
    """
    training, options = prepared.spec.training, prepared.spec.sample_images
    source = generated_source(prepared)
    if source is None:
        return
    count = max(options.generated, training.batch_size)
    latents = make_rng(training.seed, "pictures")
    with evaluation_context(training.seed, prepared.device):
        try:
            labels = prepared.sampler.labels.cycle if prepared.sampler.labels else None
            ((images, _),) = prepared.sampler.generate(source, count, count, latents, labels)
        except NotFiniteError as error:
            prepared.sampler.warn_once("not finite", str(error))
            return
    shown = images[: options.generated].cpu().numpy()
    name = generated_name(position.steps, prepared.steps_per_epoch)
    with directory.extra(sample_file(name), sample_artifact(name), callback.on_warning) as path:
        if prepared.sampler.are_images:
            plots.save_grid(shown, path)
        else:
            plots.save_scatter(choose_real_images(prepared, options.generated).numpy(), shown, path)
        callback.on_sample_images(SampleImages(path.absolute(), "generated", position.images))


def generated_source(prepared: PreparedRun) -> Source | None:
    """Return the weights and the mode with which sample images are generated; None if there are none."""
    options = prepared.spec.sample_images
    if not options.generated or not can_be_shown(prepared.sampler.data_shape):
        return None
    return Source(options.weights, options.generator_mode)


def choose_real_images(prepared: PreparedRun, count: int) -> Tensor:
    """Return `count` random images of the train split, or all if there are fewer, on the CPU; always the same ones."""
    train, seed = prepared.data.train, prepared.spec.training.seed
    chosen = torch.randperm(len(train), generator=make_rng(seed, "real pictures"))[:count]
    with evaluation_context(seed, prepared.device):  # reading an image may draw at random
        (images,) = select_images(train, chosen, count, torch.device("cpu"))
    return images
