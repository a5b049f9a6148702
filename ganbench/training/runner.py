"""One run, from a spec to a stored result."""

from __future__ import annotations

import math
from itertools import islice
from pathlib import Path
from time import monotonic, perf_counter

import torch

from ganbench import plots
from ganbench.environment import describe_environment
from ganbench.errors import DivergedError, GanbenchError, PluginError, UsageError
from ganbench.files import cache_dir, default_data_dir
from ganbench.observer import Observer, Plan, Progress
from ganbench.plugin import BuildContext, DatasetContext, Reference
from ganbench.protocols import ImageData, Networks
from ganbench.registry import describe
from ganbench.result import DataRecord, EpochRow, PluginRecord, Result, RunDirectory, Status
from ganbench.spec import BenchmarkSpec

from .checkpoint import capture_state, restore_state, save_checkpoint
from .data import make_batches, select_images
from .evaluation import Evaluator, generate
from .history import EpochLosses
from .interrupt import Interrupt
from .precision import float32_products
from .seeds import derived_seed, stream
from .step import TURNS, TrainingStep
from .timing import TrainingClock, peak_memory, windows_in

WARMUP_STEPS = 3


def run(
    spec: BenchmarkSpec,
    *,
    device: str = "auto",
    out: Path | None = None,
    data_dir: Path | None = None,
    reference: Reference | None = None,
    observer: Observer | None = None,
) -> tuple[Result, RunDirectory]:
    """Train, time and score a benchmark, and store the result in a run directory.

    `device` is "auto", "cpu", "cuda" or "cuda:N". Ctrl-C and SIGTERM end the training after the step, and the generator
    is scored as it is by then. Whatever ends a training that has begun, the result so far is on disk; an error before
    that leaves nothing behind.

    Raises `GanbenchError` for what a user can cause: see its subclasses.
    """
    if out is not None:
        RunDirectory.require_free(out)
    run = _Run(spec, resolve_device(device), data_dir or default_data_dir(), reference, observer or Observer())
    directory = RunDirectory.create(spec.name, out)
    return run.execute(directory), directory


def resolve_device(name: str) -> torch.device:
    """The torch device that a name means here. Raises `UsageError` if there is none."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"--device {name}: choose auto, cpu, cuda or cuda:N") from None
    if device.type == "cpu":
        return torch.device("cpu")
    if device.type != "cuda":
        raise UsageError(f"--device {name}: choose auto, cpu, cuda or cuda:N")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    index = device.index or 0
    if index >= count:
        raise UsageError(
            f"--device {name}: this machine has {count or 'no'} CUDA device{'s' * (count > 1)}; use --device cpu"
        )
    return torch.device("cuda", index)


class _Run:
    """Everything a run is made of, built before anything is written."""

    def __init__(
        self,
        spec: BenchmarkSpec,
        device: torch.device,
        data_dir: Path,
        reference: Reference | None,
        observer: Observer,
    ) -> None:
        self.spec = spec
        self.device = device
        self.observer = observer
        self.environment = describe_environment(str(device))
        seed = spec.training.seed

        observer.working("loading data")
        self.data: ImageData = spec.dataset.build(DatasetContext(data_dir=data_dir, cache_dir=cache_dir(), seed=seed))
        train_images = len(self.data.train)
        if spec.training.batch_size > train_images:
            raise UsageError(
                f"benchmark {spec.name}: training.batch_size: {spec.training.batch_size} is more than the "
                f"{train_images} images of the train split"
            )
        self.steps_per_epoch = math.ceil(train_images / spec.training.batch_size)
        self.total_steps = spec.training.steps or (spec.training.epochs or 0) * self.steps_per_epoch
        self.reference = reference if reference and reference.data_fingerprint == self.data.fingerprint else None

        torch.manual_seed(derived_seed(seed, "networks"))
        context = BuildContext(
            image_shape=self.data.image_shape,
            num_classes=self.data.num_classes,
            device=str(device),
            cache_dir=cache_dir(),
            seed=seed,
        )
        self.networks: Networks = spec.model.build(context)
        for player in TURNS:
            self.networks[player].to(device).train()
        self.step = TrainingStep(
            self.networks,
            spec.loss.build(context),
            {
                "generator": spec.optimizer.generator.build(context),
                "discriminator": spec.optimizer.discriminator.build(context),
            },
            latents=stream(seed, "latents", device),
            precision=spec.training.precision,
        )
        self.batches = make_batches(self.data.train, spec.training.batch_size, device, stream(seed, "order"))
        observer.planned(
            Plan(
                spec=spec,
                device=str(device),
                device_name=self.environment.hard["device"],
                data=self._data_record(),
                parameters={player: sum(p.numel() for p in self.step.trainable[player]) for player in TURNS},
                steps_per_epoch=self.steps_per_epoch,
                total_steps=self.total_steps,
            )
        )
        observer.working("taking in the real images to compare with")
        self.evaluator = Evaluator(spec.metrics, self.data, context, spec.training.batch_size)

        torch.manual_seed(derived_seed(seed, "training"))  # whatever the builds above have drawn
        self.clock = TrainingClock(device)
        self.warmup_seconds = 0.0
        self.step_seconds = 0.0
        self.steps_done = 0
        self.images_done = 0
        self.history: list[EpochRow] = []
        self.open_epoch: EpochLosses | None = None  # begun and not yet a row of the history

    def execute(self, directory: RunDirectory) -> Result:
        """Train to the end, or to whatever comes first, and store what came of it."""
        directory.write_spec(self.spec.to_toml())
        try:
            with float32_products(self.spec.training.precision), Interrupt() as interrupt:
                self._save_real_images(directory)
                self._evaluate(epoch=0, directory=directory)
                self._warm_up()
                status, message = self._train(directory, interrupt)
                self._evaluate(epoch=self._epochs_done, directory=directory, everything=True)
        except DivergedError as error:
            status, message = "diverged", str(error)
        except KeyboardInterrupt:
            status, message = "interrupted", "interrupted a second time, before the last evaluation"
        except GanbenchError as error:
            self._store(directory, "failed", str(error))
            raise
        except Exception as error:
            self._store(directory, "failed", describe(error))
            raise PluginError(
                f"the run failed after {self.steps_done} steps: {describe(error)}. "
                f"The result so far is in {directory.path}"
            ) from error
        return self._store(directory, status, message)

    def _train(self, directory: RunDirectory, interrupt: Interrupt) -> tuple[Status, str | None]:
        """The training loop: epochs of windows of steps. Nothing in a window waits for the device."""
        budget = self.spec.training.budget_seconds
        deadline = monotonic() + budget if budget else math.inf
        while self.steps_done < self.total_steps:
            epoch = self.steps_done // self.steps_per_epoch + 1
            epoch_steps = min(self.steps_per_epoch, self.total_steps - self.steps_done)
            losses = self.open_epoch = EpochLosses(epoch)
            batches = self.batches.epoch()
            for window_steps in windows_in(epoch_steps, self.step_seconds):
                with self.clock.window(epoch) as count:
                    for real, labels in islice(batches, window_steps):
                        self.clock.ended("data")
                        losses.add(self.step(real, labels, self.clock.ended))
                        count.images += len(real)
                        self.steps_done += 1
                        if interrupt.requested or monotonic() > deadline:
                            break
                self.images_done += count.images
                losses.read(self.steps_done)
                self._report_progress(losses)
                if interrupt.requested or monotonic() > deadline:
                    break
            self._end_epoch(directory)
            if interrupt.requested:
                return "interrupted", f"interrupted after step {self.steps_done}"
            if monotonic() > deadline:
                return "completed", f"the budget of {budget:g} s ended after step {self.steps_done}"
            if self.steps_done < self.total_steps:
                self._evaluate(epoch, directory)
        return "completed", None

    def _warm_up(self) -> None:
        """Take a few steps, which also tells how long one takes, then put everything back as it was."""
        self.observer.working("warming up")
        state = capture_state(self.step, self.batches)
        start = perf_counter()
        for real, labels in islice(self.batches.epoch(), WARMUP_STEPS):
            self.clock.synchronize()
            step_start = perf_counter()
            self.step(real, labels, turn_ended=lambda _: None)
            self.clock.synchronize()
            self.step_seconds = perf_counter() - step_start
        restore_state(state, self.step, self.batches)
        self.clock.synchronize()
        self.warmup_seconds = perf_counter() - start

    def _report_progress(self, losses: EpochLosses) -> None:
        window = self.clock.windows[-1]
        images_left = (self.total_steps - self.steps_done) * self.spec.training.batch_size
        self.observer.progressed(
            Progress(
                epoch=losses.epoch,
                step=self.steps_done,
                total_steps=self.total_steps,
                losses=losses.last(),
                images_per_second=window.images / window.seconds,
                seconds_left=images_left / self.clock.mean_images_per_second,
            )
        )

    def _end_epoch(self, directory: RunDirectory) -> None:
        """Turn the open epoch into a row of the history, also when training ended within it."""
        if self.open_epoch is None or not self.open_epoch.steps:
            return
        windows = [window for window in self.clock.windows if window.epoch == self.open_epoch.epoch]
        row = self.open_epoch.row(sum(window.images for window in windows), sum(window.seconds for window in windows))
        self.open_epoch = None
        self.history.append(row)
        directory.write_history(self.history)
        self.observer.epoch_ended(row)

    @property
    def _epochs_done(self) -> int:
        return self.history[-1].epoch if self.history else 0

    def _evaluate(self, epoch: int, directory: RunDirectory, everything: bool = False) -> None:
        """Score the generator and take pictures, if it is time for either."""
        if everything or self.evaluator.is_due(epoch):
            self.observer.working("evaluating")
            for label, point in self.evaluator.evaluate(self.networks, epoch, self.images_done, everything):
                self.observer.scored(label, point)
        if (everything and epoch) or epoch in self.spec.pictures.at_epochs:
            self._save_generated_images(directory, epoch)

    def _save_real_images(self, directory: RunDirectory) -> None:
        order = torch.randperm(len(self.data.train), generator=stream(self.spec.training.seed, "pictures"))
        chosen = order[: self.spec.pictures.real]
        (images,) = select_images(self.data.train, chosen, len(chosen), torch.device("cpu"))
        plots.save_grid(images.numpy(), directory.file("samples/real.png", "samples_real"), columns=4)

    def _save_generated_images(self, directory: RunDirectory, epoch: int) -> None:
        pictures = self.spec.pictures
        batch_size = max(pictures.generated, self.spec.training.batch_size)
        latents = stream(self.spec.training.seed, "pictures")
        (images,) = generate(self.networks, pictures.generator_mode, batch_size, batch_size, latents, self.device)
        path = directory.file(f"samples/epoch-{epoch:04d}.png", f"samples_epoch_{epoch:04d}")
        plots.save_grid(images[: pictures.generated].cpu().numpy(), path)

    def _store(self, directory: RunDirectory, status: Status, message: str | None) -> Result:
        """Write all files that tell what came of the run."""
        spec = self.spec
        self._end_epoch(directory)
        progress = {"epochs": self._epochs_done, "steps": self.steps_done, "images": self.images_done}
        save_checkpoint(
            directory.file("checkpoint.pt", "checkpoint"),
            capture_state(self.step, self.batches),
            progress,
            spec.to_dict(),
        )
        directory.write_history(self.history)
        plots.save_losses(self.history, spec.name, directory.file("losses.png", "losses"), self.reference)
        result = Result(
            run_id=directory.run_id,
            created_at=directory.created_at,
            status=status,
            message=message,
            benchmark=spec.name,
            spec=spec.to_dict(),
            spec_sha256=spec.sha256(),
            plugins=[PluginRecord.model_validate(choice.plugin.record()) for choice in spec.choices()],
            environment=self.environment,
            data=self._data_record(),
            history=self.history,
            throughput=self.clock.throughput(self.warmup_seconds),
            memory=peak_memory(self.device),
            metrics=self.evaluator.results(),
            artifacts=directory.artifacts,
        )
        directory.write_result(result)
        return result

    def _data_record(self) -> DataRecord:
        return DataRecord(
            source=self.data.source,
            fingerprint=self.data.fingerprint,
            train_images=len(self.data.train),
            test_images=len(self.data.test),
            notice=self.data.notice,
        )
