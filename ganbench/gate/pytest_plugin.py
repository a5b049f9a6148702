"""The gate in a test suite: put `pytest_plugins = ["ganbench.gate.pytest_plugin"]` into the root conftest.py."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ganbench.errors import GanbenchError

from .against import check_baselines, check_revision
from .baseline import load_baseline
from .check import Check
from .options import WINDOW_SECONDS, WINDOWS, plan_of
from .verdict import Verdict

GanbenchCheck = Callable[..., list[Check]]


@pytest.fixture
def ganbench_check() -> GanbenchCheck:
    """`ganbench_check("my-benchmark", against="origin/main")` is `ganbench check` as an assertion.

    The test fails where head regressed, where the sides cannot be compared and where a session crashed; it is skipped
    where the check is inconclusive, and a warning is one of pytest's. What is returned are the checks. Give either
    `against`, a git revision, or `baselines`, files of `ganbench baseline record`; further keywords are those of
    `ganbench.gate.check.Plan`: speed, smoke, quality, quads, sessions, order_seed.
    """

    def check(
        benchmark: str,
        *,
        against: str | None = None,
        baselines: Sequence[Path | str] = (),
        overrides: Sequence[str] = (),
        plugins: Sequence[str] = (),
        device: str = "auto",
        data_dir: Path | None = None,
        windows: int = WINDOWS,
        window_seconds: float = WINDOW_SECONDS,
        **plan: Any,
    ) -> list[Check]:
        if (against is not None) == bool(baselines):
            raise TypeError("ganbench_check takes either against=REF or baselines=[FILE, ...]")
        checks, problem = [], ""
        try:
            whole = replace(
                plan_of(benchmark, list(overrides), list(plugins), device, data_dir, windows, window_seconds), **plan
            )
            if against is not None:
                checks = [check_revision(against, whole)]
            else:
                checks = check_baselines({str(file): load_baseline(Path(file), benchmark) for file in baselines}, whole)
        except GanbenchError as error:
            problem = str(error)
        if problem:
            pytest.fail(problem, pytrace=False)  # out of the handler, or pytest shows the error that it handles too
        assert_passed(checks)
        return checks

    return check


def assert_passed(checks: list[Check]) -> None:
    """Fail, skip or warn, as the verdicts are."""
    said: dict[Verdict, list[str]] = {verdict: [] for verdict in Verdict}
    for check in checks:
        for finding in check.findings.values():
            said[finding.verdict].append(finding.sentence)
    for sentence in said[Verdict.WARNING]:
        warnings.warn(sentence, stacklevel=3)
    if said[Verdict.REGRESSED]:
        pytest.fail("; ".join(said[Verdict.REGRESSED]), pytrace=False)
    if said[Verdict.INCONCLUSIVE]:
        pytest.skip("; ".join(said[Verdict.INCONCLUSIVE]))
