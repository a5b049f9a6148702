"""`ganbench sample`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from ganbench.errors import UsageError
from ganbench.reporting.console import Device, PluginArguments, given_path, out, print_text
from ganbench.spec.plugins import load_registry
from ganbench.system.signals import interrupt_once

if TYPE_CHECKING:
    from ganbench.spec.configs import Weights


class WeightsName(StrEnum):
    RAW = "raw"
    EMA = "ema"


class ModeName(StrEnum):
    EVAL = "eval"
    TRAIN = "train"


SeedOption = Annotated[
    int | None,
    typer.Option(
        "--seed",
        min=0,
        max=2**63 - 1,
        help="Random seed of the latent vectors; default: the run's, as used for its scores.",
    ),
]


@interrupt_once()
def sample(
    run: Annotated[Path, typer.Argument(metavar="RUN", parser=given_path, help="Run directory.")],
    target: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="FOLDER|FILE.npz|GRID.png",
            parser=given_path,
            help="New or empty folder of PNG files, NumPy archive, or grid of all images.",
        ),
    ],
    count: Annotated[int, typer.Option("-n", min=1, help="Number of images.")] = 64,
    seed: SeedOption = None,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="0,3,...",
            help="Cycle through these classes; default: random ones, by their frequencies in the data.",
        ),
    ] = None,
    weights: Annotated[
        WeightsName | None, typer.Option(help="Generator weights; default: ema, if the run has a moving average.")
    ] = None,
    mode: Annotated[
        ModeName, typer.Option(help="Batch norm uses running statistics (eval) or those of the batch (train).")
    ] = ModeName.EVAL,
    plugins: PluginArguments = [],  # noqa: B006 - never modified
    device: Device = "auto",
) -> None:
    """Generate images with the trained model of a run.

    With the weights and mode of one of its metrics, they are the first images that the metric scored.
    """
    classes = None if labels is None else parse_labels(labels)
    registry = load_registry(plugins, use=[run])
    from ganbench.runtime.device import resolve_device

    from .reopening import open_run
    from .sample_files import check_target, save_images

    opened = open_run(run, registry, resolve_device(device))
    source = opened.source(cast("Weights | None", weights and weights.value), mode.value)
    check_target(target, opened.sampler.data_shape)
    with opened.generating(count, source, seed, classes) as batches:
        save_images(target, count, batches)
    used = opened.training.seed if seed is None else seed
    kind = "moving-average" if source.weights == "ema" else "raw"
    print_text(out, f"{count:,} images of {run} in {target}: ", end="")
    out.print(f"step {opened.progress.steps:,}, {kind} weights, {mode} mode, seed {used}", highlight=False)


def parse_labels(text: str) -> list[int]:
    """Convert "0,3" to class numbers. Raises `UsageError` for anything else."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--labels {text}: give class numbers separated by commas, such as 0,3") from None
