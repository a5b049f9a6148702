"""Tables and live display: their contents, and text that must not break them."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import Field
from rich.console import Console
from stored_result import NOTICE, result, row

from ganbench import Options
from ganbench.plugin.callbacks import Progress, RunInfo
from ganbench.plugin.registry import Registry
from ganbench.reporting.comparison_tables import overview_table
from ganbench.reporting.display import terminal_display
from ganbench.reporting.formatting import duration, number
from ganbench.reporting.notebook import NotebookDisplay
from ganbench.reporting.plugin_tables import options_table
from ganbench.reporting.result_tables import show_result
from ganbench.reporting.run_info_table import step_rows
from ganbench.reporting.seed_tables import seeds_table
from ganbench.results.schema import DataRecord, Environment, MetricPoint, Profile, ProfiledKernel, Result
from ganbench.results.suite_record import CellRecord
from ganbench.results.throughput import ComponentThroughput, EngineRecord, Percentiles
from ganbench.spec.loading import load_spec
from ganbench.suite.cell_state import finished_status
from ganbench.suite.tables import score_text
from ganbench.system import cpu_features


def shown(result: Result, directory: Path = Path("runs/x")) -> str:
    console = Console(file=io.StringIO(), width=140)
    show_result(console, result, directory)
    return console.file.getvalue()


def test_the_tables_show_losses_speed_and_scores_with_their_protocols() -> None:
    text = shown(result())
    for expected in (
        "D Loss", "G Loss", "Real Score", "Fake Score", "0.5000", "500 (p10 480, p90 510, 1 window)", "2.000",
        "discriminator 40.0%", "1,024 MiB", "FID (fashion-cnn)", "4.0000 (epoch 1)", "0.05000 (5,000 images)",
        "0: 12.5000  1: 4.0000", "extractor", "split", "losses.png", "completed", NOTICE,
        "graph, 3 steps verified: bitwise identical to eager", "dispatch 25.0%, device 95.0% of wall time",
        "9,000 data only, 510 compute only", "1,000.00 MFLOP per image, 25.0% of the 2.000 TFLOP/s",
        "100.000 ms, 4.00 times the roofline minimum", "12.50 mJ per image", "sw_power_cap",
        "warm-up 1.5 s, evaluation 3.2 s",
    ):  # fmt: skip
        assert expected in text


def test_scores_without_a_real_data_score_have_no_column_for_it() -> None:
    (fid,) = result().metrics
    assert "Real data" in shown(result())
    text = shown(result(metrics=[fid.model_copy(update={"real_data_score": None, "real_data_samples": 0})]))
    assert "Real data" not in text
    assert "0: 12.5000  1: 4.0000" in text


def with_throughput(**changes: object) -> Result:
    return result(throughput=result().throughput.model_copy(update=changes))


def test_the_headline_is_all_images_over_all_seconds() -> None:
    assert "326 (p10 109, p90 2,708" in shown(
        with_throughput(seconds_per_kimg=1000 / 326, images_per_second=Percentiles(median=2273, p10=109, p90=2708))
    )


def test_a_disturbed_run_gives_the_cause_and_no_roofline_minimum() -> None:
    reason = "other processes used 1.48 of the 2 CPU cores during training"
    roofline = result().throughput.roofline.model_copy(update={"unreliable": reason})
    text = shown(with_throughput(disturbed=True, disturbed_by=reason, roofline=roofline))
    assert f"disturbed                │ {reason}; speeds would differ on a quiet machine" in text
    assert "times the roofline minimum" not in text
    assert "matrix product" not in text
    assert "disturbed" not in shown(result())


def test_the_speed_of_a_disturbed_run_is_marked_among_seeds_and_in_notebooks() -> None:
    reason = "other processes used 1.48 of the 2 CPU cores during training"
    runs = {Path("seed-0"): result(), Path("seed-1"): with_throughput(disturbed=True, disturbed_by=reason)}
    console = Console(file=io.StringIO(), width=140)
    console.print(seeds_table(runs))
    quiet, busy = (line for line in console.file.getvalue().splitlines() if "seed-" in line)
    assert ("~500" in quiet, "~500" in busy) == (False, True)
    assert "~ other work ran on the machine" in console.file.getvalue()
    notebook = NotebookDisplay()
    for run, text in zip(
        runs.values(), ("completed, 500 images/s", f"~500 images/s (disturbed: {reason})"), strict=True
    ):
        notebook.on_run_end(run)
        assert text in notebook.html()


def test_a_roofline_that_training_exceeds_is_not_printed() -> None:
    roofline = result().throughput.roofline.model_copy(update={"unreliable": "training was faster"})
    text = shown(with_throughput(roofline=roofline))
    assert "100.000 ms; no roofline minimum: training was faster" in text
    assert "times the roofline minimum" not in text


@pytest.mark.parametrize(("compute_only", "contradicted"), [(510, False), (470, True)])
def test_component_throughput_below_that_of_training_is_marked(compute_only: float, contradicted: bool) -> None:
    text = shown(with_throughput(component_throughput=ComponentThroughput(data_only=9000, compute_only=compute_only)))
    assert f"{compute_only} compute only" in text
    assert ("unreliable: training was faster" in text) is contradicted  # p10 is 480


@pytest.mark.parametrize(("flops", "state_bytes"), [(10.0, 64), (0.0, 0)])
def test_a_step_that_is_mostly_overhead_has_no_roofline_minimum(flops: float, state_bytes: int) -> None:
    """A game of two numbers takes 200,000 times as long as its arithmetic, so the ratio is meaningless."""
    changes = {"flops_per_image": flops, "state_bytes_per_step": state_bytes}
    text = shown(with_throughput(roofline=result().throughput.roofline.model_copy(update=changes)))
    assert "100.000 ms, mostly overhead" in text
    assert "times the roofline minimum" not in text
    assert "MFLOP" not in text


def test_an_engine_that_fell_back_says_why() -> None:
    engine = EngineRecord(name="eager", requested="auto", fallback_reason="hinge.py:9 in loss: x.item(): it waits")
    throughput = result().throughput.model_copy(update={"engine": engine})
    assert "eager, CUDA graph unavailable: hinge.py:9 in loss" in shown(result(throughput=throughput))


def test_a_profile_shows_phases_and_the_longest_kernels() -> None:
    kernels = [
        ProfiledKernel(name=f"gemm[{index}]", phase="generator", calls_per_step=2, seconds_per_step=0.003 / index)
        for index in range(1, 30)
    ]
    profile = Profile(steps=5, phases={"data": 0.001, "discriminator": 0.004, "generator": 0.005}, kernels=kernels)
    text = shown(result(profile=profile))
    for expected in ("Step profile", "50.0%", "gemm[1]", "3.000", "30.0%", "gemm[15]"):
        assert expected in text
    assert "gemm[16]" not in text


def test_a_long_kernel_name_is_cut() -> None:
    name = "_ZN17cutlass__5x_cudnn6KernelINS_4conv6kernel23ImplicitGemmConvolution" + "E" * 2000
    kernel = ProfiledKernel(name=name, phase="generator", calls_per_step=2, seconds_per_step=0.003)
    text = shown(result(profile=Profile(steps=5, phases={"generator": 0.003}, kernels=[kernel])))
    assert "_ZN17cutlass" in text
    assert "EEEE" not in text
    assert "full names are in result.json" in text


def test_a_loss_that_is_not_finite_is_shown_as_such() -> None:
    text = shown(result(history=[row(1, d_loss=None)], status="diverged", message="the discriminator's loss is nan"))
    assert "not finite" in text
    assert "diverged: the discriminator's loss is nan" in text


def test_a_cell_of_a_suite_shows_why_it_has_no_final_score() -> None:
    (fid,) = result().metrics
    diverged = result(status="diverged", history=[row(1), row(2)], metrics=[fid.model_copy(update={"value": None})])
    status = finished_status(CellRecord(id="a", label="a", axes={}, seed=0), diverged, attempts=1)
    assert score_text(status) == "FID (fashion-cnn) not reached"


def test_an_interrupted_run_says_so_once_and_how_to_resume() -> None:
    text = shown(result(status="interrupted", message="interrupted after step 7"), Path("my runs/x"))
    assert text.count("interrupted") == 1
    assert "resume with: ganbench run --resume 'my runs/x'\n" in text
    assert "resume with" not in shown(result())


def test_a_run_over_several_processes_is_resumed_with_as_many() -> None:
    conditions = {**result().throughput.conditions, "processes": 2}
    throughput = result().throughput.model_copy(update={"conditions": conditions})
    text = shown(result(status="interrupted", throughput=throughput), Path("my runs/x"))
    assert "resume with: torchrun --nproc-per-node 2 -m ganbench run --resume 'my runs/x'\n" in text


def test_long_runs_show_their_epochs_without_rounding(info: RunInfo) -> None:
    points = [MetricPoint(epoch=epoch, images=5000, value=4.0) for epoch in (12.5, 1034, 123_456)]
    (fid,) = result().metrics
    long = result(
        history=[row(1034).model_copy(update={"images": 1034 * 5000})],
        metrics=[fid.model_copy(update={"curve": points, "best": points[1]})],
        spec={"training": {"batch_size": 50, "seed": 0}},
        environment=Environment(must_match={"device": "a GPU"}, may_differ={}),
    )
    text = shown(long)
    assert "12.5: 4.0000  1,034: 4.0000  123,456: 4.0000" in text
    assert "4.0000 (epoch 1,034)" in text
    page = long._repr_html_()
    assert "4 (epoch 1,034)" in page
    assert "1,034 epochs of embedded data" in page
    console = Console(file=io.StringIO(), width=140)
    console.print(overview_table([long], ["long"]))
    assert "1,034" in console.file.getvalue()
    lines, notebook = terminal_display(console), NotebookDisplay()
    lines.on_score("FID", points[1])
    notebook.next_update = math.inf
    notebook.on_score("FID", points[1])
    assert "epoch 1,034: FID" in console.file.getvalue()
    assert "FID 4.0000 (epoch 1,034)" in notebook.html()


def test_a_notebook_shows_how_many_images_are_behind_the_score_of_real_data() -> None:
    assert "<td>0.05 (5,000 images)</td>" in result(history=[])._repr_html_()


def test_a_result_without_training_is_shown() -> None:
    nothing = result().throughput.model_copy(
        update={
            "images_per_second": None,
            "windows": [],
            "phases": {},
            "component_throughput": None,
            "engine": None,
            "roofline": None,
        }
    )
    text = shown(result(history=[], metrics=[], throughput=nothing, status="interrupted", message=None))
    assert "Losses" not in text
    assert "interrupted" in text


@pytest.mark.parametrize("width", [40, 60, 80])
def test_losses_are_whole_numbers_on_a_narrow_terminal(width: int) -> None:
    console = Console(file=io.StringIO(), width=width)
    show_result(console, result(), Path("runs/x"))
    losses = console.file.getvalue().partition("Losses")[2].partition("Speed")[0]
    assert "0.5000" in losses
    assert "2.5000" in losses
    assert ("Real Score" in losses) == (width > 40)
    assert "…" not in losses


def test_text_from_plugins_is_never_interpreted_as_markup() -> None:
    text = shown(result(message="[bold]not bold[/bold] [/]", status="failed"))
    assert "[bold]not bold[/bold] [/]" in text


@pytest.fixture
def info(registry: Registry) -> RunInfo:
    spec = load_spec("dcgan-fashion", registry)
    data = DataRecord(
        source="embedded",
        fingerprint="0",
        content_sha256="0",
        content_basis="all images",
        train_images=5000,
        test_images=1000,
        notice=NOTICE,
    )
    return RunInfo(spec.to_dict(), "cpu", "a CPU", data, {"generator": 2, "discriminator": 1}, 79, 3950, "fp32")


def displayed(info: RunInfo, seconds_left: float, terminal: bool) -> str:
    console = Console(file=io.StringIO(), width=140, force_terminal=terminal)
    live = terminal_display(console)
    live.on_run_start(info)
    for step in (10, 20):
        live.on_window_end(Progress(1, step, 3950, {"d_loss": 0.5, "g_loss": 2.5}, 150.0, seconds_left))
    live.on_epoch_end(row(1))
    live.on_score("FID (fashion-cnn)", MetricPoint(epoch=1, images=5000, value=4.0))
    live.stop()
    return console.file.getvalue()


def test_training_on_the_subset_is_announced_first_and_in_bold(info: RunInfo) -> None:
    text = displayed(info, 60, terminal=True)
    assert text.startswith("\x1b[1;33m" + NOTICE)


@pytest.mark.parametrize(("seconds", "hinted"), [(60, False), (6000, True)])
def test_a_long_run_comes_with_an_estimate_and_a_hint(seconds: float, hinted: bool, info: RunInfo) -> None:
    text = displayed(info, seconds, terminal=False)
    assert f"training will take about {duration(seconds)}" in text
    assert ("--budget" in text) is hinted


@pytest.mark.parametrize(
    ("device", "precision", "flags", "hinted"),
    [
        ("cpu", "tf32", "flags\t: avx2 avx512_bf16", True),
        ("cpu", "fp32", "flags\t: amx_bf16 amx_tile", True),
        ("cpu", "bf16", "flags\t: avx512_bf16", False),
        ("cpu", "fp32", "flags\t: avx2 avx512f", False),
        ("cuda:0", "fp32", "flags\t: avx512_bf16", False),
    ],
)
def test_a_long_run_on_a_cpu_with_bf16_instructions_gets_a_hint(
    device: str,
    precision: str,
    flags: str,
    hinted: bool,
    info: RunInfo,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{flags}\n")
    monkeypatch.setattr(cpu_features, "CPUINFO", tmp_path / "cpuinfo")
    cpu_features.has_bf16_instructions.cache_clear()
    spec = {**info.spec, "training": {**info.spec["training"], "precision": precision}}
    text = displayed(replace(info, device=device, spec=spec), 6000, terminal=False)
    cpu_features.has_bf16_instructions.cache_clear()
    assert ("--precision bf16" in text) is hinted


def test_without_a_terminal_progress_is_plain_lines(info: RunInfo) -> None:
    text = displayed(info, 60, terminal=False)
    assert "\x1b" not in text
    assert "epoch 1, step 10/3950: D Loss 0.5000  G Loss 2.5000  150 images/s  60 s left" in text
    assert "step 20/3950" not in text  # a line every half minute, not every window
    assert "epoch 1: FID (fashion-cnn) 4.0000" in text


@pytest.mark.parametrize("terminal", [True, False])
def test_the_speed_is_marked_while_other_runs_share_the_machine(terminal: bool, info: RunInfo) -> None:
    console = Console(file=io.StringIO(), width=140, force_terminal=terminal)
    live = terminal_display(console)
    live.on_run_start(info)
    live.on_window_end(Progress(1, 10, 3950, {"d_loss": 0.5}, 150.0, 60.0, disturbed=True))
    live.stop()
    assert "~150" in console.file.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"), [(45, "45 s"), (720, "12 min"), (19_200, "5 h 20 min"), (5399, "1 h 30 min")]
)
def test_durations_are_readable(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.00124, "0.001240"), (0.00116, "0.001160"), (-0.00051, "-0.0005100"), (0.0999, "0.09990"), (0.1, "0.1000"),
        (12.3456, "12.3456"), (0.0, "0.0000"), (2.5e-6, "2.500e-06"), (3e7, "3.000e+07"), (None, "not finite"),
    ],
)  # fmt: skip
def test_small_scores_have_enough_digits_to_tell_them_apart(value: float | None, text: str) -> None:
    assert number(value) == text


def test_options_are_described_from_their_schema() -> None:
    class TinyOptions(Options):
        width: int = Field(32, ge=4, description="channels of the [first] layer")
        kind: str = Field(description="no default")

    console = Console(file=io.StringIO(), width=140)
    console.print(options_table(TinyOptions))
    text = console.file.getvalue()
    for expected in ("width", "integer, at least 4", "32", "channels of the [first] layer", "required"):
        assert expected in text


def test_the_table_before_a_run_has_the_parts_of_its_step(registry: Registry) -> None:
    parts = ["training.discriminator_steps=5", "ema.half_life_kimg=10", 'augmentations=["diffaugment"]']
    spec = load_spec("dcgan-fashion", registry, [*parts, 'penalties=[{name="r1",weight=0.1}]'])
    rows = step_rows(spec.to_dict())
    assert list(rows) == ["updates", "penalties", "augmentations", "moving average"]
    assert "r1 (" in rows["penalties"]
    assert "weight 0.1" in rows["penalties"] or "weight=0.1" in rows["penalties"]
    assert step_rows(load_spec("dcgan-fashion", registry).to_dict()) == {}
