"""The runs of a report: their results, names, samples, and how to repeat them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import tomli_w

from ganbench.errors import MissingError
from ganbench.plugin.registry import Registry
from ganbench.reporting.formatting import run_command
from ganbench.reporting.trackers.fan_out import read_tracked_runs
from ganbench.results.layout import SAMPLES, SPEC, cell_run, has_result, is_suite, run_of
from ganbench.results.run_collection import find_runs
from ganbench.results.schema import Result, load_result
from ganbench.results.suite_record import read_suite
from ganbench.spec.launch import read_launch

from .published import Published, find_published
from .samples import SampleGrids, read_samples

SAMPLES_BYTES = 2_000_000  # of all runs together; as text, they take a third more


@dataclass(frozen=True)
class ReportedRun:
    """A result, its name in the report, and the directory with its other files."""

    name: str
    style: int  # decides the color of its lines
    result: Result
    directory: Path
    samples: SampleGrids
    published: Published | None

    @cached_property
    def tracked(self) -> dict[str, str]:
        """The web page of the run in each tracker that gave it one, by the tracker's name."""
        runs = read_tracked_runs(self.directory)
        return {name: str(run.url) for name, run in runs.items() if str(run.url).startswith(("https://", "http://"))}

    @cached_property
    def spec(self) -> str:
        """The spec as TOML."""
        return tomli_w.dumps(without_none(self.result.spec))

    @cached_property
    def command(self) -> str | None:
        """The command that runs the spec again, in a folder where it is saved as spec.toml; None for an evaluation.

        Raises `UsageError` if the file that records how the run was started is invalid.
        """
        if not self.result.was_trained:
            return None
        launch = read_launch(self.directory)
        words = [SPEC, "--device", launch.device]
        for plugin in launch.plugins:
            words += ["-p", plugin.given]
        if launch.data_dir is not None:
            words += ["--data-dir", launch.data_dir]
        return run_command(*words, processes=self.result.throughput.processes)


def load_runs(paths: Sequence[Path], registry: Registry) -> list[ReportedRun]:
    """Load results from run directories, result.json files, and suites' and other folders that contain runs.

    Each has the registered published curve. Raises `MissingError` if one cannot be read and `UsageError` if one is
    invalid.
    """
    labels: dict[Path, str] = {}
    for path in paths:
        if is_suite(path):
            labels |= ended_runs(path)
        elif path.is_dir() and not has_result(path):
            labels |= runs_inside(path)
        else:
            labels[path] = ""
    labels = {path: labels[path] for path in each_once(labels)}
    short = short_names(list(labels))
    names = [label or name for label, name in zip(labels.values(), short, strict=True)]
    if len(set(names)) < len(names):  # two suites may have cells of equal labels
        names = short
    runs = []
    for style, (path, name) in enumerate(zip(labels, names, strict=True)):
        result, directory = load_result(path), path if path.is_dir() else path.parent
        samples = read_samples(directory / SAMPLES, result, SAMPLES_BYTES // len(labels))
        runs.append(ReportedRun(name, style, result, directory, samples, find_published(result, registry)))
    return runs


def each_once(paths: Iterable[Path]) -> Iterable[Path]:
    """Return one path for each run: a run may be given as a directory, as its result.json, and through links."""
    return {run_of(path).resolve(): path for path in paths}.values()


def ended_runs(suite: Path) -> dict[Path, str]:
    """Return the directories of a suite's runs that have a result, with the labels of their cells.

    Raises `MissingError` if there are none, and `UsageError` if suite.json is invalid.
    """
    labels = {cell_run(suite, cell.id): cell.label for cell in read_suite(suite).cells}
    ended = {run.path: labels[run.path] for run in find_runs([suite]) if run.result is not None}
    if not ended:
        raise MissingError(f"{suite}: no run of this suite has a result yet; `ganbench suite status {suite}` shows why")
    return ended


def runs_inside(folder: Path) -> dict[Path, str]:
    """Return the runs in a folder that have a result. Raises `MissingError` if there are none."""
    ended = {run.path: "" for run in find_runs([folder]) if run.result is not None}
    if not ended:
        raise MissingError(f"{folder}: no run in this folder has a result yet")
    return ended


def short_names(paths: Sequence[Path]) -> list[str]:
    """Return the last parts of the paths, as many as it takes to tell them apart."""
    parts = [run_of(path.absolute()).parts for path in paths]
    for count in range(1, max(map(len, parts))):
        names = ["/".join(each[-count:]) for each in parts]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


def without_none(value: Any) -> Any:
    """Return JSON content without nulls, which TOML cannot express."""
    if isinstance(value, dict):
        return {key: without_none(item) for key, item in value.items() if item is not None}
    return [without_none(item) for item in value if item is not None] if isinstance(value, list) else value
