"""The page of what commands print with `--json`, and of JSON files other than results, from their records."""

from __future__ import annotations

import inspect

from pydantic import BaseModel

from ganbench.gate.baseline.stored import Baseline
from ganbench.gate.calibration import Calibration
from ganbench.gate.check_json import CheckRecord
from ganbench.reporting.leaderboard_json import LeaderboardRecord
from ganbench.results.comparison_json import ComparisonRecord
from ganbench.results.schema import Result
from ganbench.results.suite_record import Attempts, SuiteRecord
from ganbench.spec.launch import Launch
from ganbench.suite.status_json import CellStatusRecord
from ganbench.suite.sweep.sweep_json import SweepRecord

from .fields import record_table
from .markdown import page
from .result import records

# where a record is found, and how; {} stands for a link to it
PLACES: dict[str, tuple[str, type[BaseModel]]] = {
    "ganbench compare": ("{}, which `to_dict()` of `ganbench.compare` returns in Python, too.", ComparisonRecord),
    "ganbench leaderboard": ("A list of {}, one for each protocol.", LeaderboardRecord),
    "ganbench suite": ("A list of {}, by `suite run` at its end and by `suite status` at any time.", CellStatusRecord),
    "ganbench sweep": ("{}.", SweepRecord),
    "ganbench check": ("A table with the key `checks`, a list of {}: one, or one for each baseline.", CheckRecord),
    "ganbench calibrate": (
        "{}, with `std`, the standard deviation between pairs, and `noise_floor`, both as fractions of time.",
        Calibration,
    ),
    "ganbench baseline": ("{}: the file that `baseline record` writes and `baseline show` prints.", Baseline),
    "suite.json": ("{}, in the folder of a suite.", SuiteRecord),
    "attempts/CELL.json": ("{}, in the folder of a suite, for each cell that was started.", Attempts),
    "launch.json": ("{}, in a run directory.", Launch),
}


def json_page() -> str:
    """Return the reference of all JSON that ganbench writes, except for result.json."""
    blocks = [
        "What commands print with `--json`, and what is in the JSON files next to [result.json](result.md).",
        "- `ganbench run` and `ganbench eval` print a [result](result.md).\n"
        "- `ganbench show` prints the [spec](spec.md) of a benchmark, or the JSON schema of options.\n"
        "- `ganbench list` and `ganbench plugins` print plugins as [PluginRecord](result.md#pluginrecord), the former "
        "with `summary`, the latter with the `failures` to load. `ganbench plugin check` adds the `rules`: each with "
        "`failure` and `skipped`, the reasons, which are null if the plugin keeps the rule.\n"
        "- In a run directory, `progress.json` is the last [Progress](interfaces.md#progress) while the run lasts, and "
        "`trackers.json` has the [TrackedRun](interfaces.md#trackedrun) of each tracker.",
    ]
    elsewhere = {record.__name__ for record in records(Result)}
    seen: set[str] = set()

    def link(name: str) -> str:
        return f"[{name}]({'result.md' if name in elsewhere else ''}#{name.lower()})"

    for place, (sentence, found) in PLACES.items():
        blocks += [f"## {place}", sentence.format(link(found.__name__))]
        for record in records(found):
            if record.__name__ not in elsewhere | seen:
                seen.add(record.__name__)
                blocks += [f"### {record.__name__}", inspect.getdoc(record) or "", record_table(record, link)]
    return page("JSON", *blocks)
