"""`ganbench eval`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ganbench.errors import MissingError, UsageError
from ganbench.reporting.console import (
    AsJson,
    DataDir,
    Device,
    Overrides,
    PluginArguments,
    err,
    out,
    print_json,
    print_warning,
)
from ganbench.scoring.sample_command import ModeName, SeedOption, WeightsName
from ganbench.spec.plugins import load_registry


def evaluate(
    samples: Annotated[
        Path, typer.Argument(metavar="SAMPLES|RUN", help="Folder of images, .npy or .npz file, or run directory.")
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
            help="Number of images to score: the first ones, or those to generate for a run; default: all, or as its "
            "metrics specify.",
        ),
    ] = None,
    weights: Annotated[
        WeightsName | None,
        typer.Option(
            help="Generator weights of a run; default: as its metrics specify; with --metrics, ema if the run has "
            "[ema], else raw."
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
        Path | None, typer.Option("--out", metavar="FILE.json", help="Also write the result, for `ganbench compare`.")
    ] = None,
    device: Device = "auto",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Score images that were generated elsewhere, or the trained model of a run."""
    from ganbench.results.run_directory import is_run_directory

    from .request import Request, check_arguments, spec_file

    is_run = is_run_directory(samples)
    run_only = {"--weights": weights, "--mode": mode, "--seed": seed}
    check_arguments(samples, is_run, against, run_only, {"--array": array, "--layout": layout})
    if target is not None:
        check_target(target)
    registry = load_registry(plugins, spec_file(against), resume=samples if is_run else None)
    from ganbench.reporting.result_tables import metrics_table, protocols_table
    from ganbench.system.files import explained_write, write_text

    from .run import ArrayOptions, run_evaluation

    names = [name.strip() for name in metrics.split(",")] if metrics else []
    request = Request(against, names, features, overrides, count, weights and weights.value, mode and mode.value)
    options = ArrayOptions(array, "NCHW" if layout == "NCHW" else "NHWC" if layout else None)
    result = run_evaluation(samples, request, registry, device, data_dir, seed, options, print_warning)
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
    if target.exists():
        try:
            replaced = load_result(target)
        except (UsageError, MissingError):
            raise UsageError(f"--out {target}: exists and is not a ganbench result; choose another name") from None
        if "training" in replaced.spec:
            raise UsageError(f"--out {target}: exists and is the result of a training run; choose another name")
