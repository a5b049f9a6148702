"""The table that shows, before a run starts, what will run."""

from __future__ import annotations

from typing import Any

from rich.markup import escape
from rich.table import Table

from ganbench.plugin.callbacks import RunInfo

from .formatting import duration, format_plugin


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
        f"{info.precision}, {training['update_scheme']} updates",
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
