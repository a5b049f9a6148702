"""The specs that the gate's jobs train: without an end, for one window, or to the end without other events.

`main.py` loads this file by its path. It may have to do with an earlier ganbench, so it only uses public names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

EPOCHS = 10**9
FEW_SAMPLES = 2000  # generated images: enough to see whether a score has changed, too few for its value


def make_endless(spec: Any) -> Any:
    """Return the spec without an end and without events; its schedules keep their course, and then their last value."""
    for plugin in {id(plugin): plugin for plugin in map(plugin_of, spec.plugin_configs())}.values():
        if plugin.kind == "schedule":
            object.__setattr__(plugin, "build", held_at_the_end(plugin.build, spec.training))
    length = {"epochs": EPOCHS, "steps": None, "budget_seconds": None}
    updates = {
        "metrics": [],
        "targets": [],
        "training": spec.training.model_copy(update=length),
        "sample_images": without_schedule(spec.sample_images, real=0, generated=0),
        "checkpoint": without_schedule(spec.checkpoint),
    }
    return spec.model_copy(update={name: updates[name] for name in updates.keys() & type(spec).model_fields})


def plugin_of(choice: Any) -> Any:
    return choice.plugin.plugin


def without_schedule(section: Any, **more: Any) -> Any:
    """Return a section of the spec without events at certain times, of which an earlier ganbench knows fewer."""
    schedule: dict[str, Any] = {"at_epochs": [], "at_kimg": [], "every_epochs": None, "every_kimg": None, **more}
    return section.model_copy(update={name: schedule[name] for name in schedule.keys() & type(section).model_fields})


def held_at_the_end(build: Callable[..., Any], training: Any) -> Callable[..., Any]:
    """Return a function that builds a schedule for the length of `training`, after which its value does not change."""

    def build_held(options: Any, context: Any) -> Callable[[int], float]:
        steps = training.steps or training.epochs * (context.total_steps // EPOCHS)
        images = context.total_images * steps // context.total_steps
        schedule = build(options, replace(context, total_steps=steps, total_images=images))
        return lambda position: float(schedule(min(position, images - 1)))

    return build_held


def make_short(spec: Any, scores: bool) -> Any:
    """Return the spec for training of which only the first window matters, and not its speed: without events.

    Data is read in this process, where the gate sees which files are opened. Without `scores`, there are no metrics.
    """
    spec = without_targets(spec)
    updates = {
        "metrics": [without_schedule(metric) for metric in spec.metrics] if scores else [],
        "data": spec.data.model_copy(update={"workers": 0}),
        "engine": spec.engine.model_copy(update={"mode": "eager", "compile": False}),
        "sample_images": without_schedule(spec.sample_images, real=0, generated=0),
        "checkpoint": without_schedule(spec.checkpoint),
    }
    return spec.model_copy(update=updates)


def make_complete(spec: Any, training: dict[str, Any], targets: bool) -> Any:
    """Return the spec for training to the end, with `training` as updates of that section.

    Metrics are scored only there, except those with a target, which are scored on schedule if `targets` are kept.
    Without targets, scores only show whether anything has changed, so they are of fewer images.
    """
    spec = with_endless_targets(spec) if targets else without_targets(spec)
    metrics = [metric if has_target(metric, spec) else without_schedule(metric) for metric in spec.metrics]
    updates = {
        "metrics": metrics if targets else [with_few_samples(metric) for metric in metrics],
        "training": spec.training.model_copy(update=training),
        "sample_images": without_schedule(spec.sample_images, real=0, generated=0),
    }
    return spec.model_copy(update=updates)


def with_few_samples(metric: Any) -> Any:
    """Return the metric with few generated images, but at least as many as any of its options: a subset size, say."""
    options = metric.options.model_dump().values()
    enough = max([FEW_SAMPLES, *(value for value in options if isinstance(value, int))])
    return metric.model_copy(update={"num_samples": min(metric.num_samples, enough)})


def without_targets(spec: Any) -> Any:
    """Return the spec without targets. An earlier ganbench has none."""
    return spec.model_copy(update={"targets": []}) if hasattr(spec, "targets") else spec


def with_endless_targets(spec: Any) -> Any:
    """Return the spec with targets that do not end training, so that final scores are of equally long training."""
    if not hasattr(spec, "targets"):
        return spec
    return spec.model_copy(update={"targets": [target.model_copy(update={"stop": False}) for target in spec.targets]})


def has_target(metric: Any, spec: Any) -> bool:
    """Return whether a target is about a value of this metric."""
    return any(f"{target.metric}.".startswith(f"{metric.id}.") for target in getattr(spec, "targets", []))
