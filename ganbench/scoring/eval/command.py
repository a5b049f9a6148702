"""`ganbench eval`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from ganbench.errors import MissingError, UsageError
from ganbench.reporting.console import (
    AsJson,
    DataDir,
    Device,
    Overrides,
    PluginArguments,
    err,
    given_path,
    out,
    print_json,
    print_warning,
)
from ganbench.scoring.sample_command import ModeName, SeedOption, WeightsName
from ganbench.system.files import exists, expand_home
from ganbench.system.signals import interrupt_once

if TYPE_CHECKING:
    from .arrays import Layout


@interrupt_once()
def evaluate(
    samples: Annotated[
        Path,
        typer.Argument(
            metavar="SAMPLES|RUN", parser=given_path, help="Folder of images, .npy or .npz file, or run directory."
        ),
    ],
    against: Annotated[
        str | None,
        typer.Option(
            metavar="DATASET|BENCHMARK|SAMPLES", help="What to compare with; for a run, the default is its own dataset."
        ),
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(metavar="fid,kid,...", help="Metrics; default: those of the benchmark or the run.")
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Feature extractor of all metrics, of `ganbench list feature-extractors`; default: that of the "
            "benchmark or the run.",
        ),
    ] = None,
    overrides: Overrides = [],  # noqa: B006 - never modified
    plugins: PluginArguments = [],  # noqa: B006
    count: Annotated[
        int | None,
        typer.Option(
            "-n",
            min=2,
            help="Number of images to score: the first ones, or those to generate for a run; default: all images, "
            "or for a run, as its metrics specify.",
        ),
    ] = None,
    weights: Annotated[
        WeightsName | None,
        typer.Option(
            help="Generator weights of a run; default: as its metrics specify; with --metrics, ema if the run has a "
            "moving average, else raw."
        ),
    ] = None,
    mode: Annotated[
        ModeName | None,
        typer.Option(
            "--mode",
            help="Batch norm of a run's generator uses running (eval) or batch statistics (train); default: as its "
            "metrics specify.",
        ),
    ] = None,
    seed: SeedOption = None,
    array: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Array of an .npz file; default: the only one with 3 or 4 dimensions."),
    ] = None,
    layout: Annotated[
        str | None, typer.Option(metavar="NHWC|NCHW", help="Order of an array's axes, if its shape fits both.")
    ] = None,
    target: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE.json", parser=given_path, help="Also write the result, for `ganbench compare`."
        ),
    ] = None,
    device: Device = "auto",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Score images that were generated elsewhere, or the trained model of a run."""
    from .request import Request

    names = [name.strip() for name in metrics.split(",")] if metrics else []
    request = Request(
        against=against and expand_home(against),
        metrics=names,
        features=features,
        overrides=overrides,
        count=count,
        weights=weights and weights.value,
        mode=mode and mode.value,
        seed=seed,
        array=array,
        layout=cast("Layout | None", layout),
    )
    request.check(samples)
    if target is not None:
        check_target(target)
    registry = request.registry_for(samples, plugins)
    from ganbench.reporting.result_tables import metrics_table, protocols_table
    from ganbench.runtime.device import resolve_device
    from ganbench.system.files import explained_write, write_text

    from .run import RequestedEvaluation

    evaluation = RequestedEvaluation(request, registry, resolve_device(device), data_dir, print_warning)
    result = evaluation.score(samples)
    console = err if as_json else out
    console.print(metrics_table(result))
    console.print()
    console.print(protocols_table(result.metrics))
    if as_json:
        print_json(json.loads(result.to_json()))
    if target is not None:
        with explained_write(target):
            write_text(target, result.to_json())


def check_target(target: Path) -> None:
    """Raise `UsageError` if the result cannot be written there, or would overwrite anything but an evaluation."""
    from ganbench.results.schema import load_result
    from ganbench.system.files import require_output_file

    require_output_file(target, "--out")
    if exists(target):
        try:
            replaced = load_result(target)
        except (UsageError, MissingError):
            raise UsageError(f"--out {target}: exists and is not a ganbench result; choose another name") from None
        if replaced.was_trained:
            raise UsageError(f"--out {target}: exists and is the result of a training run; choose another name")
