"""What a notebook shows of runs: progress in one output that is updated, and small, escaped HTML."""

from __future__ import annotations

import re
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from conftest import SMALL, UNSCORED

import ganbench
from ganbench.reporting import notebook
from ganbench.results.schema import Result

QUICK = [*SMALL, "training.steps=2", "metrics.0.num_samples=20", "metrics.0.at_epochs=[]", "sample_images.real=0"]
EVIL = "<script>alert('x')</script>"


@pytest.fixture
def outputs(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The outputs of a notebook's cell, each with all its versions."""
    shown: list[list[str]] = []

    def display(html: Any, display_id: bool) -> Any:
        assert display_id
        shown.append([html])
        return SimpleNamespace(update=shown[-1].append)

    module: Any = ModuleType("IPython.display")
    module.HTML, module.display = str, display
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setattr("ganbench.reporting.console.out", SimpleNamespace(is_jupyter=True))
    return shown


def test_a_notebook_shows_progress_in_one_output(outputs: list[list[str]], capfd: pytest.CaptureFixture[str]) -> None:
    run = ganbench.run("dcgan-fashion", *QUICK, out="run", device="cpu")
    ((*versions, last),) = outputs
    assert any("evaluating ..." in version for version in versions)
    assert "completed" in last
    assert "FID (fashion-cnn)" in last
    assert len(last) < 2000
    assert capfd.readouterr().out == ""
    assert run.result.status == "completed"


def test_fast_windows_do_not_flood_the_notebook(outputs: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook, "UPDATE_SECONDS", 1000.0)
    ganbench.run("dcgan-fashion", *UNSCORED, steps=10, out="run", device="cpu", window_seconds=1e-9)
    ((*_, last),) = outputs
    assert len(outputs[0]) < 8  # one for each status, and the last
    assert 'value="1.0000"' in last


def test_a_failed_run_leaves_what_was_shown(outputs: list[list[str]]) -> None:
    with pytest.raises(ganbench.GanbenchError):
        ganbench.run("dcgan-fashion", *QUICK, "metrics.0.num_samples=1", out="run", device="cpu")


def evil(result: Result) -> Result:
    """Return the result with HTML wherever a plugin or a file can put text."""
    data = result.data.model_copy(update={"notice": EVIL, "source": EVIL})
    metric = result.metrics[0].model_copy(
        update={"label": EVIL, "warnings": [EVIL], "protocol": {EVIL: EVIL}, "id": EVIL}
    )
    throughput = result.throughput.model_copy(update={"disturbed_by": EVIL})
    environment = result.environment.model_copy(update={"must_match": {"device": EVIL}})
    changed = {"message": EVIL, "benchmark": EVIL, "data": data, "metrics": [metric], "throughput": throughput}
    return result.model_copy(update={**changed, "environment": environment})


@pytest.mark.filterwarnings("ignore::ganbench.ScoreWarning", "ignore:FID")
def test_runs_results_and_comparisons_are_shown_small_and_escaped() -> None:
    run = ganbench.run("dcgan-fashion", *QUICK, out="<b>run", device="cpu", quiet=True)
    shown = run._repr_html_()
    score = f"{run.result.scores['fid']:.4g}"
    assert score in shown
    assert score in run.result._repr_html_()
    assert "&lt;b&gt;run" in shown
    assert "<b>" not in shown
    assert re.search(r'<img src="data:image/png;base64,[A-Za-z0-9+/=]{1000,}">', shown)
    assert len(shown) < 150_000
    assert len(run.result._repr_html_()) < 10_000
    assert EVIL not in evil(run.result)._repr_html_()
    assert len(repr(run.result)) < 200
    compared = ganbench.compare(run, evil(run.result))._repr_html_()
    assert "FID (fashion-cnn)" in compared
    assert "&lt;script&gt;" in compared
    assert "<script>" not in compared


def test_a_notebook_escapes_and_limits_what_plugins_say(outputs: list[list[str]]) -> None:
    display = notebook.NotebookDisplay()
    for number in range(100):
        display.on_warning(f"{EVIL} {number}")
    display.stop()
    assert "<script>" not in outputs[0][-1]
    assert "and 95 more warnings" in outputs[0][-1]
