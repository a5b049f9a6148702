"""The gate as a pytest fixture: add `pytest_plugins = ["ganbench.gate.pytest_plugin"]` to the root conftest.py."""

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
from .options import WINDOW_SECONDS, WINDOWS, make_config
from .verdict import Verdict

GanbenchCheck = Callable[..., list[Check]]


@pytest.fixture
def ganbench_check() -> GanbenchCheck:
    """Return a function that runs `ganbench check` as an assertion.

    Example: `ganbench_check("my-benchmark", against="origin/main")`. The test fails on a regression, if the sides
    cannot be compared, and if a session crashes; an inconclusive check skips it, and a warning becomes a pytest
    warning. The function returns the checks. Pass either `against`, a git revision, or `baselines`, files written by
    `ganbench baseline record`. Other keywords are fields of `ganbench.gate.check.CheckConfig`: speed, smoke, quality,
    max_blocks, sessions, order_seed.
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
        **options: Any,
    ) -> list[Check]:
        if (against is not None) == bool(baselines):
            raise TypeError("pass ganbench_check either against=REF or baselines=[FILE, ...]")
        checks, problem = [], ""
        try:
            config = replace(
                make_config(benchmark, list(overrides), list(plugins), device, data_dir, windows, window_seconds),
                **options,
            )
            if against is not None:
                checks = [check_revision(against, config)]
            else:
                name = config.session_config.benchmark
                checks = check_baselines({str(file): load_baseline(Path(file), name) for file in baselines}, config)
        except GanbenchError as error:
            problem = str(error)
        if problem:
            pytest.fail(problem, pytrace=False)  # outside of the handler, or pytest also shows the original error
        assert_passed(checks)
        return checks

    return check


def assert_passed(checks: list[Check]) -> None:
    """Fail, skip or warn according to the verdicts."""
    messages: dict[Verdict, list[str]] = {verdict: [] for verdict in Verdict}
    for check in checks:
        for finding in check.findings.values():
            messages[finding.verdict].append(finding.message)
    for message in messages[Verdict.WARNING]:
        warnings.warn(message, stacklevel=3)
    if messages[Verdict.REGRESSED]:
        pytest.fail("; ".join(messages[Verdict.REGRESSED]), pytrace=False)
    if messages[Verdict.INCONCLUSIVE]:
        pytest.skip("; ".join(messages[Verdict.INCONCLUSIVE]))
