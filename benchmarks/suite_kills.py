"""Kill a suite and its runs with SIGKILL at random moments: it must end as an undisturbed suite does.

python -m benchmarks.suite_kills --kills 10 --out suite_kills.json

The suite trains `dcgan-fashion` with small networks on real images, 3 losses with 3 seeds, two runs at once. Half of
the kills end the suite itself, and the same command then goes on; the others end one of its runs. In the end, the
histories, scores and weights of all cells must be bitwise equal to those of the undisturbed suite. No file of a cell
that had finished before a kill may have been written since.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.results_file import write_results
from benchmarks.robustness import SMALL, comparable_content
from ganbench.errors import ExitCode
from ganbench.results.layout import is_suite
from ganbench.results.suite_record import read_suite
from ganbench.suite.cell_state import CellStatus, read_status
from ganbench.system.locks import LOCK, is_locked

LOSSES, SEEDS = ["bce", "hinge", "lsgan"], [0, 1, 2]
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Kill:
    """One kill, at a moment that does not depend on the speed of the machine."""

    after_share: float  # of all steps of the suite
    delay_seconds: float  # after that, so that start-up, scoring and writing of files are hit as well
    of_suite: bool  # else of one of its runs


def main(
    kills: Annotated[int, typer.Option(min=1, help="Number of kills.")] = 10,
    seed: Annotated[int, typer.Option(help="Random seed for the moments.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Write the results to this JSON file.")] = None,
) -> None:
    draw = random.Random(seed)
    planned = plan(kills, draw)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = write_suite(folder)
        if start(file, folder / "undisturbed").wait() != ExitCode.DONE:
            raise SystemExit("the undisturbed suite failed")
        print("the undisturbed suite is complete", flush=True)
        finished, code = disturb(file, folder / "disturbed", planned, draw)
        expected, got = (contents(folder / each) for each in ("undisturbed", "disturbed"))
        untouched = [cell for cell, times in finished.items() if file_times(folder / "disturbed", cell) == times]
    equal = [cell for cell in expected if got.get(cell) == expected[cell]]
    figures = {
        "exit_code": code,
        "cells": len(expected),
        "bitwise_equal": len(equal),
        "finished_before_a_kill": len(finished),
        "untouched": len(untouched),
        "kills": [asdict(kill) for kill in planned],
    }
    if out is not None:
        write_results(out, {"losses": LOSSES, "seeds": SEEDS, "options": SMALL}, "cpu", figures)
    print(
        f"exit code {code}; {len(equal)} of {len(expected)} cells are bitwise equal; "
        f"{len(untouched)} of {len(finished)} cells that had finished before a kill are untouched"
    )
    good = code == ExitCode.DONE and expected.keys() == got.keys() and len(equal) == len(expected)
    raise typer.Exit(0 if good and len(untouched) == len(finished) else 1)


def plan(kills: int, draw: random.Random) -> list[Kill]:
    of_suite = [number % 2 == 0 for number in range(kills)]
    draw.shuffle(of_suite)
    shares = sorted(draw.uniform(0.0, 0.95) for _ in range(kills))
    return [Kill(share, draw.uniform(0.0, 3.0), which) for share, which in zip(shares, of_suite, strict=True)]


def write_suite(folder: Path) -> Path:
    file = folder / "losses.toml"
    options = ", ".join(setting.replace("=embedded", '="embedded"') for setting in SMALL)
    file.write_text(
        f'benchmark = "dcgan-fashion"\nseeds = {SEEDS}\noptions = {{ {options} }}\naxes.loss = {LOSSES}\n',
        encoding="utf-8",
    )
    return file


def start(file: Path, out: Path) -> subprocess.Popen[bytes]:
    options = ["--out", str(out), "--jobs", "2", "--retries", "100", "--device", "cpu"]
    return subprocess.Popen(
        [sys.executable, "-m", "ganbench", "suite", str(file), *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def disturb(file: Path, out: Path, kills: list[Kill], draw: random.Random) -> tuple[dict[str, dict[str, int]], int]:
    """Run the suite with all kills.

    Return the times of the files of each cell that finished before a kill, and the suite's exit code.
    """
    finished: dict[str, dict[str, int]] = {}
    suite = start(file, out)
    for number, kill in enumerate(kills, start=1):
        while trained_share(out) < kill.after_share and suite.poll() is None:
            time.sleep(POLL_SECONDS)
        time.sleep(kill.delay_seconds)
        victims = [suite.pid] if kill.of_suite else wait_for_runs(suite)
        for status in statuses(out):
            directory = out / "runs" / status.cell.id
            if status.finished and status.cell.id not in finished and not is_locked(directory):
                finished[status.cell.id] = file_times(out, status.cell.id)
        if suite.poll() is not None or not victims:
            raise SystemExit(f"the suite ended with {suite.returncode} before kill {number}; choose another --seed")
        with suppress(ProcessLookupError):  # a run that has just ended
            os.kill(draw.choice(victims), signal.SIGKILL)
        killed = "suite" if kill.of_suite else "run"
        print(f"kill {number}: {killed}, at {trained_share(out):.0%}, {len(finished)} cells finished", flush=True)
        if kill.of_suite:
            suite.wait()
            suite = start(file, out)
    return finished, suite.wait()


def wait_for_runs(suite: subprocess.Popen[bytes]) -> list[int]:
    """Return the processes of the suite's runs, as soon as there are any; none if the suite ends before."""
    while suite.poll() is None:
        listed = Path("/proc", str(suite.pid), "task").glob("*/children")
        with suppress(OSError):  # a thread has ended
            if found := [int(child) for file in listed for child in file.read_text().split()]:
                return found
        time.sleep(POLL_SECONDS)
    return []


def statuses(out: Path) -> list[CellStatus]:
    if not is_suite(out):
        return []
    return [read_status(out, cell, alive=True) for cell in read_suite(out).cells]


def trained_share(out: Path) -> float:
    """Return the share of all steps that have been trained, by the files of the suite."""
    cells = statuses(out)
    return sum(map(share_of_cell, cells)) / max(1, len(cells))


def share_of_cell(status: CellStatus) -> float:
    if status.finished:
        return 1.0
    return status.progress.step / status.progress.total_steps if status.progress else 0.0


def file_times(out: Path, cell: str) -> dict[str, int]:
    """Return when each file of a cell's run was last written, in nanoseconds; asking for the lock touches its file."""
    files = (file for file in (out / "runs" / cell).rglob("*") if file.is_file() and file.name != LOCK)
    return {str(file.relative_to(out)): file.stat().st_mtime_ns for file in files}


def contents(out: Path) -> dict[str, Any]:
    return {run.name: comparable_content(run) for run in (out / "runs").iterdir()}


if __name__ == "__main__":
    typer.run(main)
