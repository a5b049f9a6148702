"""The content of a report: the charts and tables of each section of the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from ganbench.reporting import comparison_tables, result_tables, speed_tables
from ganbench.reporting.target_tables import target_comparison_table, targets_table
from ganbench.results.comparison import Comparison, Quantity, compare
from ganbench.results.schema import providers

from .curves import loss_charts, monitor_charts, speed_charts
from .runs import ReportedRun
from .scores import headlines
from .tables import PageTable, fields_table, from_terminal, to_text

MANY = 6  # runs; the list of more is folded, so that the leaderboard and the scores are on top


def content(runs: Sequence[ReportedRun], suite: str | None) -> dict[str, Any]:
    """Return the variables of the template; `suite` is the name of the suite that has all runs, if there is one."""
    results = [run.result for run in runs]
    comparison = compare(results)
    return {
        "title": suite or ", ".join(dict.fromkeys(result.benchmark for result in results)),
        "summaries": dict.fromkeys(str(result.spec["summary"]) for result in results if "summary" in result.spec),
        "many": len(runs) > MANY,
        "notices": comparison_tables.data_notices(results, [run.name for run in runs]),
        "runs": runs,
        "outcomes": [to_text(result_tables.format_outcome(each.status, each.message)).plain for each in results],
        "headlines": list(headlines(runs, comparison.metrics)),
        "loss_charts": [chart for chart in loss_charts(runs) if chart.lines],
        "monitor_charts": list(monitor_charts(runs)),
        "speed_charts": list(speed_charts(runs)),
        **(one_run(runs[0]) if len(runs) == 1 else several_runs(runs, comparison)),
        "settings_tables": settings_tables(runs),
    }


def one_run(run: ReportedRun) -> dict[str, list[PageTable]]:
    """Return the tables of a single run."""
    result = run.result
    speed = [speed_tables.speed_table(result)]
    if result.profile:
        speed.append(speed_tables.profile_table(result.profile))
    return {
        "target_tables": [from_terminal(targets_table(result.targets))] if result.targets else [],
        "reference_tables": (
            [from_terminal(result_tables.references_table(result.references))] if result.references else []
        ),
        "loss_tables": [],
        "speed_tables": [from_terminal(table) for table in speed],
        "difference_tables": [],
    }


def several_runs(runs: Sequence[ReportedRun], comparison: Comparison) -> dict[str, list[PageTable]]:
    """Return the tables of several runs side by side."""
    names = [run.name for run in runs]

    def quantities(title: str, quantities: Iterable[Quantity]) -> list[PageTable]:
        present = [each for each in quantities if any(value is not None for value in each.values)]
        return [from_terminal(comparison_tables.quantities_table(title, present, names))] if present else []

    references = []
    if any(result.references for result in comparison.results):
        table = from_terminal(comparison_tables.references_table(comparison.results, names))
        published = (reference for result in comparison.results for reference in result.references)
        sources = dict.fromkeys(f"{reference.label}: {reference.source}" for reference in published)
        references.append(replace(table, notes=list(sources)))
    return {
        "target_tables": (
            [from_terminal(target_comparison_table(comparison.targets, names))] if comparison.targets else []
        ),
        "reference_tables": references,
        "loss_tables": quantities("Losses in the last epoch", comparison.losses),
        "speed_tables": quantities("Speed and memory", comparison.speed),
        "difference_tables": [
            from_terminal(comparison_tables.overview_table(comparison.results, names)),
            *(
                from_terminal(comparison_tables.differences_table(section.capitalize(), fields, names))
                for section, fields in comparison.differences.items()
                if fields
            ),
        ],
    }


def settings_tables(runs: Sequence[ReportedRun]) -> list[PageTable]:
    """Return the environment, plugins and data of all runs side by side."""
    results, names = [run.result for run in runs], [run.name for run in runs]
    environments = [result.environment for result in results]
    return [
        fields_table("Environment", names, [{**each.must_match, **each.may_differ} for each in environments]),
        fields_table("Plugins", names, [providers(result.plugins) for result in results]),
        fields_table("Data", names, [result.data.model_dump(exclude={"notice"}) for result in results]),
    ]
