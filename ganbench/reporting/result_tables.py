"""Tables of a run: its plan before it starts, its results after it."""

from __future__ import annotations

import shlex
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ganbench.plugin.callbacks import RunInfo
from ganbench.results.schema import (
    ComponentThroughput,
    EngineRecord,
    EpochRow,
    MetricResult,
    Percentiles,
    Profile,
    Result,
    Roofline,
    Window,
    metric_titles,
    monitor_names,
)

from .formatting import column_title, described, duration, loss_columns, mebibytes, number

SHOWN_EPOCHS = 60  # a longer history is thinned out
SHOWN_MONITORS = 4
OVERHEAD = 0.01  # of a step's time: where arithmetic and memory traffic need less, they bound nothing


def run_info_table(info: RunInfo) -> Table:
    """What will run, on what."""
    spec = info.spec
    table = Table(title=escape(f"{spec['name']}: {spec['summary']}"), show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    parameters = ", ".join(f"{player} {count:,}" for player, count in info.parameters.items())
    training, optimizer = spec["training"], spec["optimizer"]
    length = (
        f"{training['epochs']} epochs of {info.steps_per_epoch} steps"
        if "epochs" in training
        else f"{training['steps']} steps"
    )
    budget = f", at most {duration(training['budget_seconds'])}" if "budget_seconds" in training else ""
    rows = {
        "model": f"{described(spec['model'])}: {parameters} parameters",
        "loss": described(spec["loss"]),
        "data": f"{spec['dataset']['name']}, source {info.data.source}: {info.data.train_images:,} train and "
        f"{info.data.test_images:,} test images",
        "optimizers": f"generator {described(optimizer['generator'])}; "
        f"discriminator {described(optimizer['discriminator'])}",
        "training": f"{length}, batch {training['batch_size']}{budget}, seed {training['seed']}, "
        f"{training['precision']}, {training['update_scheme']} updates",
        "metrics": ", ".join(metric["name"] for metric in spec["metrics"]) or "none",
        "device": f"{info.device} ({info.device_name})",
    }
    for name, text in rows.items():
        table.add_row(name, escape(text))
    return table


def show_result(console: Console, result: Result, directory: Path) -> None:
    """The tables after a run, and where its files are."""
    if result.data.notice:
        console.print(f"\n[bold yellow]{escape(result.data.notice)}[/]")
    tables = [*loss_tables(console, result.history), speed_table(result)]
    if result.profile:
        tables.append(profile_table(result.profile))
    if result.metrics:
        tables += [metrics_table(result.metrics), protocols_table(result.metrics)]
    for table in tables:
        console.print()
        console.print(table)
    console.print(f"\n{ending(result.status, result.message)}", highlight=False)
    console.print("files in ", f"[bold]{escape(str(directory))}[/]: ", sep="", end="")
    console.print("result.json, " + ", ".join(result.artifacts.values()), markup=False, highlight=False)
    if result.status == "interrupted":
        command = f"ganbench run --resume {shlex.quote(str(directory))}"
        console.print(f"resume with: {command}", markup=False, highlight=False, soft_wrap=True)


def ending(status: str, message: str | None) -> str:
    """How a run ended, without saying its status twice."""
    if message is None or message.startswith(status):
        return f"[bold]{escape(message or status)}[/]"
    return f"[bold]{status}[/]: {escape(message)}"


def loss_tables(console: Console, history: list[EpochRow]) -> list[Table]:
    """The history with as many monitors as fit on the console; nothing where training did not begin."""
    if not history:
        return []
    for shown in range(SHOWN_MONITORS, 0, -1):
        table = history_table(history, shown)
        if console.measure(table, options=console.options.update_width(1000)).maximum <= console.width:
            return [table]
    return [history_table(history, 0)]


def history_table(history: list[EpochRow], shown_monitors: int) -> Table:
    """Losses and monitors per epoch: the homework's columns, where its loss was used."""
    monitors = monitor_names(history)
    columns = ["d_loss", "g_loss", *monitors[:shown_monitors]]
    every = -(-len(history) // SHOWN_EPOCHS)
    table = Table(
        "Epoch", *(column_title(column) for column in columns), "Images/s", title="Losses", title_justify="left"
    )
    if every > 1 or len(monitors) > shown_monitors:
        table.caption = "all epochs and monitors are in history.csv"
    for row in history[::-every][::-1]:  # the last one among them
        values = loss_columns(row)
        table.add_row(
            str(row.epoch), *(number(values.get(column)) for column in columns), f"{row.images_per_second:,.0f}"
        )
    return _right_aligned(table)


def speed_table(result: Result) -> Table:
    """Throughput over the windows, what explains it, and memory."""
    table = Table("", "", title="Speed", title_justify="left", show_header=False)
    throughput, memory = result.throughput, result.memory
    spread, mean, apart = (
        throughput.images_per_second,
        throughput.mean_images_per_second,
        throughput.component_throughput,
    )
    if spread and mean:
        windows = f"{len(throughput.windows)} window{'s' * (len(throughput.windows) != 1)}"
        table.add_row("images/s", f"{mean:,.0f} (p10 {spread.p10:,.0f}, p90 {spread.p90:,.0f}, {windows})")
        table.add_row("seconds per 1,000 images", f"{throughput.seconds_per_kimg:.3f}")
    if throughput.disturbed_by:
        warning = f"{throughput.disturbed_by}; on a quiet machine these figures would be different"
        table.add_row("[bold yellow]disturbed[/]", f"[bold yellow]{escape(warning)}[/]")
    if throughput.engine:
        table.add_row("engine", escape(engine_line(throughput.engine)))
    table.add_row("time by phase", ", ".join(f"{phase} {share:.1%}" for phase, share in throughput.phases.items()))
    if any(window.device_seconds is not None for window in throughput.windows):
        table.add_row("time by clock", clocks_line(throughput.windows))
    if apart:
        table.add_row("images/s apart", apart_line(apart, spread))
    if mean and throughput.roofline:
        for name, text in bound_lines(throughput.roofline, mean, result.spec["training"]["batch_size"]).items():
            table.add_row(name, text)
    if throughput.joules_per_image is not None:
        table.add_row("energy", f"{throughput.joules_per_image * 1e3:,.2f} mJ an image, of the whole board")
    throttled = sorted({reason for window in throughput.windows if window.gpu for reason in window.gpu.throttled_by})
    if throttled:
        table.add_row("held back by", ", ".join(throttled))
    outside = f"warm-up {throughput.warmup_seconds:.1f} s, evaluation {throughput.evaluation_seconds:.1f} s"
    table.add_row("not counted", outside)
    if memory.device_peak_bytes is not None:
        table.add_row("peak device memory", mebibytes(memory.device_peak_bytes))
    if memory.host_peak_rss_bytes is not None:
        table.add_row("peak host memory", mebibytes(memory.host_peak_rss_bytes))
    return table


def engine_line(engine: EngineRecord) -> str:
    """Which engine took the steps, and what was proved of it."""
    line: str = engine.name
    if engine.verified_steps:
        proof = (
            "as eager does, bit for bit"
            if not engine.eager_nondeterminism
            else "as near to eager as eager is to itself"
        )
        line += f", {engine.verified_steps} steps verified: {proof}"
    if engine.fallback_reason:
        line += f", as no graph could be taken: {engine.fallback_reason}"
    if engine.compile_seconds is not None:
        line += f", networks compiled in {engine.compile_seconds:.1f} s"
    return line


def apart_line(apart: ComponentThroughput, spread: Percentiles | None) -> str:
    """Each half of the work alone, which training cannot outrun: where it did, the machine was busy in the warm-up."""
    line = f"{apart.data_only:,.0f} without learning, {apart.compute_only:,.0f} without new data"
    if spread and min(apart.data_only, apart.compute_only) < spread.p10:
        line += "; training was faster, so these say nothing: the machine was busy when they were measured"
    return line


def clocks_line(windows: list[Window]) -> str:
    """How long host and GPU were at work, as shares of the wall clock: the larger is what training waits for."""
    wall = sum(window.seconds for window in windows)
    dispatch = sum(window.dispatch_seconds for window in windows)
    device = sum(window.device_seconds or 0.0 for window in windows)
    return f"dispatch {dispatch / wall:.1%} of the wall clock's, device {device / wall:.1%}"


def bound_lines(roofline: Roofline, images_per_second: float, batch_size: int) -> dict[str, str]:
    """How near a step comes to what the device can do, where the measured ceilings can say that."""
    step, floor = batch_size / images_per_second, roofline.min_step_seconds(batch_size)
    milliseconds = f"{step * 1e3:,.3f} ms"
    arithmetic = f"{roofline.flops_per_image / 1e6:,.2f} MFLOP an image"
    if roofline.unreliable:
        return {"arithmetic": arithmetic, "time of a step": f"{milliseconds}; no bound: {roofline.unreliable}"}
    if floor < OVERHEAD * step:
        needed = f"its arithmetic and memory traffic need less than {OVERHEAD:.0%} of it"
        return {"time of a step": f"{milliseconds}, nearly all of it overhead: {needed}"}
    share = f"{roofline.utilization(images_per_second):.1%}"
    matmul = f"{roofline.matmul_flops_per_second / 1e12:,.3f} TFLOP/s of a matrix product"
    copy = f"a copy: {roofline.copy_bytes_per_second / 1e9:,.1f} GB/s"
    return {
        "arithmetic": f"{arithmetic}: {share} of the {matmul} ({copy})",
        "time of a step": f"{milliseconds}, {step / floor:.2f} times the floor of the device",
    }


def profile_table(profile: Profile, rows: int = 15) -> Table:
    """The longest kernels of a step."""
    table = Table(
        "Phase", "Kernel", "Calls a step", "ms a step", "Share", title="Profile of a step", title_justify="left"
    )
    total = sum(profile.phases.values()) or 1.0
    for phase, seconds in profile.phases.items():
        table.add_row(phase, "[bold]all[/]", "", f"{seconds * 1e3:.3f}", f"{seconds / total:.1%}")
    for kernel in profile.kernels[:rows]:
        share = f"{kernel.seconds_per_step / total:.1%}"
        milliseconds = f"{kernel.seconds_per_step * 1e3:.3f}"
        table.add_row(kernel.phase, escape(kernel.name), f"{kernel.calls_per_step:g}", milliseconds, share)
    return table


def metrics_table(metrics: list[MetricResult]) -> Table:
    """Each metric at the end, at its best, along the way, and for real images."""
    table = Table(
        "Metric", "At the end", "Best", "Real images (floor)", "By epoch", title="Scores", title_justify="left"
    )
    titles = metric_titles(metrics)
    for metric in metrics:
        curve = "  ".join(f"{point.epoch:.3g}: {number(point.value)}" for point in metric.curve)
        best = f"{number(metric.best.value)} (epoch {metric.best.epoch:.3g})" if metric.best else ""
        table.add_row(
            escape(titles[metric.id]),
            "not reached" if metric.value is None else number(metric.value),
            best,
            f"{number(metric.real_data_score)} ({metric.real_data_samples:,} images)"
            if metric.real_data_samples
            else "",
            curve,
        )
    notes = [f"{titles[metric.id]}: {warning}" for metric in metrics for warning in metric.warnings]
    if notes:
        table.caption = escape("\n".join(notes))
    return table


def protocols_table(metrics: list[MetricResult]) -> Table:
    """The full protocol and the software behind each score: only scores of one protocol may be compared."""
    titles = metric_titles(metrics).values()
    table = Table("", *map(escape, titles), title="Evaluation protocol, and software", title_justify="left")
    for part in ("protocol", "software"):
        fields = [getattr(metric, part) for metric in metrics]
        for name in dict.fromkeys(name for field in fields for name in field):
            table.add_row(escape(name), *(escape(str(field.get(name, ""))) for field in fields))
        table.add_section()
    return table


def _right_aligned(table: Table) -> Table:
    for column in table.columns:
        column.justify = "right"
    return table
