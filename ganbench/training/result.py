"""The result of a run, from its state."""

from __future__ import annotations

import torch

from ganbench.results.references import judge_references
from ganbench.results.run_directory import RunDirectory
from ganbench.results.schema import Result, Status
from ganbench.results.throughput import Roofline, Throughput
from ganbench.runtime.cpu_usage import cpu_use, describe_disturbance

from .conditions import current_conditions
from .roofline import why_unreliable
from .run_state import RunState
from .warmup import WarmupResult


def build_result(
    state: RunState,
    directory: RunDirectory,
    warmed_up: WarmupResult | None,
    roofline: Roofline | None,
    status: Status,
    message: str | None,
) -> Result:
    """Return the result so far; `warmed_up` and `roofline` are None if the run ended before them."""
    prepared, spec = state.prepared, state.prepared.spec
    result = Result(
        run_id=directory.run_id,
        created_at=directory.created_at,
        status=status,
        message=message,
        benchmark=spec.name,
        spec=spec.to_dict(),
        spec_sha256=spec.sha256(),
        plugins=prepared.plugins,
        environment=prepared.environment,
        data=prepared.data_record,
        history=state.history,
        throughput=describe_throughput(state, warmed_up, roofline),
        memory=state.clock.memory(),
        metrics=prepared.evaluator.results(state.images),
        targets=prepared.targets.results(state.clock.windows),
        profile=warmed_up.profile if warmed_up else None,
        artifacts=dict(directory.artifacts),
    )
    return result.model_copy(update={"references": judge_references(result)})


def describe_throughput(state: RunState, warmed_up: WarmupResult | None, roofline: Roofline | None) -> Throughput:
    """Summarize the windows, with the conditions and measurements that explain their speed."""
    prepared, clock, rate = state.prepared, state.clock, state.clock.rate()
    engine = warmed_up.engine_record if warmed_up else None
    seconds_per_image = clock.seconds_per_image()
    threads = torch.get_num_threads() if prepared.device.type == "cpu" else 1
    use = cpu_use(clock.windows, threads * prepared.ranks.local_size)
    disturbance = "; ".join(filter(None, (state.shared_with, describe_disturbance(use)))) or None
    if roofline and rate:
        images = prepared.spec.training.images_per_step
        reason = why_unreliable(roofline, images, images / rate.p90, disturbance)
        roofline = roofline.model_copy(update={"unreliable": reason})
    return Throughput(
        images_per_second=rate,
        seconds_per_kimg=1000 * seconds_per_image if seconds_per_image else None,
        windows=clock.windows,
        cpu=use,
        disturbed=disturbance is not None,
        disturbed_by=disturbance,
        warmup_seconds=warmed_up.seconds if warmed_up else 0.0,
        evaluation_seconds=state.evaluation_seconds,
        phases=clock.phases(),
        component_throughput=warmed_up.component_throughput if warmed_up else None,
        roofline=roofline,
        joules_per_image=clock.joules_per_image(),
        engine=engine,
        conditions=state.conditions or current_conditions(prepared, None),
    )
