"""One run, from a spec to a stored result."""

from __future__ import annotations

import math
from itertools import islice
from pathlib import Path
from time import monotonic, perf_counter

from ganbench import plots
from ganbench.errors import DivergedError, GanbenchError, PluginError
from ganbench.files import default_data_dir
from ganbench.observer import Observer, Progress
from ganbench.plugin import Reference
from ganbench.registry import describe
from ganbench.result import EpochRow, PluginRecord, Result, RunDirectory, Status
from ganbench.spec import BenchmarkSpec

from .checkpoint import capture_state, restore_state, save_checkpoint
from .history import EpochLosses
from .interrupt import Interrupt
from .pictures import save_generated_images, save_real_images
from .precision import float32_products
from .preparation import Prepared, prepare, resolve_device
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
    observer = observer or Observer()
    prepared = prepare(spec, resolve_device(device), data_dir or default_data_dir(), observer)
    directory = RunDirectory.create(spec.name, out)
    return Run(prepared, directory, reference, observer).execute(), directory


class Run:
    """One training, from its first step to its stored result."""

    def __init__(
        self, prepared: Prepared, directory: RunDirectory, reference: Reference | None, observer: Observer
    ) -> None:
        self.prepared = prepared
        self.directory = directory
        self.reference = reference if reference and reference.data_fingerprint == prepared.data.fingerprint else None
        self.observer = observer
        self.clock = TrainingClock(prepared.device)
        self.warmup_seconds = 0.0
        self.step_seconds = 0.0
        self.steps_done = 0
        self.images_done = 0
        self.history: list[EpochRow] = []
        self.open_epoch: EpochLosses | None = None  # begun and not yet a row of the history

    def execute(self) -> Result:
        """Train to the end, or to whatever comes first, and store what came of it."""
        spec = self.prepared.spec
        self.directory.write_spec(spec.to_toml())
        try:
            with float32_products(spec.training.precision), Interrupt() as interrupt:
                save_real_images(self.prepared, self.directory)
                self._evaluate(epoch=0)
                self._warm_up()
                status, message = self._train(interrupt)
                self._evaluate(epoch=self._epochs_done, everything=True)
        except DivergedError as error:
            status, message = "diverged", str(error)
        except KeyboardInterrupt:
            status, message = "interrupted", "interrupted a second time, before the last evaluation"
        except GanbenchError as error:
            self._store("failed", str(error))
            raise
        except Exception as error:
            self._store("failed", describe(error))
            raise PluginError(
                f"the run failed after {self.steps_done} steps: {describe(error)}. "
                f"The result so far is in {self.directory.path}"
            ) from error
        return self._store(status, message)

    def _train(self, interrupt: Interrupt) -> tuple[Status, str | None]:
        """The training loop: epochs of windows of steps. Nothing in a window waits for the device."""
        steps_per_epoch, total_steps = self.prepared.steps_per_epoch, self.prepared.total_steps
        step, batches, clock = self.prepared.step, self.prepared.batches, self.clock
        budget = self.prepared.spec.training.budget_seconds
        deadline = monotonic() + budget if budget else math.inf
        while True:
            epoch = self.steps_done // steps_per_epoch + 1
            losses = self.open_epoch = EpochLosses(epoch)
            batch = batches.epoch()
            for window_steps in windows_in(min(steps_per_epoch, total_steps - self.steps_done), self.step_seconds):
                with clock.window(epoch) as count:
                    for real, labels in islice(batch, window_steps):
                        clock.ended("data")
                        losses.add(step(real, labels, clock.ended))
                        count.images += len(real)
                        self.steps_done += 1
                        if interrupt.requested or monotonic() > deadline:
                            break
                self.images_done += count.images
                losses.read(self.steps_done)
                self._report_progress(losses)
                if interrupt.requested or monotonic() > deadline:
                    break
            self._end_epoch()
            if self.steps_done == total_steps:
                return "completed", None
            if interrupt.requested:
                return "interrupted", f"interrupted after step {self.steps_done}"
            if monotonic() > deadline:
                return "completed", f"the budget of {budget:g} s ended after step {self.steps_done}"
            self._evaluate(epoch)

    def _warm_up(self) -> None:
        """Take a few steps, which also tells how long one takes, then put everything back as it was."""
        self.observer.working("warming up")
        step, batches = self.prepared.step, self.prepared.batches
        state = capture_state(step, batches)
        start = perf_counter()
        for real, labels in islice(batches.epoch(), WARMUP_STEPS):
            self.clock.synchronize()
            step_start = perf_counter()
            step(real, labels, turn_ended=lambda _: None)
            self.clock.synchronize()
            self.step_seconds = perf_counter() - step_start
        restore_state(state, step, batches)
        self.clock.synchronize()
        self.warmup_seconds = perf_counter() - start

    def _report_progress(self, losses: EpochLosses) -> None:
        window = self.clock.windows[-1]
        images_left = (self.prepared.total_steps - self.steps_done) * self.prepared.spec.training.batch_size
        self.observer.progressed(
            Progress(
                epoch=losses.epoch,
                step=self.steps_done,
                total_steps=self.prepared.total_steps,
                losses=losses.last(),
                images_per_second=window.images / window.seconds,
                seconds_left=images_left / self.clock.mean_images_per_second,
            )
        )

    def _end_epoch(self) -> None:
        """Turn the open epoch into a row of the history, also when training ended within it."""
        if self.open_epoch is None or not self.open_epoch.steps:
            return
        windows = [window for window in self.clock.windows if window.epoch == self.open_epoch.epoch]
        row = self.open_epoch.row(sum(window.images for window in windows), sum(window.seconds for window in windows))
        self.open_epoch = None
        self.history.append(row)
        self.directory.write_history(self.history)
        self.observer.epoch_ended(row)

    @property
    def _epochs_done(self) -> int:
        return self.history[-1].epoch if self.history else 0

    def _evaluate(self, epoch: int, everything: bool = False) -> None:
        """Score the generator and take pictures, if it is time for either."""
        evaluator, pictures = self.prepared.evaluator, self.prepared.spec.pictures
        if everything or evaluator.is_due(epoch):
            self.observer.working("evaluating")
            for label, point in evaluator.evaluate(self.prepared.networks, epoch, self.images_done, everything):
                self.observer.scored(label, point)
        if (everything and epoch) or epoch in pictures.at_epochs:
            save_generated_images(self.prepared, epoch, self.directory)

    def _store(self, status: Status, message: str | None) -> Result:
        """Write all files that tell what came of the run."""
        spec, directory = self.prepared.spec, self.directory
        self._end_epoch()
        save_checkpoint(
            directory.file("checkpoint.pt", "checkpoint"),
            capture_state(self.prepared.step, self.prepared.batches),
            {"epochs": self._epochs_done, "steps": self.steps_done, "images": self.images_done},
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
            environment=self.prepared.environment,
            data=self.prepared.data_record,
            history=self.history,
            throughput=self.clock.throughput(self.warmup_seconds),
            memory=peak_memory(self.prepared.device),
            metrics=self.prepared.evaluator.results(),
            artifacts=directory.artifacts,
        )
        directory.write_result(result)
        return result
