"""Tables of the speed of a run: throughput, time and memory, and the kernels of a profiled step."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from ganbench.results.schema import Profile, Result
from ganbench.results.throughput import ComponentThroughput, EngineRecord, Percentiles, Roofline, Window, rate_text

from .formatting import mebibytes

SHOWN_KERNELS = 15
MAX_KERNEL_NAME = 60  # characters
MIN_ROOFLINE_SHARE = 0.01  # of the step time; below it, the roofline minimum is meaningless


def speed_table(result: Result) -> Table:
    """Show throughput, its breakdown and memory."""
    table = Table("", "", title="Speed", title_justify="left", show_header=False)
    throughput, memory = result.throughput, result.memory
    rates, mean = throughput.images_per_second, throughput.mean_images_per_second
    if rates and mean:
        windows = f"{len(throughput.windows)} window{'s' * (len(throughput.windows) != 1)}"
        table.add_row(
            "images/s", f"{rate_text(mean)} (p10 {rate_text(rates.p10)}, p90 {rate_text(rates.p90)}, {windows})"
        )
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
    line = f"{rate_text(components.data_only)} data only, {rate_text(components.compute_only)} compute only"
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
