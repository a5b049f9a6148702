"""One run, from a spec to a stored result."""

from __future__ import annotations

import math
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from time import perf_counter

import torch

from ganbench import plots
from ganbench.errors import DivergedError, GanbenchError, PluginError, describe
from ganbench.files import default_data_dir
from ganbench.observer import Observer, Progress
from ganbench.plugin import Reference
from ganbench.result import EpochRow, PluginRecord, Result, Roofline, RunDirectory, Status, Throughput
from ganbench.spec import BenchmarkSpec

from .checkpoint import live_state, save_checkpoint
from .cpu import set_up_cpu
from .engines import check_engine
from .history import EpochLosses
from .interrupt import Interrupt
from .memory import explain_out_of_memory, is_out_of_memory
from .pictures import save_generated_images, save_real_images
from .precision import float32_products, repeatable_convolutions
from .preparation import Prepared, prepare, resolve_device
from .roofline import measure_roofline
from .timing import WINDOW_SECONDS, TrainingClock, windows_in
from .warmup import WarmedUp, warm_up


def run(
    spec: BenchmarkSpec,
    *,
    device: str = "auto",
    out: Path | None = None,
    data_dir: Path | None = None,
    reference: Reference | None = None,
    observer: Observer | None = None,
    verify_engine: int | None = None,
    profile: bool = False,
    window_seconds: float = WINDOW_SECONDS,
) -> tuple[Result, RunDirectory]:
    """Train, time and score a benchmark, and store the result in a run directory.

    `device` is "auto", "cpu", "cuda" or "cuda:N". `verify_engine` is how many steps a graph and the eager engine have
    to agree on in every bit before training, `profile` whether some steps are profiled, also before training, and
    `window_seconds` about how long each timing window is. Ctrl-C and SIGTERM end the training after the step, and the
    generator is scored as it is by then. Whatever ends a training that has begun, the result so far is on disk; an
    error before that leaves nothing behind.

    Raises `GanbenchError` for what a user can cause: see its subclasses.
    """
    observer = observer or Observer()
    directory = RunDirectory(spec.name, out)
    chosen = resolve_device(device)
    check_engine(spec.engine, chosen, verify_engine)
    if chosen.type == "cpu":
        set_up_cpu()
    with torch.cuda.device(chosen) if chosen.type == "cuda" else nullcontext():
        try:
            prepared = prepare(spec, chosen, data_dir or default_data_dir(), observer)
        except Exception as error:
            if out_of_memory := explain_out_of_memory(error, spec.training.batch_size, chosen):
                raise GanbenchError(out_of_memory) from error
            raise
        directory.create()
        training = Run(prepared, directory, reference, observer, verify_engine, profile, window_seconds)
        return training.execute(), directory


class Run:
    """One training, from its first step to its stored result."""

    def __init__(
        self,
        prepared: Prepared,
        directory: RunDirectory,
        reference: Reference | None,
        observer: Observer,
        verify_engine: int | None,
        profile: bool,
        window_seconds: float,
    ) -> None:
        self.prepared = prepared
        self.directory = directory
        self.reference = reference if reference and reference.data_fingerprint == prepared.data.fingerprint else None
        self.observer = observer
        self.verify_engine = verify_engine
        self.profile = profile
        self.window_seconds = window_seconds
        self.clock = TrainingClock(prepared.device)
        self.warmed_up: WarmedUp | None = None
        self.roofline: Roofline | None = None
        self.evaluation_seconds = 0.0
        self.steps_done = 0
        self.images_done = 0
        self.history: list[EpochRow] = []
        self.open_epoch: EpochLosses | None = None  # begun and not yet a row of the history

    def execute(self) -> Result:
        """Train to the end, or to whatever comes first, and store what came of it."""
        with float32_products(self.prepared.precision), repeatable_convolutions(), Interrupt() as interrupt:
            try:
                self.directory.write_spec(self.prepared.spec.to_toml())
                save_real_images(self.prepared, self.directory)
                self._evaluate(epoch=0)
                warmed_up = self._warm_up()
                status, message = self._train(warmed_up, interrupt)
                self._measure_roofline(warmed_up)
                self._evaluate(epoch=None)
            except DivergedError as error:
                status, message = "diverged", str(error)
            except KeyboardInterrupt:
                status, message = "interrupted", "interrupted a second time, before the last evaluation"
            except Exception as error:
                raise self._failed(error) from error
            return self._store(status, message)

    def _failed(self, error: Exception) -> GanbenchError:
        """Store the result so far, and make the error to raise."""
        batch_size, device = self.prepared.spec.training.batch_size, self.prepared.device
        told = explain_out_of_memory(error, batch_size, device)
        if told is None:
            told = str(error) if isinstance(error, GanbenchError) else describe(error)
        message = f"the run failed after {self.steps_done} steps: {told}"
        try:
            self._store("failed", message)
            message += f". The result so far is in {self.directory.path}"
        except Exception as another:
            message += f". The result so far could not be stored: {describe(another)}"
        return type(error)(message) if isinstance(error, GanbenchError) else PluginError(message)

    def _warm_up(self) -> WarmedUp:
        self.observer.working("warming up")
        trace = self.directory.file("trace.json", "trace") if self.profile else None
        self.warmed_up = warm_up(self.prepared, self.verify_engine, trace)
        self.clock.hidden_bytes = self.warmed_up.engine.hidden_bytes
        if self.warmed_up.engine_record.fallback:
            self.observer.warned(f"engine eager, as no graph could be taken: {self.warmed_up.engine_record.fallback}")
        return self.warmed_up

    def _train(self, warmed_up: WarmedUp, interrupt: Interrupt) -> tuple[Status, str | None]:
        """The training loop: epochs of windows of steps. Nothing in a window waits for the device."""
        steps_per_epoch, total_steps = self.prepared.steps_per_epoch, self.prepared.total_steps
        engine, batches, clock = warmed_up.engine, self.prepared.batches, self.clock
        budget = self.prepared.spec.training.budget_seconds
        deadline = budget or math.inf  # in seconds of training
        while True:
            epoch = self.steps_done // steps_per_epoch + 1
            losses = self.open_epoch = EpochLosses(epoch)
            batch = batches.epoch()
            steps_left = min(steps_per_epoch, total_steps - self.steps_done)
            for window_steps in windows_in(steps_left, warmed_up.step_seconds, self.window_seconds):
                with clock.window(epoch) as count:
                    for inputs in islice(batch, window_steps):
                        losses.add(engine(inputs, clock.ended))
                        count.steps += 1
                        count.images += len(inputs[0])
                        self.images_done += len(inputs[0])
                        self.steps_done += 1
                        if interrupt.requested or clock.training_seconds > deadline:
                            count.whole = False
                            break
                clock.add_phases(engine.last_phases(), count.steps)
                losses.read(self.steps_done)
                self._report_progress(losses)
                if not count.whole:
                    break
            self._end_epoch()
            if self.steps_done == total_steps:
                return "completed", None
            if interrupt.requested:
                return "interrupted", f"interrupted after step {self.steps_done}"
            if clock.training_seconds > deadline:
                return "completed", f"the budget of {budget:g} s ended after step {self.steps_done}"
            self._evaluate(epoch)

    def _measure_roofline(self, warmed_up: WarmedUp) -> None:
        self.observer.working("measuring what the device can do")
        flops, state_bytes = warmed_up.flops_per_image, warmed_up.state_bytes_per_step
        try:
            self.roofline = measure_roofline(flops, state_bytes, self.prepared.precision, self.prepared.device)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            self.observer.warned("what the device can do was not measured: training leaves no memory for that")

    def _report_progress(self, losses: EpochLosses) -> None:
        window = self.clock.windows[-1]
        training = self.prepared.spec.training
        images_left = (self.prepared.total_steps - self.steps_done) * training.batch_size
        seconds_left = images_left * self.clock.training_seconds / self.images_done
        if training.budget_seconds:
            seconds_left = min(seconds_left, max(0.0, training.budget_seconds - self.clock.training_seconds))
        self.observer.progressed(
            Progress(
                epoch=losses.epoch,
                step=self.steps_done,
                total_steps=self.prepared.total_steps,
                losses=losses.last(),
                images_per_second=window.images / window.seconds,
                seconds_left=seconds_left,
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

    def _evaluate(self, epoch: int | None) -> None:
        """Score the generator and take pictures, if it is time for either after `epoch`; None is the end."""
        start = perf_counter()
        evaluator = self.prepared.evaluator
        if epoch is None or evaluator.is_due(epoch):
            self.observer.working("evaluating")
            for label, point in evaluator.evaluate(self.prepared.networks, self.images_done, epoch):
                self.observer.scored(label, point)
        if epoch is None or epoch in self.prepared.spec.pictures.at_epochs:
            save_generated_images(self.prepared, self._moment, self.directory)
        self.evaluation_seconds += perf_counter() - start

    @property
    def _moment(self) -> str:
        """Where training stands, as a file's name: "epoch-0010", or "step-000101" within an epoch."""
        epochs, steps = divmod(self.steps_done, self.prepared.steps_per_epoch)
        return f"step-{self.steps_done:06d}" if steps else f"epoch-{epochs:04d}"

    def _store(self, status: Status, message: str | None) -> Result:
        """Write all files that tell what came of the run: the result first, lest what follows fails."""
        self._end_epoch()
        self._write_result(status, message)
        prepared, directory = self.prepared, self.directory
        epochs = self.steps_done // prepared.steps_per_epoch
        save_checkpoint(
            directory.file("checkpoint.pt", "checkpoint"),
            live_state(prepared.step, prepared.batches),
            {"epochs": epochs, "steps": self.steps_done, "images": self.images_done},
            prepared.spec.to_dict(),
        )
        plots.save_losses(self.history, prepared.spec.name, directory.file("losses.png", "losses"), self.reference)
        return self._write_result(status, message)

    def _write_result(self, status: Status, message: str | None) -> Result:
        prepared, spec, warmed_up = self.prepared, self.prepared.spec, self.warmed_up
        result = Result(
            run_id=self.directory.run_id,
            created_at=self.directory.created_at,
            status=status,
            message=message,
            benchmark=spec.name,
            spec=spec.to_dict(),
            spec_sha256=spec.sha256(),
            plugins=[PluginRecord.model_validate(choice.plugin.record()) for choice in spec.choices()],
            environment=prepared.environment,
            data=prepared.data_record,
            history=self.history,
            throughput=self._throughput(),
            memory=self.clock.memory(),
            metrics=prepared.evaluator.results(self.images_done),
            profile=warmed_up.profile if warmed_up else None,
            artifacts=dict(self.directory.artifacts),
        )
        self.directory.write_result(result)
        return result

    def _throughput(self) -> Throughput:
        """What the windows amount to, with all that tells where the time went."""
        prepared, warmed_up, rate = self.prepared, self.warmed_up, self.clock.rate()
        engine = warmed_up.engine_record if warmed_up else None
        return Throughput(
            images_per_second=rate,
            seconds_per_kimg=1000 / rate.median if rate else None,
            windows=self.clock.windows,
            warmup_seconds=warmed_up.seconds if warmed_up else 0.0,
            evaluation_seconds=self.evaluation_seconds,
            phases=self.clock.phases(),
            apart=warmed_up.apart if warmed_up else None,
            roofline=self.roofline,
            joules_per_image=self.clock.joules_per_image(),
            engine=engine,
            stamp={
                **prepared.environment.hard,
                "precision": prepared.precision,
                "engine": engine.name if engine else None,
                "compile": prepared.spec.engine.compile,
                "memory_format": prepared.spec.engine.memory_format,
                "data": prepared.batches.placement,
                "batch_size": prepared.spec.training.batch_size,
            },
        )
