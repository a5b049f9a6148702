"""Can the gate be believed? Many checks of code that did not change, and of code that a planted delay slowed.

python -m benchmarks.gate_trials --out gate_trials.json

Each check is `ganbench check`'s own, interleaved, on a small benchmark on real images: both sides run the same code,
and in some of the trials each step of head is made to take longer by a known share. In between, another process keeps a
core busy for a while, as on a shared machine.
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

from ganbench.gate.check import Check, Plan, check_interleaved
from ganbench.gate.session import measure_alone
from ganbench.gate.side import Arm, Measurement

from .figures import write_figures

SMALL = ["dataset.source=embedded", "model.width=4"]
BUSY = "import time\nend = time.monotonic() + {seconds}\nwhile time.monotonic() < end: pass"


def main(
    unchanged: Annotated[int, typer.Option(help="Checks of code that did not change.")] = 20,
    slowed: Annotated[int, typer.Option(help="Checks of a step that takes 10 % longer.")] = 10,
    barely: Annotated[int, typer.Option(help="Checks of a step that takes 2 % longer.")] = 10,
    window_seconds: float = 0.3,
    seed: Annotated[int, typer.Option(help="Of the order of the trials, of their sessions and of the other load.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Where to write the figures as JSON; what is there goes on.")] = None,
) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"  # for the sessions: the other core is left to the other load
    measurement = Measurement("dcgan-fashion", SMALL, device="cpu", window_seconds=window_seconds)
    base = Arm("base")
    step_seconds = measure_alone(base, measurement).seconds_per_image * 64
    trials = [0.0] * unchanged + [0.1] * slowed + [0.02] * barely
    random.Random(seed).shuffle(trials)
    told = json.loads(out.read_text(encoding="utf-8"))["trials"] if out is not None and out.exists() else []
    for number, delay in list(enumerate(trials, start=1))[len(told) :]:
        draw = random.Random(f"{seed} {number}")
        head = replace(base, name="head", delay=delay * step_seconds)
        other_load = OtherLoad(draw)
        plan = Plan(
            measurement,
            smoke=False,
            always_measure=True,
            order_seed=draw.randrange(2**32),
            told=other_load.now_and_then,
        )
        check = check_interleaved(base, head, plan)
        told.append({"planted": delay, **row(check), "other_load_seconds": other_load.seconds})
        line = f"{number}/{len(trials)}: planted {delay:.0%}, {told[-1]['verdict']}, {told[-1]['effect']:+.2%}"
        print(line, file=sys.stderr, flush=True)
        if out is not None:
            setting = {"window_seconds": window_seconds, "seed": seed, "overrides": SMALL, "threads": 1}
            write_figures(out, setting, "cpu", {"trials": told})
    counts = Counter((trial["planted"], str(trial["verdict"])) for trial in told)
    for (planted, verdict), count in sorted(counts.items()):
        print(f"planted {planted:.0%}: {verdict} {count}")


class OtherLoad:
    """Keeps a core busy for some seconds, after about every fourth pair of sessions."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.seconds = 0.0

    def now_and_then(self, _: str) -> None:
        if self.draw.random() < 1 / 4:
            seconds = self.draw.uniform(2, 15)
            self.seconds += seconds
            subprocess.Popen([sys.executable, "-c", BUSY.format(seconds=seconds)])


def row(check: Check) -> dict[str, Any]:
    judgement, sessions = check.findings["throughput"].judgement, check.evidence.sessions
    assert judgement is not None
    assert sessions is not None
    return {
        **asdict(judgement),
        "verdict": check.verdict,
        "log_ratios": sessions.log_ratios,
        "base_seconds_per_image": [session.seconds_per_image for session in sessions.base],
        "head_seconds_per_image": [session.seconds_per_image for session in sessions.head],
    }


if __name__ == "__main__":
    typer.run(main)
