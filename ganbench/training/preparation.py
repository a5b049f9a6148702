"""Builds all that a run is made of, from its spec, before anything is written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from ganbench.data.batches import Batches, make_batches
from ganbench.data.contract import changes_between_reads, check_data, described
from ganbench.data.labels import LabelSampler, count_labels
from ganbench.errors import PluginError, UsageError
from ganbench.plugin.callbacks import Callback, RunInfo
from ganbench.plugin.interfaces import Augmentation, ImageData, Networks, Player
from ganbench.plugin.registrations import BuildContext, DatasetContext
from ganbench.results.environment import describe_environment
from ganbench.results.schema import DataRecord, Environment, PluginRecord
from ganbench.runtime.attribution import PluginNames
from ganbench.runtime.networks import set_train_mode
from ganbench.runtime.precision import Precision, resolve_precision
from ganbench.runtime.rng import derived_seed, make_rng, seed_default_rngs
from ganbench.scoring.evaluation import Evaluator
from ganbench.scoring.identity import data_content
from ganbench.scoring.reference import RealData, prepare_metrics
from ganbench.scoring.sampling import Sampler, evaluation_context
from ganbench.spec.benchmark import BenchmarkSpec
from ganbench.spec.configs import OptimizerConfig
from ganbench.system.files import cache_dir

from .ema import EMA
from .length import Events, Length
from .penalties import Penalties, WeightedPenalty
from .schedules import ScheduledValues, check_schedules
from .step import UPDATE_ORDER, Clipping, TrainingStep, UpdateSizes

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
MEMORY_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


@dataclass(frozen=True)
class PreparedRun:
    """A run ready to begin."""

    spec: BenchmarkSpec
    device: torch.device
    precision: Precision  # as the device has it
    plugins: list[PluginRecord]
    environment: Environment
    data: ImageData
    data_record: DataRecord
    networks: Networks
    step: TrainingStep
    batches: Batches
    evaluator: Evaluator
    sampler: Sampler
    length: Length
    events: Events
    info: RunInfo

    @property
    def steps_per_epoch(self) -> int:
        return self.length.steps_per_epoch

    @property
    def total_steps(self) -> int:
        return self.length.steps


def prepare(spec: BenchmarkSpec, device: torch.device, data_dir: Path, callback: Callback) -> PreparedRun:
    """Load the data, build the networks and the metrics, and tell the callback what is about to run.

    Raises `GanbenchError`: a plugin that raises in build, data that cannot be had, a batch larger than the data.
    """
    seed, training = spec.training.seed, spec.training
    precision = resolve_precision(device, training.precision)
    environment = describe_environment(str(device))
    data, data_record = load_data(spec, device, data_dir, callback)
    length = Length.of(training, len(data.train))
    schedules = ScheduledValues(device)
    context = BuildContext(
        image_shape=data.image_shape,
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
    step = build_step(spec, data, context, device, precision, schedules)
    for warning in doubts(spec, step):
        callback.on_warning(warning)
    info = RunInfo(
        spec=spec.to_dict(),
        device=str(device),
        device_name=environment.must_match["device"],
        data=data_record,
        parameters={player: sum(p.numel() for p in step.trainable[player]) for player in UPDATE_ORDER},
        steps_per_epoch=length.steps_per_epoch,
        total_steps=length.steps,
    )
    callback.on_run_start(info)
    callback.on_status("taking in the real images to compare with")
    sampler = Sampler(
        step.networks,
        step.culprits,
        data.image_shape,
        device,
        callback.on_warning,
        labels=step.labels[0] if step.labels else None,
        average=step.ema.for_sampling if step.ema else None,
    )
    real_data = RealData(data, data_record, context, spec.scoring.batch_size)
    metrics = prepare_metrics(spec, real_data, step.loss, step.networks.conditional, callback.on_warning)
    evaluator = Evaluator(
        metrics,
        real_data,
        step.loss,
        sampler,
        seed=seed,
        images_per_epoch=length.images_per_epoch,
        training_batch_size=training.generator_images,
        batch_size=spec.scoring.batch_size,
        warn=callback.on_warning,
    )
    flips = make_rng(seed, "flips", device) if training.horizontal_flips else None
    order = make_rng(seed, "order")
    batches = make_batches(data.train, training.images_per_step, device, order, training.drop_last, flips, spec.data)
    seed_default_rngs(derived_seed(seed, "training"), device)  # so that nothing depends on what the builds have drawn
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
        sampler=sampler,
        length=length,
        events=Events(spec, length),
        info=info,
    )


def load_data(
    spec: BenchmarkSpec, device: torch.device, data_dir: Path, callback: Callback
) -> tuple[ImageData, DataRecord]:
    """Build the data set, check both splits, and identify their content. Raises as `prepare` does."""
    callback.on_status("loading data")
    seed, plugin = spec.training.seed, str(spec.dataset.plugin)
    built: ImageData = spec.dataset.build(DatasetContext(data_dir=data_dir, cache_dir=cache_dir(), seed=seed))
    with evaluation_context(seed, device):  # reading an image may draw at random
        data = check_data(built, plugin)
        image_shape = data.image_shape
        unsteady = changes_between_reads(data)
    need = spec.training.images_per_step
    if need > len(data.train):
        factors = " * discriminator_steps" if spec.training.discriminator_steps > 1 else ""
        raise UsageError(
            f"benchmark {spec.name}: training.batch_size{factors}: {need} is more than the {len(data.train)} images of "
            "the train split"
        )
    with evaluation_context(seed, device):
        content_sha256, content_basis = data_content(data, spec.dataset)
    if unsteady:
        callback.on_warning(
            f"{plugin}: an image differs between two reads with equal seeds, so that scores and training cannot be "
            "repeated; draw from torch's, Python's or numpy's default generators"
        )
    if not can_show(image_shape) and (spec.sample_images.real or spec.sample_images.generated):
        callback.on_warning(
            f"no pictures: the images of {plugin} have {image_shape[0]} channels, and pictures can show 1 or 3"
        )
    record = DataRecord(
        source=data.source,
        fingerprint=data.fingerprint,
        content_sha256=content_sha256,
        content_basis=content_basis,
        train_images=len(data.train),
        test_images=0 if data.test is None else len(data.test),
        notice=data.notice,
    )
    return data, record


def build_step(
    spec: BenchmarkSpec,
    data: ImageData,
    context: BuildContext,
    device: torch.device,
    precision: Precision,
    schedules: ScheduledValues,
) -> TrainingStep:
    """Build both networks from the run's seed, then all that trains them. Raises as `prepare` does."""
    seed_default_rngs(derived_seed(context.seed, "networks"), device)
    networks: Networks = spec.model.build(context)
    memory_format = MEMORY_FORMATS[spec.engine.memory_format]
    culprits = PluginNames.of(spec)
    check_networks(networks, culprits.model)
    for player in UPDATE_ORDER:
        networks[player].to(device).to(memory_format=memory_format)
        set_train_mode(networks[player])
    loss = spec.loss.build(context)
    if getattr(loss, "needs_labels", False) and not networks.conditional:
        raise UsageError(f"{culprits.loss} needs a conditional model, and {culprits.model} takes no labels")
    optimizers: dict[Player, OptimizerConfig] = {
        "discriminator": spec.optimizer.discriminator,
        "generator": spec.optimizer.generator,
    }
    return TrainingStep(
        networks,
        loss,
        {player: config.build(context) for player, config in optimizers.items()},
        latents=make_rng(context.seed, "latents", device),
        precision=precision,
        culprits=culprits,
        memory_format=memory_format,
        update_scheme=spec.training.update_scheme,
        sizes=UpdateSizes(spec.training.batch_size, spec.training.generator_images),
        clipping={player: Clipping(each.max_grad_norm, each.clip_weights) for player, each in optimizers.items()},
        penalties=build_penalties(spec, context),
        augmentations=[(str(each.plugin), built_on(each.build(context), device)) for each in spec.augmentations],
        labels=label_sampler(data, spec, context, device) if networks.conditional else None,
        ema=EMA(networks.generator, spec.ema, culprits.model) if spec.ema else None,
        schedules=schedules,
    )


def build_penalties(spec: BenchmarkSpec, context: BuildContext) -> Penalties:
    return Penalties(
        [
            WeightedPenalty(
                str(each.id), str(each.plugin), each.build(context), context.scheduled(each.weight), each.every
            )
            for each in spec.penalties
        ]
    )


def built_on(augmentation: Augmentation, device: torch.device) -> Augmentation:
    """The augmentation with its buffers on the device, if it has any."""
    return augmentation.to(device) if isinstance(augmentation, nn.Module) else augmentation


def label_sampler(
    data: ImageData, spec: BenchmarkSpec, context: BuildContext, device: torch.device
) -> tuple[LabelSampler, torch.Generator]:
    counts = count_labels(data, str(spec.dataset.plugin), str(spec.model.plugin))
    return LabelSampler(counts, device), make_rng(context.seed, "labels", device)


def doubts(spec: BenchmarkSpec, step: TrainingStep) -> list[str]:
    """Warnings about combinations that run, but hardly mean what was intended."""
    batch_norms = [module for module in step.networks.discriminator.modules() if isinstance(module, BATCH_NORMS)]
    if not spec.penalties or not batch_norms:
        return []
    names = ", ".join(str(penalty.plugin) for penalty in spec.penalties)
    return [
        f"{names}: the discriminator of {step.culprits.model} has batch norm, so its output on an image depends on the "
        "other images of the batch, and a penalty on the gradient of one image does not mean what it should "
        "(Gulrajani et al. 2017, arXiv:1704.00028, section 4)"
    ]


def can_show(image_shape: tuple[int, int, int]) -> bool:
    """Whether pictures can show images of that shape: gray ones and colored ones."""
    return image_shape[0] in (1, 3)


def check_networks(networks: Networks, plugin: str) -> None:
    """Raise `PluginError` for players that are no modules, or whose parameters do not exist yet."""
    for player in UPDATE_ORDER:
        module: Any = networks[player]
        if not isinstance(module, nn.Module):
            raise PluginError(f"{plugin}: its {player} is {described(module)}; wanted: a torch.nn.Module")
        for name, parameter in module.named_parameters():
            if is_lazy(parameter):
                raise PluginError(
                    f"{plugin}: the {player}'s parameter {name} is made in its first forward (as by nn.LazyLinear), "
                    "and optimizers need it before; call the network once in build, or give the layer its size"
                )
    if type(networks.latent_dim) is not int or networks.latent_dim < 1:
        raise PluginError(f"{plugin}: its latent_dim is {networks.latent_dim!r}; wanted: a whole number above 0")


def resolve_device(name: str) -> torch.device:
    """The torch device that "auto", "cpu", "cuda" or "cuda:N" means here. Raises `UsageError` if there is none."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise UsageError(f"--device {name}: choose auto, cpu, cuda or cuda:N")
    if device.type == "cpu":
        return torch.device("cpu")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    index = device.index or 0
    if index >= count:
        raise UsageError(
            f"--device {name}: this machine has {count or 'no'} CUDA device{'s' * (count > 1)}; use --device cpu"
        )
    return torch.device("cuda", index)
