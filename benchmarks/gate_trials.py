"""Measure how often the gate errs: many checks of unchanged code, and of code with an injected delay.

python -m benchmarks.gate_trials --out gate_trials.json

Each check is an interleaved `ganbench check` of a small benchmark on real images. Both sides run the same code; in some
trials each step of head takes longer by a known fraction. Now and then another process keeps a core busy, as happens
on a shared machine.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from ganbench.gate.check import Check, CheckConfig
from ganbench.gate.comparing import check_interleaved
from ganbench.gate.session import measure_alone
from ganbench.gate.side import SessionConfig, Side

from .results_file import write_results

SMALL = ["dataset.source=embedded", "model.width=4"]
BUSY = "import time\nend = time.monotonic() + {seconds}\nwhile time.monotonic() < end: pass"


def main(
    unchanged: Annotated[int, typer.Option(help="Checks of unchanged code.")] = 20,
    slowed: Annotated[int, typer.Option(help="Checks of a step that takes 10% longer.")] = 10,
    barely: Annotated[int, typer.Option(help="Checks of a step that takes 2% longer.")] = 10,
    window_seconds: float = 0.15,
    seed: Annotated[
        int, typer.Option(help="Random seed for the order of trials and sessions, and for the other load.")
    ] = 0,
    out: Annotated[Path | None, typer.Option(help="Output JSON file; extended if it exists.")] = None,
) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"  # for the sessions, so that the other core is free for the other load
    session_config = SessionConfig("dcgan-fashion", SMALL, device="cpu", window_seconds=window_seconds)
    base = Side("base")
    step_seconds = 64 * min(measure_alone(base, session_config).seconds_per_image for _ in range(3))
    trials = [0.0] * unchanged + [0.1] * slowed + [0.02] * barely
    random.Random(seed).shuffle(trials)
    results = json.loads(out.read_text(encoding="utf-8"))["trials"] if out is not None and out.exists() else []
    for number, delay in list(enumerate(trials, start=1))[len(results) :]:
        draw = random.Random(f"{seed} {number}")
        head = replace(base, name="head", delay=delay * step_seconds)
        other_load = OtherLoad(draw)
        config = CheckConfig(
            session_config,
            smoke=False,
            always_measure=True,
            order_seed=draw.randrange(2**32),
            log=other_load.maybe_start,
        )
        check = check_interleaved(base, head, config)
        results.append({"injected": delay, **row(check), "other_load_seconds": other_load.seconds})
        line = f"{number}/{len(trials)}: injected {delay:.0%}, {results[-1]['verdict']}, {results[-1]['effect']:+.2%}"
        print(line, file=sys.stderr, flush=True)
        if out is not None:
            setting = {"window_seconds": window_seconds, "seed": seed, "overrides": SMALL, "threads": 1}
            write_results(out, setting, "cpu", {"trials": results})
    counts = Counter((trial["injected"], str(trial["verdict"])) for trial in results)
    for (injected, verdict), count in sorted(counts.items()):
        print(f"injected {injected:.0%}: {verdict} {count}")


class OtherLoad:
    """Keeps a core busy for some seconds after about every fourth pair of sessions."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.seconds = 0.0

    def maybe_start(self, _: str) -> None:
        if self.draw.random() < 1 / 4:
            seconds = self.draw.uniform(2, 15)
            self.seconds += seconds
            subprocess.Popen([sys.executable, "-c", BUSY.format(seconds=seconds)])


def row(check: Check) -> dict[str, Any]:
    decision, sessions = check.findings["throughput"].decision, check.measurements.sessions
    assert decision is not None
    assert sessions is not None
    return {
        **asdict(decision),
        "verdict": check.verdict,
        "log_ratios": sessions.log_ratios,
        "base_seconds_per_image": [session.seconds_per_image for session in sessions.base],
        "head_seconds_per_image": [session.seconds_per_image for session in sessions.head],
    }


if __name__ == "__main__":
    typer.run(main)
