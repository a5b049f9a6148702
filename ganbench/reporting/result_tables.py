"""Tables of a run: its configuration before it starts, and its results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ganbench.plugin.callbacks import RunInfo
from ganbench.reporting.console import print_text
from ganbench.results.schema import (
    LOSS_COLUMNS,
    EpochRow,
    MetricResult,
    Profile,
    ReferenceResult,
    Result,
    epochs_text,
    metric_titles,
    monitor_names,
)
from ganbench.results.throughput import ComponentThroughput, EngineRecord, Percentiles, Roofline, Window

from .formatting import (
    column_title,
    duration,
    format_plugin,
    format_verdict,
    mebibytes,
    number,
    run_command,
    with_owners,
)
from .target_tables import targets_table
from .trackers.fan_out import read_tracked_runs

MAX_EPOCH_ROWS = 60  # show a longer history at intervals
MAX_MONITORS = 4
SHOWN_KERNELS = 15
MAX_KERNEL_NAME = 60  # characters
MIN_ROOFLINE_SHARE = 0.01  # of the step time; below it, the roofline minimum is meaningless


def run_info_table(info: RunInfo) -> Table:
    """Show what will run, and on which data and device."""
    spec = info.spec
    table = Table(title=escape(f"{spec['name']}: {spec['summary']}"), show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column()
    parameters = ", ".join(f"{player} {count:,}" for player, count in info.parameters.items())
    training, optimizer = spec["training"], spec["optimizer"]
    length = (
        f"{training['epochs']} epochs of {info.steps_per_epoch} steps"
        if "epochs" in training
        else f"{training['steps']} steps"
    )
    budget = f", at most {duration(training['budget_seconds'])}" if "budget_seconds" in training else ""
    rows = {
        "model": f"{format_plugin(spec['model'])}: {parameters} parameters",
        "loss": format_plugin(spec["loss"]),
        "data": f"{spec['dataset']['name']}, source {info.data.source}: {info.data.train_images:,} train and "
        f"{info.data.test_images:,} test images",
        "optimizers": f"generator {format_plugin(optimizer['generator'])}; "
        f"discriminator {format_plugin(optimizer['discriminator'])}",
        "training": f"{length}, batch {training['batch_size']}{budget}, seed {training['seed']}, "
        f"{training['precision']}, {training['update_scheme']} updates",
        **step_rows(spec),
        "metrics": ", ".join(metric["name"] for metric in spec["metrics"]) or "none",
        "device": f"{info.device} ({info.device_name})",
    }
    for name, text in rows.items():
        table.add_row(name, escape(text))
    return table


def step_rows(spec: dict[str, Any]) -> dict[str, str]:
    """Format the parts of a training step that not every benchmark has."""
    training, rows = spec["training"], {}
    if training["discriminator_steps"] > 1:
        rows["updates"] = f"{training['discriminator_steps']} discriminator updates per generator update"
    for kind in ("penalties", "augmentations"):
        if spec[kind]:
            rows[kind] = "; ".join(format_plugin(plugin) for plugin in spec[kind])
    if "ema" in spec:
        half_life = spec["ema"]["half_life_kimg"]
        number = format_plugin(half_life) if isinstance(half_life, dict) else f"{half_life:g}"
        rows["moving average"] = f"half-life {number} kimg"
    return rows


def show_result(console: Console, result: Result, directory: Path) -> None:
    """Print the tables of a finished run and the location of its files."""
    if result.data.notice:
        console.print(f"\n[bold yellow]{escape(result.data.notice)}[/]")
    tables = [*loss_tables(console, result.history), speed_table(result)]
    if result.profile:
        tables.append(profile_table(result.profile))
    if result.metrics:
        tables += [metrics_table(result), protocols_table(result.metrics)]
    if result.targets:
        tables.append(targets_table(result.targets))
    if result.references:
        tables.append(references_table(result.references))
    for table in tables:
        console.print()
        console.print(table)
    console.print(f"\n{format_outcome(result.status, result.message)}", highlight=False)
    files = ", ".join(["result.json", *result.artifacts.values()])
    console.print(f"files in [bold]{escape(str(directory))}[/]: {escape(files)}", highlight=False)
    for name, run in read_tracked_runs(directory).items():
        where = f"{run.id}, {run.url}" if run.url else run.id
        print_text(console, f"tracker {name}: {where}")
    if result.status == "interrupted":
        command = run_command("--resume", str(directory), processes=result.throughput.processes)
        print_text(console, f"resume with: {command}")


def format_outcome(status: str, message: str | None) -> str:
    """Format the status and message of a run, without repeating the status."""
    if message is None or message.startswith(status):
        return f"[bold]{escape(message or status)}[/]"
    return f"[bold]{status}[/]: {escape(message)}"


def loss_tables(console: Console, history: list[EpochRow]) -> list[Table]:
    """Return the loss table with as many monitors as fit on the console; no table if training did not start."""
    if not history:
        return []
    for shown in range(MAX_MONITORS, 0, -1):
        table = history_table(history, shown)
        if console.measure(table, options=console.options.update_width(1000)).maximum <= console.width:
            return [table]
    return [history_table(history, 0)]


def history_table(history: list[EpochRow], shown_monitors: int) -> Table:
    """Show losses and monitors per epoch."""
    monitors = monitor_names(history)
    columns = [*LOSS_COLUMNS, *monitors[:shown_monitors]]
    every = -(-len(history) // MAX_EPOCH_ROWS)
    table = Table(
        "Epoch", *(column_title(column) for column in columns), "Images/s", title="Losses", title_justify="left"
    )
    if every > 1 or len(monitors) > shown_monitors:
        table.caption = "all epochs and monitors are in history.csv"
    for row in history[::-every][::-1]:  # always include the last epoch
        values = row.losses
        table.add_row(
            str(row.epoch), *(number(values.get(column)) for column in columns), f"{row.images_per_second:,.0f}"
        )
    return _align_right(table)


def speed_table(result: Result) -> Table:
    """Show throughput, its breakdown and memory."""
    table = Table("", "", title="Speed", title_justify="left", show_header=False)
    throughput, memory = result.throughput, result.memory
    rates, mean = throughput.images_per_second, throughput.mean_images_per_second
    if rates and mean:
        windows = f"{len(throughput.windows)} window{'s' * (len(throughput.windows) != 1)}"
        table.add_row("images/s", f"{mean:,.0f} (p10 {rates.p10:,.0f}, p90 {rates.p90:,.0f}, {windows})")
        table.add_row("seconds per 1,000 images", f"{throughput.seconds_per_kimg:.3f}")
    if throughput.disturbed_by:
        warning = f"{throughput.disturbed_by}; speeds would differ on a quiet machine"
        table.add_row("[bold yellow]disturbed[/]", f"[bold yellow]{escape(warning)}[/]")
    if throughput.engine:
        table.add_row("engine", escape(engine_line(throughput.engine)))
    table.add_row("time by phase", ", ".join(f"{phase} {share:.1%}" for phase, share in throughput.phases.items()))
    if any(window.device_seconds is not None for window in throughput.windows):
        table.add_row("time by clock", clocks_line(throughput.windows))
    if throughput.component_throughput:
        table.add_row("component images/s", components_line(throughput.component_throughput, rates))
    if mean and throughput.roofline:
        for name, text in roofline_rows(throughput.roofline, mean, result.images_per_step).items():
            table.add_row(name, text)
    if throughput.joules_per_image is not None:
        table.add_row("energy", f"{throughput.joules_per_image * 1e3:,.2f} mJ per image (whole board)")
    throttled = sorted({reason for window in throughput.windows if window.gpu for reason in window.gpu.throttled_by})
    if throttled:
        table.add_row("clocks limited by", ", ".join(throttled))
    excluded = f"warm-up {throughput.warmup_seconds:.1f} s, evaluation {throughput.evaluation_seconds:.1f} s"
    table.add_row("excluded from timing", excluded)
    if memory.device_peak_bytes is not None:
        table.add_row("peak device memory", mebibytes(memory.device_peak_bytes))
    if memory.host_peak_rss_bytes is not None:
        table.add_row("peak host memory", mebibytes(memory.host_peak_rss_bytes))
    return table


def engine_line(engine: EngineRecord) -> str:
    """Describe the engine and the outcome of its verification."""
    line: str = engine.name
    if engine.verified_steps:
        agreement = (
            "as close to eager as eager runs are to each other"
            if engine.eager_nondeterminism
            else "bitwise identical to eager"
        )
        line += f", {engine.verified_steps} steps verified: {agreement}"
    if engine.fallback_reason:
        line += f", CUDA graph unavailable: {engine.fallback_reason}"
    if engine.compile_seconds is not None:
        line += f", networks compiled in {engine.compile_seconds:.1f} s"
    return line


def components_line(components: ComponentThroughput, rates: Percentiles | None) -> str:
    """Format the throughput of each half of the work; training can be faster only if the machine was busy."""
    line = f"{components.data_only:,.0f} data only, {components.compute_only:,.0f} compute only"
    if rates and min(components.data_only, components.compute_only) < rates.p10:
        line += " (unreliable: training was faster, so the machine was busy during this measurement)"
    return line


def clocks_line(windows: list[Window]) -> str:
    """Format host and device time as fractions of wall time; training waits for the larger one."""
    wall = sum(window.seconds for window in windows)
    dispatch = sum(window.dispatch_seconds for window in windows)
    device = sum(window.device_seconds or 0.0 for window in windows)
    return f"dispatch {dispatch / wall:.1%}, device {device / wall:.1%} of wall time"


def roofline_rows(roofline: Roofline, images_per_second: float, images_per_step: int) -> dict[str, str]:
    """Return rows that compare a step with the roofline minimum, as far as the measured peak rates allow."""
    step, minimum = images_per_step / images_per_second, roofline.min_step_seconds(images_per_step)
    milliseconds = f"{step * 1e3:,.3f} ms"
    arithmetic = f"{roofline.flops_per_image / 1e6:,.2f} MFLOP per image"
    if roofline.unreliable:
        return {"arithmetic": arithmetic, "step time": f"{milliseconds}; no roofline minimum: {roofline.unreliable}"}
    if minimum < MIN_ROOFLINE_SHARE * step:
        needed = f"arithmetic and memory traffic take less than {MIN_ROOFLINE_SHARE:.0%}"
        return {"step time": f"{milliseconds}, mostly overhead: {needed}"}
    share = f"{roofline.utilization(images_per_second):.1%}"
    matmul = f"{roofline.matmul_flops_per_second / 1e12:,.3f} TFLOP/s matrix product"
    copy = f"copy: {roofline.copy_bytes_per_second / 1e9:,.1f} GB/s"
    return {
        "arithmetic": f"{arithmetic}, {share} of the {matmul} ({copy})",
        "step time": f"{milliseconds}, {step / minimum:.2f} times the roofline minimum",
    }


def profile_table(profile: Profile) -> Table:
    """Show the longest kernels of a step, with the beginning of their names: C++ templates may fill the screen."""
    table = Table("Phase", "Kernel", "Calls/step", "ms/step", "Share", title="Step profile", title_justify="left")
    total = sum(profile.phases.values()) or 1.0
    for phase, seconds in profile.phases.items():
        table.add_row(phase, "[bold]all[/]", "", f"{seconds * 1e3:.3f}", f"{seconds / total:.1%}")
    for kernel in profile.kernels[:SHOWN_KERNELS]:
        share = f"{kernel.seconds_per_step / total:.1%}"
        milliseconds = f"{kernel.seconds_per_step * 1e3:.3f}"
        name = kernel.name
        if len(name) > MAX_KERNEL_NAME:
            name = f"{name[: MAX_KERNEL_NAME - 3]}..."
            table.caption, table.caption_justify = "full names are in result.json", "left"
        table.add_row(kernel.phase, escape(name), f"{kernel.calls_per_step:g}", milliseconds, share)
    return table


def metrics_table(result: Result) -> Table:
    """Show the final and best scores of each metric, those of real data if there are any, and all scores by epoch.

    Without training, there is a single score.
    """
    metrics = result.metrics
    has_real_data = any(metric.real_data_samples for metric in metrics)
    trained = any(point.images for metric in metrics for point in metric.curve)
    columns = ["Metric", *(["Final", "Best"] if trained else ["Score"]), *(["Real data"] if has_real_data else [])]
    columns += ["By epoch"] if trained else []
    table = Table(*columns, title="Scores", title_justify="left")
    titles = metric_titles(metrics)
    for metric in metrics:
        curve = "  ".join(f"{epochs_text(point.epoch)}: {number(point.value)}" for point in metric.curve)
        best = f"{number(metric.best.value)} (epoch {epochs_text(metric.best.epoch)})" if metric.best else ""
        final = result.why_missing(metric) if metric.value is None else number(metric.value)
        row = [escape(titles[metric.id]), final, *([best] if trained else [])]
        if has_real_data:
            images = f"{number(metric.real_data_score)} ({metric.real_data_samples:,} images)"
            row.append(images if metric.real_data_samples else "")
        table.add_row(*row, *([curve] if trained else []))
    if notes := with_owners([(titles[metric.id], metric.warnings) for metric in metrics]):
        table.caption = escape("\n".join(notes))
        table.caption_justify = "left"
    return table


def protocols_table(metrics: list[MetricResult]) -> Table:
    """Show the protocol and software of each score; only scores with equal protocols are comparable."""
    titles = metric_titles(metrics).values()
    table = Table("", *map(escape, titles), title="Evaluation protocol and software", title_justify="left")
    for part in ("protocol", "software"):
        fields = [getattr(metric, part) for metric in metrics]
        for name in dict.fromkeys(name for field in fields for name in field):
            table.add_row(escape(name), *(escape(str(field.get(name, ""))) for field in fields))
        table.add_section()
    return table


def references_table(references: list[ReferenceResult]) -> Table:
    """Show whether the run reproduces the reference scores, and what else is known about them."""
    table = Table("Reference", "Score", "Band", "This run", "Verdict", title="Reference scores", title_justify="left")
    for reference in references:
        spread = "" if reference.deviation is None else f" ± {reference.deviation:g}"
        table.add_row(
            escape(f"{reference.label}: {reference.metric}"),
            f"{reference.value:g}{spread}",
            f"± {reference.band:g}",
            "none" if reference.measured is None else number(reference.measured),
            escape(format_verdict(reference)),
        )
    lines = [f"{each.label}: {each.source}{f'. {each.note}' if each.note else ''}" for each in references]
    table.caption = escape("\n".join(dict.fromkeys(lines)))
    table.caption_justify = "left"
    return table


def _align_right(table: Table) -> Table:
    for column in table.columns:
        column.justify = "right"
    return table
