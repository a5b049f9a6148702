"""Builds all that a run is made of, from its spec, before anything is written."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch

from ganbench.environment import describe_environment
from ganbench.errors import PluginError, UsageError
from ganbench.files import cache_dir
from ganbench.observer import Observer, Plan
from ganbench.plugin import BuildContext, DatasetContext
from ganbench.protocols import ImageData, Loss, Networks
from ganbench.result import DataRecord, Environment, PluginRecord
from ganbench.spec import BenchmarkSpec

from .data import Batches, blame, make_batches
from .evaluation import Evaluator
from .identity import data_content
from .precision import Precision, precision_on
from .sampling import isolated
from .seeds import derived_seed, seed_torch, stream
from .step import TURNS, TrainingStep

MEMORY_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


@dataclass(frozen=True)
class Prepared:
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
    steps_per_epoch: int
    total_steps: int


def prepare(spec: BenchmarkSpec, device: torch.device, data_dir: Path, observer: Observer) -> Prepared:
    """Load the data, build the networks and the metrics, and tell the observer what is about to run.

    Raises `GanbenchError`: a plugin that raises in build, data that cannot be had, a batch larger than the data.
    """
    seed, batch_size = spec.training.seed, spec.training.batch_size
    precision = precision_on(device, spec.training.precision)
    environment = describe_environment(str(device))

    observer.working("loading data")
    built: ImageData = spec.dataset.build(DatasetContext(data_dir=data_dir, cache_dir=cache_dir(), seed=seed))
    data = blame(built, str(spec.dataset.plugin))
    if batch_size > len(data.train):
        raise UsageError(
            f"benchmark {spec.name}: training.batch_size: {batch_size} is more than the {len(data.train)} images of "
            "the train split"
        )
    image = data.train[0][0]
    if image.dtype != torch.uint8 or image.dim() != 3:
        raise PluginError(
            f"{spec.dataset.plugin}: its images are {image.dtype} of {image.dim()} dimensions, not uint8 "
            "(channels, height, width)"
        )
    with isolated(seed, device):  # reading an image may draw at random
        content_sha256, content_basis = data_content(data, spec.dataset)
    data_record = DataRecord(
        source=data.source,
        fingerprint=data.fingerprint,
        content_sha256=content_sha256,
        content_basis=content_basis,
        train_images=len(data.train),
        test_images=len(data.test),
        notice=data.notice,
    )
    steps_per_epoch = math.ceil(len(data.train) / batch_size)
    total_steps = spec.training.steps or (spec.training.epochs or 0) * steps_per_epoch

    seed_torch(derived_seed(seed, "networks"), device)
    context = BuildContext(
        image_shape=data.image_shape,
        num_classes=data.num_classes,
        device=str(device),
        cache_dir=cache_dir(),
        seed=seed,
    )
    networks: Networks = spec.model.build(context)
    memory_format = MEMORY_FORMATS[spec.engine.memory_format]
    for player in TURNS:
        networks[player].to(device).to(memory_format=memory_format).train()
    loss: Loss = spec.loss.build(context)
    step = TrainingStep(
        networks,
        loss,
        {player: getattr(spec.optimizer, player).build(context) for player in TURNS},
        latents=stream(seed, "latents", device),
        precision=precision,
        blamed=spec.loss.plugin.blamed,
        memory_format=memory_format,
        turns=spec.training.turns,
    )
    observer.planned(
        Plan(
            spec=spec,
            device=str(device),
            device_name=environment.hard["device"],
            data=data_record,
            parameters={player: sum(p.numel() for p in step.trainable[player]) for player in TURNS},
            steps_per_epoch=steps_per_epoch,
            total_steps=total_steps,
        )
    )
    observer.working("taking in the real images to compare with")
    evaluator = Evaluator(spec.metrics, data, data_record, loss, spec.loss, context, batch_size, observer.warned)
    batches = make_batches(data.train, batch_size, device, stream(seed, "order"))
    seed_torch(derived_seed(seed, "training"), device)  # so that nothing depends on what the builds have drawn
    return Prepared(
        spec=spec,
        device=device,
        precision=precision,
        plugins=[PluginRecord.model_validate(choice.plugin.record()) for choice in spec.choices()],
        environment=environment,
        data=data,
        data_record=data_record,
        networks=networks,
        step=step,
        batches=batches,
        evaluator=evaluator,
        steps_per_epoch=steps_per_epoch,
        total_steps=total_steps,
    )


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
