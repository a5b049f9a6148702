"""The gate as a pytest fixture: add `pytest_plugins = ["ganbench.gate.pytest_plugin"]` to the root conftest.py."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ganbench.api.arguments import optional_path, texts
from ganbench.errors import GanbenchError
from ganbench.plugin.registry import plugin_names
from ganbench.system.files import StrPath

from .against import check_baselines, check_revision
from .baseline.stored import load_baseline
from .check import Check
from .decision.verdict import Verdict
from .lengths import WINDOW_SECONDS, WINDOWS
from .options import make_config

GanbenchCheck = Callable[..., list[Check]]


@pytest.fixture
def ganbench_check() -> GanbenchCheck:
    """Return a function that runs `ganbench check` as an assertion.

    Example: `ganbench_check("my-benchmark", against="origin/main")`. The test fails on a regression, if the sides
    cannot be compared, and if a session crashes; an inconclusive check skips it, and a warning becomes a pytest
    warning. The function returns the checks. Pass either `against`, a git revision, or `baselines`, files written by
    `ganbench baseline record`. With `sequential`, sessions run one at a time. Other keywords are fields of
    `ganbench.gate.check.CheckConfig`: speed, smoke, quality, max_blocks, sessions, order_seed.
    """

    def check(
        benchmark: str,
        *,
        against: str | None = None,
        baselines: StrPath | Iterable[StrPath] = (),
        overrides: str | Iterable[str] = (),
        plugins: StrPath | Iterable[StrPath] = (),
        device: str = "auto",
        data_dir: StrPath | None = None,
        windows: int = WINDOWS,
        window_seconds: float = WINDOW_SECONDS,
        sequential: bool = False,
        **options: Any,
    ) -> list[Check]:
        files = [baselines] if isinstance(baselines, str | os.PathLike) else list(baselines)
        if (against is not None) == bool(files):
            raise TypeError("pass ganbench_check either against=REF or baselines=[FILE, ...]")
        checks: list[Check] = []
        problem = ""
        try:
            changes, given = texts("overrides", overrides, "texts PATH=VALUE"), plugin_names(plugins)
            folder = optional_path("data_dir", data_dir)
            config = make_config(benchmark, changes, given, str(device), folder, windows, window_seconds, sequential)
            config = replace(config, report_incomplete=checks.append, **options)
            if against is not None:
                checks.append(check_revision(against, config))
            else:
                name = config.session_config.benchmark
                checks += check_baselines({str(file): load_baseline(Path(file), name) for file in files}, config)
        except GanbenchError as error:
            problem = str(error)
        assert_passed(checks, problem)  # outside of the handler, or pytest also shows the original error
        return checks

    return check


def assert_passed(checks: list[Check], problem: str) -> None:
    """Fail, skip or warn according to the verdicts, and to the problem that has ended the check, if any."""
    messages: dict[Verdict, list[str]] = {verdict: [] for verdict in Verdict}
    for check in checks:
        for finding in check.findings.values():
            messages[finding.verdict].append(finding.message)
    for message in messages[Verdict.WARNING]:
        warnings.warn(message, stacklevel=3)
    if reasons := [*messages[Verdict.REGRESSED], *[problem] * bool(problem)]:
        pytest.fail("; ".join(reasons), pytrace=False)
    if messages[Verdict.INCONCLUSIVE]:
        pytest.skip("; ".join(messages[Verdict.INCONCLUSIVE]))
