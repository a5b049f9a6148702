"""Every table at the widths of terminals: lines that fit, whole words and numbers, and nothing cut."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import Field
from rich.markup import render
from rich.table import Table
from rich.text import Text
from stored_result import result

from ganbench import LossPlugin, Options
from ganbench.gate.baseline.stored import Baseline
from ganbench.gate.calibration import Calibration
from ganbench.gate.check_tables import baseline_table, calibration_table, check_tables
from ganbench.gate.decision.verdict import Decision, Finding, Verdict
from ganbench.gate.measuring import Sessions
from ganbench.gate.session import Session
from ganbench.plugin.callbacks import Progress, RunInfo
from ganbench.plugin.registry import Registry
from ganbench.reporting.comparison_tables import comparison_tables
from ganbench.reporting.console import SafeConsole
from ganbench.reporting.leaderboard_tables import leaderboard_table
from ganbench.reporting.narrow import split_words
from ganbench.reporting.plugin_tables import list_table, options_table, plugins_table
from ganbench.reporting.result_tables import (
    history_table,
    metrics_table,
    protocols_table,
    references_table,
)
from ganbench.reporting.run_info_table import run_info_table
from ganbench.reporting.speed_tables import profile_table, speed_table
from ganbench.reporting.target_tables import targets_table
from ganbench.results.comparison import compare
from ganbench.results.leaderboard import Leaderboard, Row
from ganbench.results.schema import (
    Environment,
    EpochRow,
    MetricResult,
    Profile,
    ProfiledKernel,
    ReferenceResult,
    Result,
)
from ganbench.results.suite_record import CellRecord
from ganbench.results.target import Evaluation, TargetResult
from ganbench.results.throughput import GPUReading
from ganbench.scoring.audit.audit import Audit, FlawScores, Scores
from ganbench.scoring.audit.tables import audit_table
from ganbench.spec.loading import load_spec
from ganbench.suite.cell_state import CellStatus, State
from ganbench.suite.tables import cells_table

WIDTHS = [60, 80, 120, 200]
NAME = "conditional-residual-generator-v2"  # of a plugin
PACKAGE = "acme-generative-research 12.10.1"
HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def metric(id: str, label: str) -> MetricResult:  # noqa: A002
    protocol = {
        "extractor": NAME, "weights_sha256": HASH, "generated_samples": 10_000, "resize": "antialiased bilinear to 299",
        "generator_mode": "train", "split": "test", "quantization": "uint8",
    }  # fmt: skip
    software = {"torch": "2.14.1", "ganbench_features": HASH[:12], "plugin": f"{PACKAGE} (source {HASH[:12]})"}
    (fid,) = result().metrics
    points = [point.model_copy(update={"epoch": 5.0 * n}) for n, point in enumerate(fid.curve * 5)]
    changes = {"id": id, "label": label, "protocol": protocol, "software": software, "curve": points}
    return fid.model_copy(update={**changes, "warnings": ["FID of fewer images than features is biased upwards"]})


def long_result(number: int = 0) -> Result:
    metrics = [metric("fid", f"FID ({NAME})"), metric("precision-recall.precision", f"{NAME}: precision")]
    rows = [
        EpochRow(
            epoch=epoch, d_loss=1.23456e-5, g_loss=-1234567.891, real_score=0.7, fake_score=0.2, gradient_penalty=12.5,
            images=5000, seconds=10.0, images_per_second=12345.6,
        )
        for epoch in range(98, 101)
    ]  # fmt: skip
    environment = Environment(
        must_match={"device": f"NVIDIA H100 80GB HBM3 {number}", "torch": "2.14.1+cu130"},
        may_differ={"hostname": f"node-{number:04d}.cluster.example.org", "cpu": "AMD EPYC 9454 48-Core Processor"},
    )
    spec = {"training": {"batch_size": 50, "seed": number}, "model": {"name": NAME, "width": 64 + number}}
    return result(metrics=metrics, history=rows, environment=environment, spec=spec, benchmark=NAME, run_id=str(number))


def path(number: int) -> str:
    return f"runs/{NAME}/20261126T04000{number}Z-a1b2c3"


def session(number: int) -> Session:
    one = long_result(number)
    return Session.model_construct(
        images_per_second=[12345.6 - number], phases={"data": 0.1, "discriminator": 0.5, "generator": 0.4},
        gpu=[GPUReading(joules=1.0, sm_clock_mhz=1980, throttled_by=[])], environment=one.environment, spec=one.spec,
        conditions={"engine": "cuda_graph", "precision": "tf32", "wait_policy": "passive"}, plugins=[],
    )  # fmt: skip


def gate_tables() -> Iterable[Table]:
    decision = Decision(Verdict.INCONCLUSIVE, 0.0512, -0.0123, 0.1234, 0.07)
    finding = Finding(Verdict.INCONCLUSIVE, ("12,346 images/s", "11,728 images/s"), "", decision)
    check: Any = SimpleNamespace(
        names=("main-before-the-refactoring", "current code"),
        findings={"throughput": finding, "peak memory": finding, f"FID ({NAME})": finding},
        measurements=SimpleNamespace(sessions=Sessions(base=[session(0)], head=[session(1)], in_pairs=True)),
        differences={"environment": {"hostname": tuple(f"node-{n:04d}.cluster.example.org" for n in range(2))}},
    )
    yield from check_tables(check)
    yield baseline_table(
        f"baselines/{NAME}.json", Baseline.model_construct(benchmark=NAME, sessions=[session(0)], smoke=[], quality=[])
    )
    yield calibration_table(
        Calibration(fingerprint={}, measured_at=datetime.now(UTC), log_ratios=[0.01, -0.02, 0.005]), 0.05
    )


def run_tables(registry: Registry) -> Iterable[Table]:
    one = long_result()
    spec = load_spec("wgan-gp-fashion", registry)
    parameters = {"generator": 12_345_678, "discriminator": 9_876_543}
    info = RunInfo(spec.to_dict(), "cuda:0", "NVIDIA H100 80GB HBM3", one.data, parameters, 79, 3950, "tf32")
    yield run_info_table(info)
    yield from (history_table(one.history, monitors) for monitors in range(4))
    yield speed_table(one)
    kernels = [
        ProfiledKernel(name=name, phase="discriminator", calls_per_step=12.5, seconds_per_step=0.012345)
        for name in (
            "void at::native::vectorized_elementwise_kernel<4, at::native::CUDAFunctor_add<float>>",
            "aten::mm",
        )
    ]
    yield profile_table(
        Profile(steps=5, phases={"data": 0.001, "discriminator": 0.5, "generator": 0.4}, kernels=kernels)
    )
    yield metrics_table(one)
    yield protocols_table(one.metrics)
    reached = Evaluation(images=12_000_000, seconds=12345.6, joules=1_234_567.0, value=19.1234)
    yield targets_table(
        [
            TargetResult(
                metric="fid", label=f"FID ({NAME})", value=20, higher_is_better=False, stop=True,
                missed=reached.model_copy(update={"images": 11_000_000}), reached=reached,
            )
        ]
    )  # fmt: skip
    yield references_table(
        [
            ReferenceResult(
                label=f"{NAME}, published", metric="fid", value=28.95, std=0.42, band=1.5, measured=30.1234,
                source="https://github.com/kwotsin/mimicry", note="mean of three seeds", verdict="not comparable",
                differences=["generated_samples is 1000, not 50000", f"extractor is {NAME}, not inception-v3"],
            )
        ]
    )  # fmt: skip


def tables_of_several(count: int) -> Iterable[Table]:
    results = [long_result(number) for number in range(count)]
    yield from comparison_tables(compare(results), [path(number) for number in range(count)])
    rows = tuple(
        Row(f"loss={NAME}, width={width}", dict.fromkeys(range(3), one.metrics[0]), (one,) * 3, {"completed": 3})
        for width, one in enumerate(results)
    )
    yield leaderboard_table(Leaderboard(f"FID ({NAME})", False, {}, rows))
    progress = Progress(3, 1234, 56789, {}, 12345.6, 54321.0)
    statuses = [
        CellStatus(
            CellRecord(id="a", label=f"loss={NAME}, model.width={width}, seed=1", axes={}, seed=1), state, 2,
            "the discriminator's loss is nan at step 1234 (epoch 3)", progress if state == State.RUNNING else None,
            (f"FID ({NAME})", 12.3456), images_per_second=12345.6,
        )
        for width, state in enumerate([State.RUNNING, State.FAILED, State.COMPLETED, State.QUEUED][:count])
    ]  # fmt: skip
    yield cells_table(statuses, f"{NAME}: 4 cells, 1 running")


def plugin_tables(registry: Registry) -> Iterable[Table]:
    class LongOptions(Options):
        gradient_penalty_weight_schedule: float = Field(0.00012345, gt=0, description="weight of the penalty")

    added: Any = SimpleNamespace(
        plugin=LossPlugin(name=NAME, summary="A loss with a long name", options=LongOptions, build=print),
        provider=PACKAGE,
    )
    yield list_table([*registry.all_plugins(), added])
    yield plugins_table(registry)
    yield options_table(LongOptions)
    for name in ("fid", "adam", "dcgan-fashion", "fashion-mnist"):
        for registered in registry.named(name):
            if options := getattr(registered.plugin, "options", None):
                yield options_table(options, title=name)


def audit_tables() -> Iterable[Table]:
    scores = Scores({"precision": [0.1234, 0.2345], "recall": [12.3456, 13.4567]})
    flaws = [FlawScores("Gaussian noise", f"standard deviation 0.{n}", scores) for n in (1, 2)]
    yield audit_table(Audit(f"{NAME}: audit", {"precision": True, "recall": True}, 1000, {1000: scores}, flaws))


@pytest.mark.parametrize("width", WIDTHS)
def test_every_table_fits_the_terminal_and_keeps_words_and_numbers_whole(width: int, registry: Registry) -> None:
    tables = [
        *run_tables(registry), *tables_of_several(2), *tables_of_several(4), *gate_tables(), *plugin_tables(registry),
        *audit_tables(),
    ]  # fmt: skip
    assert len(tables) > 30
    for table in tables:
        console = SafeConsole(file=io.StringIO(), width=width)
        console.print(table)
        text = console.file.getvalue()
        assert max(map(len, text.splitlines())) <= width, text
        assert "…" not in text
        missing = words_of(table, longest=min(40, (width - 7) // 2)) - {*re.split(r"[\s│┃/=]", text)}
        assert not missing, f"{missing}\n{text}"


def words_of(table: Table, longest: int) -> set[str]:
    """The words and numbers of a table that are short enough for half of the terminal; paths are of several words."""
    cells = [cell for column in table.columns for cell in (column.header, *column.cells)]
    texts = [cell.plain if isinstance(cell, Text) else render(str(cell)).plain for cell in (*cells, table.title or "")]
    return {word for text in texts for word in re.split(r"[\s/=]", text) if word and len(word) <= longest}


@pytest.mark.parametrize(
    ("word", "width", "lines"),
    [
        (path(1), 34, ["runs/", f"{NAME}/", "20261126T040001Z-a1b2c3"]),
        (NAME, 20, ["conditional-", "residual-generator-", "v2"]),
        (HASH, 24, [HASH[:24], HASH[24:48], HASH[48:]]),
        ("width=12", 8, ["width=12"]),
    ],
)
def test_words_that_do_not_fit_are_split_after_punctuation(word: str, width: int, lines: list[str]) -> None:
    table = Table("a")
    table.add_row(word)
    console = SafeConsole(file=io.StringIO(), width=width + 4)
    console.print(table)
    shown = [line.strip("│ ") for line in console.file.getvalue().splitlines()[3:-1]]
    assert shown == lines


def test_a_wide_character_is_split_off_where_not_even_one_fits() -> None:
    assert split_words(Text("実験 a"), 1).plain == "実\n験 a"


def test_a_table_keeps_its_cells_for_another_width() -> None:
    table = Table("Name", "Path", "Kind", title=NAME)
    table.add_row(NAME, path(1), "model")
    widths = []
    for width in (60, 200, 60):
        console = SafeConsole(file=io.StringIO(), width=width)
        console.print(table)
        widths.append(max(map(len, console.file.getvalue().splitlines())))
    assert widths[0] == widths[2] <= 60 < widths[1]


def test_text_between_colons_is_not_an_emoji() -> None:
    console = SafeConsole(file=io.StringIO(), width=80)
    text = "loss.py:100: no gradient in a:key:b"
    table = Table(text)
    table.add_row(text)
    console.print(text, markup=False)
    console.print(table)
    assert console.file.getvalue().count(text) == 3


def test_a_width_of_zero_is_unknown() -> None:
    console = SafeConsole(file=io.StringIO(), _environ={"COLUMNS": "0", "LINES": "0"})
    console.print(Table("Name", title="Some"))
    assert isinstance(console.file, io.StringIO)
    assert "Name" in console.file.getvalue()
    assert console.size == (80, 25)
