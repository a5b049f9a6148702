"""Score images that a script or a notebook has: arrays, tensors, samples, files, or a run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ganbench.errors import UsageError
from ganbench.plugin.registry import plugin_names
from ganbench.reporting.display import warn_caller
from ganbench.results.schema import Result
from ganbench.scoring.eval.request import Request
from ganbench.system.files import StrPath, as_path, expand_home, named_data_dir

from .arguments import check_overrides, optional_integer, optional_path, texts
from .finished import Run
from .samples import Samples

if TYPE_CHECKING:
    import numpy as np


def evaluate(
    images: Any,
    *overrides: str,
    against: StrPath | Run | None = None,
    metrics: str | Sequence[str] = (),
    features: str | None = None,
    count: int | None = None,
    weights: Literal["raw", "ema"] | None = None,
    mode: Literal["train", "eval"] | None = None,
    seed: int | None = None,
    array: str | None = None,
    layout: Literal["NHWC", "NCHW"] | None = None,
    device: str = "auto",
    plugins: StrPath | Iterable[StrPath] = (),
    data_dir: StrPath | None = None,
) -> Result:
    """Score images exactly as a run scores its own, as `ganbench eval` does, and return a result without training.

    - `images`: a NumPy array or a tensor, uint8 or floats in [0, 1] or [-1, 1], `(N, C, H, W)`, `(N, H, W, C)` or
      `(N, H, W)`; what `Run.sample` returns; a folder or file of images; a run, or its directory.
    - `overrides`: strings "PATH=VALUE" for the evaluation, such as "dataset.source=embedded".
    - `against`: a dataset, a benchmark, a run, or a folder or file of images; by default, a run is compared with its
      own dataset.
    - `metrics`, `features`: names of metrics, and of the feature extractor of all; the default is that of the benchmark
      or the run.
    - `count`: number of images to score: the first ones, or those to generate for a run.
    - `weights`, `mode`, `seed`: how a run generates images.
    - `array`, `layout`: which array of an .npz file, and the order of an array's axes if its shape fits both.
    - `device`, `plugins`, `data_dir`: as for `ganbench.run`.

    Warnings about scores are Python warnings. Raises a subclass of `GanbenchError`, with the message of the command
    line, for errors that a user can cause.
    """
    source = source_of(images)
    if isinstance(against, Run):
        against = against.directory
    if not isinstance(against, str | os.PathLike | None):
        raise UsageError(
            f"against: expected a name, a run, or the path of a folder or file of images, got {type(against).__name__};"
            " save an array with numpy.save, and give its path"
        )
    names = metrics.split(",") if isinstance(metrics, str) else texts("metrics", metrics, "names of metrics")
    request = Request(
        against=None if against is None else expand_home(against),
        metrics=[name.strip() for name in names],
        features=features,
        overrides=check_overrides(overrides),
        count=optional_integer("count", count),
        weights=weights,
        mode=mode,
        seed=optional_integer("seed", seed),
        array=array,
        layout=layout,
    )
    named = source if isinstance(source, Path) else "images"
    request.check(named)
    registry = request.registry_for(named, plugin_names(plugins))

    from ganbench.runtime.device import resolve_device
    from ganbench.scoring.eval.run import RequestedEvaluation

    given = optional_path("data_dir", data_dir)
    folder = None if given is None else named_data_dir(given)
    return RequestedEvaluation(request, registry, resolve_device(str(device)), folder, warn_caller).score(source)


def source_of(images: Any) -> Path | np.ndarray:
    """Return the path or the array that `images` stands for. Raises `UsageError` for anything else."""
    import numpy as np
    import torch

    if isinstance(images, Run):
        return images.directory
    if isinstance(images, str | os.PathLike):
        return as_path("images", images)
    if isinstance(images, Samples):
        images = images.images
    if isinstance(images, torch.Tensor):
        images = images.detach().cpu()
        images = (images.float() if images.is_floating_point() else images).numpy()
    if not isinstance(images, np.ndarray):
        expected = "an array, a tensor, samples, a run, or the path of a folder, a file or a run directory"
        raise UsageError(f"images: expected {expected}, got {type(images).__name__}")
    return images
