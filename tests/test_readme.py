"""README tells the truth: its plugin example runs, and its commands are the ones that CI runs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import run_command
from conftest import SMALL

from benchmarks import homework, loss_table, speed_table
from ganbench.plugin.registry import Registry
from ganbench.results.schema import load_result
from ganbench.spec.loading import load_spec

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def block(marker: str) -> str:
    """The code block under the line <!-- marker -->."""
    match = re.search(rf"<!-- {marker} -->\n```\w+\n(.*?)```", README, re.DOTALL)
    assert match
    return match[1]


def test_the_plugin_of_the_readme_runs_with_its_command(tmp_path: Path) -> None:
    (tmp_path / "my_hinge.py").write_text(block("plugin"))
    program, *arguments = shlex.split(block("plugin command"))
    assert program == "ganbench"
    arguments[arguments.index("--steps") + 1] = "2"  # a shorter one will do
    small = [word for override in SMALL for word in ("-o", override)]
    outcome = run_command(*arguments, *small, "--out", "run")
    assert outcome.exit_code == 0, outcome.output
    result = load_result(tmp_path / "run")
    assert list(result.history[0].monitors) == ["real_logit", "fake_logit"]
    (hinge,) = (plugin for plugin in result.plugins if plugin.kind == "loss")
    assert (hinge.name, hinge.distribution) == ("my-hinge", "my_hinge.py")


def test_the_table_of_plugins_lists_all_that_are_shipped_except_those_of_games(registry: Registry) -> None:
    _, _, table = README.partition("<!-- shipped plugins -->\n")
    table, _, _ = table.partition("\n\n")
    rows = [re.match(r"\| ([\w-]+) \| (.*) \|$", line) for line in table.splitlines()[2:]]
    listed = {row[1]: re.findall(r"`([\w-]+)`", row[2]) for row in rows if row}
    shipped: dict[str, list[str]] = {}
    for found in registry.all_plugins():
        if found.provider.module != "ganbench_games" or found.plugin.kind == "benchmark":
            shipped.setdefault(found.plugin.kind, []).append(found.plugin.name)
    assert {kind: sorted(names) for kind, names in listed.items()} == {
        kind: sorted(names) for kind, names in shipped.items()
    }


def test_both_quickstart_commands_start_from_nothing() -> None:
    for marker in ("main job", "tests"):
        assert block(marker).startswith("python3 -m venv .venv && .venv/bin/pip install ")


@pytest.mark.parametrize(
    ("page", "begin", "end", "render"),
    [
        (speed_table.README, speed_table.BEGIN, speed_table.END, speed_table.render_summary),
        (speed_table.PAGE, speed_table.BEGIN, speed_table.END, speed_table.render),
        (homework.PAGE, homework.BEGIN, homework.END, homework.render),
        (homework.PAGE, homework.BEGIN_SEEDS, homework.END_SEEDS, homework.render_seeds),
        (loss_table.PAGE, loss_table.BEGIN, loss_table.END, loss_table.render),
    ],
    ids=["README", "speed", "homework", "seeds", "losses"],
)
def test_generated_tables_are_those_of_the_stored_results(
    page: Path, begin: str, end: str, render: Callable[[], str]
) -> None:
    _, _, rest = page.read_text(encoding="utf-8").partition(begin)
    assert rest.partition(end)[0] == render()


def test_the_reference_of_the_homework_is_the_band_of_its_measured_runs(registry: Registry) -> None:
    spec = load_spec("dcgan-fashion", registry)
    (reference,) = spec.references
    band = homework.fid_band([run.fid[50] for run in homework.all_runs() if run.fid])
    assert (reference.value, reference.std, reference.band) == pytest.approx(band, abs=5e-4)


def test_every_linked_file_is_there() -> None:
    root = Path(__file__).parent.parent
    for page in (root / "README.md", root / "CONTRIBUTING.md", *(root / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
