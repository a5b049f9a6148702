"""`ganbench suite train`: the hidden command of a job of several cells, which trains them at once on a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganbench.api.exit_codes import exit_code
from ganbench.errors import GanbenchError
from ganbench.reporting.console import DataDir, Device, PluginArguments, Track, err, out, print_text
from ganbench.results.layout import cell_run, cell_spec, is_run_directory

if TYPE_CHECKING:
    from ganbench.results.schema import Result


def train(
    folder: Annotated[Path, typer.Argument(help="The suite's folder.")],
    cells: Annotated[list[str], typer.Argument(help="Its cells to train.")],
    track: Track = [],  # noqa: B006 - never modified
    device: Device = "auto",
    data_dir: DataDir = None,
    plugins: PluginArguments = [],  # noqa: B006
) -> None:
    """Train cells of a suite that differ only in their seed at once."""
    files = {cell_run(folder, cell): cell_spec(folder, cell) for cell in cells}
    outcomes: dict[Path, Result | GanbenchError]
    try:
        if any(map(is_run_directory, files)):
            raise GanbenchError("a cluster has queued the job again; the suite resumes each cell in a job of its own")
        outcomes = train_files(files, track, device, data_dir, plugins)
    except GanbenchError as error:  # before training
        outcomes = dict.fromkeys(files, error)
    for directory, outcome in outcomes.items():
        if isinstance(outcome, GanbenchError):
            print_text(err, f"error: {directory.name}: {outcome}")
    not_started = [directory for directory in files if directory not in outcomes]
    raise typer.Exit(exit_code(outcomes.values(), not_started))


def train_files(
    files: dict[Path, Path], track: list[str], device: str, data_dir: Path | None, plugins: list[str]
) -> dict[Path, Result | GanbenchError]:
    """Train the specs in files at once, by run directory."""
    from ganbench.api.spec import resolve_spec
    from ganbench.reporting.display import terminal_display
    from ganbench.spec.loading import load_spec
    from ganbench.spec.trackers import choose_trackers
    from ganbench.training.arguments import RunArguments
    from ganbench.training.seeds import train_specs

    found = resolve_spec(next(iter(files.values())), [], plugins)
    arguments = RunArguments(
        device=device,
        data_dir=data_dir,
        published_curve=found.published_curve,
        trackers=choose_trackers(track, found.spec.name, found.registry),
    )
    specs = {directory: load_spec(str(file), found.registry) for directory, file in files.items()}
    return train_specs(specs, lambda: terminal_display(out), arguments)
