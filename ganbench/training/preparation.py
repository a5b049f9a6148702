"""Builds all that a run is made of, from its spec, before anything is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from ganbench.data.batches import Batches, make_batches
from ganbench.data.contract import changes_between_reads, checked, described
from ganbench.errors import PluginError, UsageError
from ganbench.plugin.callbacks import Callback, RunInfo
from ganbench.plugin.interfaces import ImageData, Networks
from ganbench.plugin.registrations import BuildContext, DatasetContext
from ganbench.results.environment import describe_environment
from ganbench.results.schema import DataRecord, Environment, PluginRecord
from ganbench.runtime.culprit import Culprits
from ganbench.runtime.networks import keep_modes
from ganbench.runtime.precision import Precision, precision_on
from ganbench.runtime.seeds import derived_seed, seed_defaults, stream
from ganbench.scoring.evaluation import Evaluator
from ganbench.scoring.identity import data_content
from ganbench.scoring.sampling import Sampler, isolated
from ganbench.spec.benchmark import BenchmarkSpec
from ganbench.system.files import cache_dir

from .step import UPDATE_ORDER, TrainingStep

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
    steps_per_epoch: int
    total_steps: int


def prepare(spec: BenchmarkSpec, device: torch.device, data_dir: Path, callback: Callback) -> PreparedRun:
    """Load the data, build the networks and the metrics, and tell the callback what is about to run.

    Raises `GanbenchError`: a plugin that raises in build, data that cannot be had, a batch larger than the data.
    """
    seed, training = spec.training.seed, spec.training
    precision = precision_on(device, training.precision)
    environment = describe_environment(str(device))
    data, data_record = load_data(spec, device, data_dir, callback)
    whole_batches, remainder = divmod(len(data.train), training.batch_size)
    steps_per_epoch = whole_batches + (remainder > 0 and not training.drop_last)
    total_steps = training.steps or (training.epochs or 0) * steps_per_epoch

    context = BuildContext(
        image_shape=data.image_shape,
        num_classes=data.num_classes,
        device=str(device),
        cache_dir=cache_dir(),
        seed=seed,
    )
    step = build_step(spec, context, device, precision)
    callback.on_run_start(
        RunInfo(
            spec=spec.to_dict(),
            device=str(device),
            device_name=environment.must_match["device"],
            data=data_record,
            parameters={player: sum(p.numel() for p in step.trainable[player]) for player in UPDATE_ORDER},
            steps_per_epoch=steps_per_epoch,
            total_steps=total_steps,
        )
    )
    callback.on_status("taking in the real images to compare with")
    sampler = Sampler(step.networks, step.culprits, data.image_shape, device, callback.on_warning)
    evaluator = Evaluator(
        spec.metrics,
        data,
        data_record,
        step.loss,
        spec.loss,
        context,
        training.batch_size,
        sampler,
        images_per_epoch=steps_per_epoch * training.batch_size if training.drop_last else len(data.train),
        warn=callback.on_warning,
    )
    batches = make_batches(data.train, training.batch_size, device, stream(seed, "order"), training.drop_last)
    seed_defaults(derived_seed(seed, "training"), device)  # so that nothing depends on what the builds have drawn
    return PreparedRun(
        spec=spec,
        device=device,
        precision=precision,
        plugins=[PluginRecord.model_validate(choice.plugin.record()) for choice in spec.choices()],
        environment=environment,
        data=data,
        data_record=data_record,
        networks=step.networks,
        step=step,
        batches=batches,
        evaluator=evaluator,
        sampler=sampler,
        steps_per_epoch=steps_per_epoch,
        total_steps=total_steps,
    )


def load_data(
    spec: BenchmarkSpec, device: torch.device, data_dir: Path, callback: Callback
) -> tuple[ImageData, DataRecord]:
    """Build the data set, check both splits, and identify their content. Raises as `prepare` does."""
    callback.on_status("loading data")
    seed, batch_size, plugin = spec.training.seed, spec.training.batch_size, str(spec.dataset.plugin)
    built: ImageData = spec.dataset.build(DatasetContext(data_dir=data_dir, cache_dir=cache_dir(), seed=seed))
    with isolated(seed, device):  # reading an image may draw at random
        data = checked(built, plugin)
        image_shape = data.image_shape
        unsteady = changes_between_reads(data)
    if batch_size > len(data.train):
        raise UsageError(
            f"benchmark {spec.name}: training.batch_size: {batch_size} is more than the {len(data.train)} images of "
            "the train split"
        )
    with isolated(seed, device):
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
        test_images=len(data.test),
        notice=data.notice,
    )
    return data, record


def build_step(spec: BenchmarkSpec, context: BuildContext, device: torch.device, precision: Precision) -> TrainingStep:
    """Build both networks from the run's seed, the loss and the optimizers. Raises as `prepare` does."""
    seed_defaults(derived_seed(context.seed, "networks"), device)
    networks: Networks = spec.model.build(context)
    memory_format = MEMORY_FORMATS[spec.engine.memory_format]
    culprits = Culprits.of(spec)
    check_networks(networks, culprits.model)
    for player in UPDATE_ORDER:
        networks[player].to(device).to(memory_format=memory_format)
        keep_modes(networks[player])
    return TrainingStep(
        networks,
        spec.loss.build(context),
        {player: getattr(spec.optimizer, player).build(context) for player in UPDATE_ORDER},
        latents=stream(context.seed, "latents", device),
        precision=precision,
        culprits=culprits,
        memory_format=memory_format,
        update_scheme=spec.training.update_scheme,
    )


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
