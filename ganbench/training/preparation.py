"""Builds everything a run consists of from its spec, before any file is written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from ganbench.data.batches import Batches, RankShare, make_batches
from ganbench.plugin.callbacks import Callback, RunInfo
from ganbench.plugin.interfaces import PLAYERS, ImageData, Networks
from ganbench.plugin.kinds import Kind
from ganbench.plugin.registrations import BuildContext
from ganbench.results.environment import describe_environment
from ganbench.results.schema import DataRecord, Environment, PluginRecord
from ganbench.runtime.precision import Precision, resolve_precision
from ganbench.runtime.ranks import SINGLE, Ranks
from ganbench.runtime.rng import derived_seed, make_rng, seed_default_rngs
from ganbench.scoring.evaluation import Evaluator
from ganbench.scoring.preparation import prepare_metrics
from ganbench.scoring.real_data import RealData
from ganbench.scoring.sampling import Sampler
from ganbench.spec.benchmark import BenchmarkSpec
from ganbench.spec.length import Events, Length
from ganbench.system.files import cache_dir

from .building import build_step, suspicious_combinations
from .loading import load_data
from .rank_checks import batch_norm_warnings, check_ranks, own_training_warnings, require_same_on_all_ranks
from .schedules import ScheduledValues, check_schedules
from .step import TrainingStep
from .targets import Targets, require_scores_before_the_end


@dataclass(frozen=True)
class PreparedRun:
    """A run that is ready to start."""

    spec: BenchmarkSpec
    device: torch.device
    precision: Precision  # resolved for the device
    plugins: list[PluginRecord]
    environment: Environment
    data: ImageData
    data_record: DataRecord
    networks: Networks
    step: TrainingStep
    batches: Batches
    evaluator: Evaluator
    targets: Targets
    sampler: Sampler
    length: Length
    events: Events
    info: RunInfo
    ranks: Ranks
    context: BuildContext  # with which the plugins were built

    @property
    def steps_per_epoch(self) -> int:
        return self.length.steps_per_epoch

    @property
    def total_steps(self) -> int:
        return self.length.steps

    def length_users(self) -> list[str]:
        """Return the plugins other than schedules that have read the length of the run so far."""
        configs = [each for each in self.spec.plugin_configs() if each.uses_length and each.kind != Kind.SCHEDULE]
        return list(dict.fromkeys(str(each.plugin) for each in configs))


def prepare(
    spec: BenchmarkSpec, device: torch.device, data_dir: Path, callback: Callback, ranks: Ranks = SINGLE
) -> PreparedRun:
    """Load the data, build the networks and the metrics, and inform the callback.

    Raises `GanbenchError`, for example if a plugin raises in `build`, data is missing, or the data is smaller than a
    batch.
    """
    seed, training = spec.training.seed, spec.training
    precision = resolve_precision(device, training.precision)
    environment = describe_environment(str(device))
    with ranks.first_in_advance():
        data, data_record = load_data(spec, device, data_dir, callback)
    check_ranks(training, len(data.train), ranks)
    require_same_on_all_ranks(ranks, "data", {"data": data_record.content_sha256}, environment.must_match)
    length = Length.of(training, len(data.train))
    events = Events(spec, length)
    require_scores_before_the_end(spec, events)
    schedules = ScheduledValues(device, spec)
    context = BuildContext(
        data_shape=data.data_shape,
        num_classes=data.num_classes,
        device=str(device),
        cache_dir=cache_dir(),
        seed=seed,
        total_steps=length.steps,
        total_images=length.images,
    )
    for warning in check_schedules(spec, context):
        callback.on_warning(warning)
    context = replace(context, scheduled=partial(schedules.value_of, context=context))
    step = build_step(spec, data, context, device, precision, schedules, ranks)
    for warning in [*suspicious_combinations(spec, step), *batch_norm_warnings(step), *own_training_warnings(step)]:
        callback.on_warning(warning)
    info = describe_run(spec, device, environment, data_record, step, length)
    callback.on_run_start(info)
    callback.on_status("preparing the real images for the metrics")
    evaluator = build_evaluator(spec, data, data_record, context, step, length, callback, ranks)
    flips = make_rng(seed, "flips", device) if training.horizontal_flips else None
    order = make_rng(seed, "order")
    share = RankShare(ranks, training.batch_size)
    batches = make_batches(
        data.train, training.images_per_step, device, order, training.drop_last, flips, spec.data, share
    )
    # independent of random numbers used in builds
    seed_default_rngs(derived_seed(seed, ranks.stream("training")), device)
    return PreparedRun(
        spec=spec,
        device=device,
        precision=precision,
        plugins=[PluginRecord.model_validate(choice.plugin.record()) for choice in spec.plugin_configs()],
        environment=environment,
        data=data,
        data_record=data_record,
        networks=step.networks,
        step=step,
        batches=batches,
        evaluator=evaluator,
        targets=Targets(spec.targets, evaluator),
        sampler=evaluator.sampler,
        length=length,
        events=events,
        info=info,
        ranks=ranks,
        context=context,
    )


def describe_run(
    spec: BenchmarkSpec,
    device: torch.device,
    environment: Environment,
    data_record: DataRecord,
    step: TrainingStep,
    length: Length,
) -> RunInfo:
    return RunInfo(
        spec=spec.to_dict(),
        device=str(device),
        device_name=environment.must_match["device"],
        data=data_record,
        parameters={player: sum(p.numel() for p in step.trainable[player]) for player in PLAYERS},
        steps_per_epoch=length.steps_per_epoch,
        total_steps=length.steps,
        precision=step.precision,
    )


def build_evaluator(
    spec: BenchmarkSpec,
    data: ImageData,
    data_record: DataRecord,
    context: BuildContext,
    step: TrainingStep,
    length: Length,
    callback: Callback,
    ranks: Ranks,
) -> Evaluator:
    """Build the metrics, and let them process the real images."""
    sampler = Sampler(
        step.networks,
        step.plugin_names,
        data.data_shape,
        torch.device(context.device),
        callback.on_warning,
        labels=step.labels.sampler if step.labels else None,
        average=step.ema.for_sampling if step.ema else None,
    )
    real_data = RealData(data, data_record, context, spec.scoring.batch_size)
    with ranks.first_in_advance():
        metrics = prepare_metrics(spec, real_data, step.loss, step.networks, callback.on_warning)
    return Evaluator(
        metrics,
        real_data,
        step.loss,
        sampler,
        seed=context.seed,
        images_per_epoch=length.images_per_epoch,
        training_batch_size=spec.training.generator_images,
        batch_size=spec.scoring.batch_size,
        warn=callback.on_warning,
        ranks=ranks,
    )
