"""Compare runs and results, and show the comparison."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganbench.errors import UsageError
from ganbench.results.comparison import Comparison
from ganbench.results.comparison import compare as compare_results
from ganbench.results.schema import Result, load_result
from ganbench.system.files import StrPath

from .finished import Run

WIDTH = 120  # characters


def compare(*runs: Run | Result | StrPath) -> RunComparison:
    """Compare runs, results, run directories or result.json files side by side, ranking only comparable values.

    Raises `UsageError` for fewer than two, and `MissingError` for a file that does not exist.
    """
    for run in runs:
        if not isinstance(run, Run | Result | str | os.PathLike):
            raise UsageError(
                "compare: expected runs, results, run directories or result.json files, as separate arguments, got "
                f"{type(run).__name__}"
            )
    if len(runs) < 2:
        raise UsageError("compare needs at least two results: run directories or result.json files")
    results = [result_of(run) for run in runs]
    return RunComparison(compare_results(results), tuple(map(name_of, runs)))


@dataclass(frozen=True)
class RunComparison:
    """Several results side by side, displayed as the tables of `ganbench compare`."""

    comparison: Comparison
    names: tuple[str, ...]  # of the results, in order

    def to_dict(self) -> dict[str, Any]:
        """Return what `ganbench compare --json` prints: results, speed, losses, metrics and differences."""
        from ganbench.results.comparison_json import ComparisonRecord

        return ComparisonRecord.of(self.comparison, self.names).model_dump()

    def __str__(self) -> str:
        return self._print().export_text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        # exported text is escaped
        return self._print().export_html(
            inline_styles=True, code_format='<pre style="line-height: normal">{code}</pre>'
        )

    def _print(self) -> Any:
        """Print the tables to a console that records them."""
        from ganbench.reporting.comparison_tables import comparison_tables
        from ganbench.reporting.console import SafeConsole

        console = SafeConsole(file=io.StringIO(), record=True, width=WIDTH, force_jupyter=False)
        for table in comparison_tables(self.comparison, list(self.names)):
            console.print(table)
        return console


def result_of(run: Run | Result | StrPath) -> Result:
    if isinstance(run, Result):
        return run
    return run.result if isinstance(run, Run) else load_result(run)


def name_of(run: Run | Result | StrPath) -> str:
    if isinstance(run, Result):
        return run.run_id
    return str(run.directory if isinstance(run, Run) else Path(run))
