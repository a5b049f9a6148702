"""`ganbench audit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ganbench.errors import UsageError
from ganbench.reporting.console import (
    DataDir,
    Device,
    Overrides,
    PluginArguments,
    err,
    given_path,
    out,
    print_text,
    print_warning,
)
from ganbench.system.files import exists, require_output_file
from ganbench.system.signals import interrupt_once


@interrupt_once()
def audit(
    metric: Annotated[str, typer.Argument(metavar="METRIC", help="Metric of images, such as fid.")],
    dataset: Annotated[str, typer.Option("--on", metavar="DATASET", help="Dataset or benchmark to take images from.")],
    features: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Feature extractor of the metric; `ganbench list feature-extractors` lists all."
        ),
    ] = None,
    overrides: Overrides = [],  # noqa: B006 - never modified
    plugins: PluginArguments = [],  # noqa: B006
    count: Annotated[int, typer.Option("-n", min=4, help="Number of images to score.")] = 1000,
    draws: Annotated[int, typer.Option(min=2, help="Number of draws of images, for standard deviations.")] = 3,
    target: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.png", parser=given_path, help="Also plot the scores.")
    ] = None,
    device: Device = "auto",
    data_dir: DataDir = None,
) -> None:
    """Test a metric on a dataset: score different numbers of real images, and images with known flaws."""
    if target is not None:
        if target.suffix != ".png":
            raise UsageError(f"--out {target}: give a file that ends in .png")
        require_output_file(target, "--out")
        if exists(target):
            raise UsageError(f"--out {target}: already exists; choose another name, or remove it")
    from ganbench.scoring.eval.request import Request

    request = Request(
        against=dataset, metrics=[metric], features=features, overrides=overrides, count=count, option="--on"
    )
    registry = request.registry_for(None, plugins)
    from ganbench.runtime.device import resolve_device

    from .audit import audit_metrics
    from .plot import save_plot
    from .tables import audit_table

    spec = request.spec(registry, None, count)
    if spec.dataset is None:
        raise UsageError(f"--on {dataset}: an audit needs a dataset with two splits, not files")
    if len(spec.metrics) > 1:
        raise UsageError(f"-o metrics: an audit is of one metric, but there are {len(spec.metrics)}; audit each alone")
    with err.status("opening the dataset") as status:
        (result,) = audit_metrics(
            spec,
            resolve_device(device),
            data_dir,
            count,
            draws,
            status.update,
            print_warning,
            request.reference_seed(registry),
        )
    out.print(audit_table(result))
    if target is not None:
        save_plot(result, target)
        print_text(out, f"\nplot in {target}")
