"""The training loop of a run, with everything around it: warm-up, events between steps, scores, and the result.

The loop is a generator that pauses after every step, so that several runs can take turns in one process: see `turns`.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from itertools import islice
from time import perf_counter

from ganbench.errors import DivergedError, GanbenchError, PluginError, describe, restated
from ganbench.plugin.callbacks import Callback, Progress
from ganbench.results.layout import TRACE
from ganbench.results.run_directory import RunDirectory
from ganbench.results.schema import Result, Status
from ganbench.results.throughput import Roofline
from ganbench.runtime.checkpoint import Checkpoint
from ganbench.runtime.memory import explain_out_of_memory, is_out_of_memory
from ganbench.spec.launch import Launch
from ganbench.system.launcher import Launcher

from .arguments import RunArguments
from .conditions import current_conditions, joined
from .history import EpochLosses, require_finite_weights
from .interrupt import Interrupt
from .preparation import PreparedRun
from .roofline import measure_roofline
from .run_files import RunFiles
from .run_state import RunState
from .sample_images import save_generated_images, save_real_images
from .state.measuring import untouched
from .turns import BARRIER, STEP, Pause, Training
from .upcoming import upcoming_events
from .warmup import WarmupResult, warm_up


class TrainingLoop:
    """The training of one run, from the first step to the stored result."""

    def __init__(
        self,
        prepared: PreparedRun,
        directory: RunDirectory,
        launch: Launch,
        callback: Callback,
        arguments: RunArguments,
    ) -> None:
        self.prepared = prepared
        self.ranks = prepared.ranks
        self.directory = directory
        self.launch = launch
        self.callback = callback
        self.arguments = arguments
        self.state = RunState(prepared)
        self.files = RunFiles(self.state, directory, arguments.published_curve, callback)
        self.warmed_up: WarmupResult | None = None
        self.roofline: Roofline | None = None

    @property
    def captured(self) -> bool:
        """Whether the warm-up has captured the step as a CUDA graph."""
        return self.warmed_up is not None and self.warmed_up.engine_record.name == "cuda_graph"

    @property
    def shared_state(self) -> list[str]:
        """The state that training changes and that all runs of the process share, by path, known after the warm-up."""
        return [] if self.warmed_up is None else self.warmed_up.shared_state

    def share_memory(self) -> None:
        """Record that this process has other runs, so that its memory is not that of this run."""
        self.state.clock.has_own_memory = False

    def share_device(self, others: int) -> None:
        """Record that this number of other runs are trained in this process at the same time."""
        self.state.shared_with = f"{others} other run{'s' * (others != 1)} in the same process"
        self.state.clock.has_own_energy = False

    def resume_from(self, checkpoint: Checkpoint) -> None:
        """Restore the state of the run from a checkpoint of an earlier process."""
        self.directory.adopt(checkpoint.progress.run_id, checkpoint.progress.created_at, checkpoint.progress.artifacts)
        self.state.resume_from(checkpoint)
        self.files.saved_steps = self.files.resumed_steps = self.state.steps
        if (reached := self.prepared.targets.reached_stop()) is not None:
            target, title = reached
            self.callback.on_warning(
                f"the run is complete, because {target} is reached: {title}; to train further, resume with "
                f"-o {target}.stop=false"
            )

    def write_spec(self) -> None:
        """Make the run resumable; call it before anything else is written to the run directory, such as a log."""
        self.files.write_spec(self.launch)

    def execute(self, interrupt: Interrupt) -> Training[Result]:
        """Train until training is complete or interrupted, and store the result."""
        interrupt.urgent = Launcher.of_this_process().by_torchrun  # it kills its processes half a minute after Ctrl-C
        try:
            save_real_images(self.prepared, self.directory, self.callback)
            if self.state.steps == 0:
                self._evaluate(self.prepared.events.scores(0), self.prepared.events.sample_images(0))
            if self._is_interrupted(interrupt):
                raise KeyboardInterrupt  # skip the warm-up
            warmed_up = self._warm_up()
            status, message = yield from self._train(warmed_up, interrupt)
            if self.ranks.alone:
                self._measure_roofline(warmed_up)
            self._evaluate(None, sample_images=True)
        except DivergedError as error:
            status, message = "diverged", str(error)
        except KeyboardInterrupt:
            interrupt.storing = True
            message = f"interrupted after step {self.state.steps}, and not scored"
            if self.files.saved_steps < self.state.steps:
                message += f"; the last checkpoint is that of step {self.files.saved_steps}"
            return self._store("interrupted", message, scored=False)
        except (Exception, SystemExit) as error:
            interrupt.storing = True
            raise self._failed(error) from error
        interrupt.storing = True
        return self._store(status, message)

    def _failed(self, error: Exception | SystemExit) -> GanbenchError:
        """Store the result so far, and return the error to raise."""
        cause = explain_out_of_memory(error, self.prepared.spec.training.batch_size, self.prepared.device)
        if cause is None:
            cause = str(error) if isinstance(error, GanbenchError) else describe(error)
        message = f"the run failed after {self.state.steps} step{'s' * (self.state.steps != 1)}: {cause}"
        try:
            self._store("failed", message, scored=False)
            message += f". The result so far is in {self.directory.path}"
        except Exception as another:
            message += f". The result so far could not be stored: {describe(another)}"
        return restated(error, message) if isinstance(error, GanbenchError) else PluginError(message)

    def _warm_up(self) -> WarmupResult:
        self.callback.on_status("warming up")
        trace = self.directory.file(TRACE, "trace") if self.arguments.profile else None
        self.warmed_up = warm_up(self.prepared, self.arguments.verify_engine, trace)
        self.state.clock.graph_memory_bytes = self.warmed_up.engine.graph_memory_bytes
        self.state.clock.step_seconds = self.warmed_up.step_seconds
        now = current_conditions(self.prepared, self.warmed_up.engine_record.name)
        self.state.conditions = joined(self.state.conditions, now)
        for warning in self.warmed_up.warnings:
            self.callback.on_warning(warning)
        if self.warmed_up.engine_record.fallback_reason:
            self.callback.on_warning(
                f"running eagerly, because no CUDA graph was captured: {self.warmed_up.engine_record.fallback_reason}"
            )
        return self.warmed_up

    def _train(self, warmed_up: WarmupResult, interrupt: Interrupt) -> Training[tuple[Status, str | None]]:
        """Run the training loop: timing windows of steps, and events between them.

        Nothing within a window waits for the device. Runs that take turns wait for one another before and after a
        window and at both of its ends, so that their windows begin and end together and contain nothing but steps, and
        the start and the end of an epoch's data workers.
        """
        state, engine, clock = self.state, warmed_up.engine, self.state.clock
        deadline, window_seconds = self._deadline(), self.arguments.window_seconds
        period = self.prepared.step.penalties.period
        if state.steps == 0:
            self.files.save_checkpoint()  # a run can always be resumed
        while True:
            if (ended := self._ended(interrupt)) is not None:
                self._save_checkpoint(interrupt)
                self._end_epoch()
                return ended
            self._handle_events(interrupt)
            if self._ended(interrupt) is not None:
                continue  # interrupted while an event was handled, or a score reached a target
            losses = state.open_epoch_losses()
            state.inputs_left()  # a resumed run skips those of earlier steps now, and not within a window
            steps_left = self.prepared.events.steps_to_next(state.steps)
            interrupt.unsaved = True  # also at each pause
            while steps_left:
                window_steps = clock.window_steps(steps_left, window_seconds, period, state.steps % period)
                window_steps = self.ranks.from_first(window_steps)
                window_steps = yield Pause(barrier=True, window_steps=window_steps)
                with clock.window(losses.epoch) as count:
                    yield BARRIER
                    # no local reference to the inputs: at the end of an epoch, its data workers then end in the window
                    for batch in islice(state.inputs_left(), window_steps):
                        losses.add(engine(batch, state.position, clock.on_phase_end))
                        images = len(batch[0]) * self.ranks.size
                        count.add(images)
                        state.add(images)
                        if self.ranks.alone and (interrupt.requested or clock.training_seconds > deadline):
                            count.complete = False
                            break
                        yield STEP
                    yield BARRIER
                yield BARRIER
                steps_left -= count.steps
                clock.add_phases(engine.last_phases(), count.steps)
                losses.read(state.steps)
                self._report_progress(losses)
                if not count.complete or self._is_interrupted(interrupt) or self._is_over_budget():
                    break
                if self.ranks.any(self.files.checkpoint_due):
                    self.files.save_checkpoint()

    def _deadline(self) -> float:
        """Return the budget in seconds of training; infinite if there is none."""
        return self.prepared.spec.training.budget_seconds or math.inf

    def _ended(self, interrupt: Interrupt) -> tuple[Status, str | None] | None:
        """Return the status and message if training has ended, else None."""
        state = self.state
        if state.steps == self.prepared.total_steps:
            return "completed", None
        if self._is_interrupted(interrupt):
            return "interrupted", f"interrupted after step {state.steps}"
        if (reached := self.prepared.targets.reached_stop()) is not None:
            target, title = reached
            return "completed", f"training ended after step {state.steps}, because {target} is reached: {title}"
        if self._is_over_budget():
            return "completed", f"the budget of {self._deadline():g} s was used up after step {state.steps}"
        return None

    def _is_interrupted(self, interrupt: Interrupt) -> bool:
        """Return whether any rank was interrupted. Ranks ask between windows only, and stop after the same step."""
        interrupt.requested = self.ranks.any(interrupt.requested)
        return interrupt.requested

    def _is_over_budget(self) -> bool:
        return self.ranks.any(self.state.clock.training_seconds > self._deadline())

    def _measure_roofline(self, warmed_up: WarmupResult) -> None:
        self.callback.on_status("measuring the device's peak performance")
        flops, state_bytes = warmed_up.flops_per_image, warmed_up.state_bytes_per_step
        try:
            self.roofline = measure_roofline(flops, state_bytes, self.prepared.precision, self.prepared.device)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            self.callback.on_warning(
                "the device's peak performance was not measured: training leaves too little memory for it"
            )

    def _report_progress(self, losses: EpochLosses) -> None:
        state, training, total_steps = self.state, self.prepared.spec.training, self.prepared.total_steps
        window = state.clock.windows[-1]
        images_left = self.prepared.length.images - state.images
        seconds_left = images_left * state.clock.training_seconds / state.images
        if training.budget_seconds:
            seconds_left = min(seconds_left, max(0.0, training.budget_seconds - state.clock.training_seconds))
        progress = Progress(
            epoch=losses.epoch,
            step=state.steps,
            total_steps=total_steps,
            losses=losses.last(),
            images_per_second=window.images / window.seconds,
            images=state.images,
            seconds_left=seconds_left,
            upcoming=upcoming_events(state, seconds_left, self.files.seconds_to_checkpoint),
            disturbed=state.shared_with is not None,
        )
        self.callback.on_window_end(progress)
        self.files.write_progress(progress)

    def _save_checkpoint(self, interrupt: Interrupt) -> None:
        """Save a checkpoint between two windows; until the next window, a signal can end the run at once.

        Raises `KeyboardInterrupt` if one came before: without its scores, the run is not complete.
        """
        self.files.save_checkpoint()
        interrupt.unsaved = False
        if self.ranks.any(interrupt.terminated):
            raise KeyboardInterrupt

    def _handle_events(self, interrupt: Interrupt) -> None:
        """Handle the events that are due between two steps; save a checkpoint before scoring, which takes long."""
        step, events = self.state.steps, self.prepared.events
        if step == 0:
            return  # handled before the warm-up
        if not self.state.steps_into_epoch:
            self._end_epoch()
        scores = events.scores(step)
        if scores or events.checkpoint(step):
            self._save_checkpoint(interrupt)
        self._evaluate(scores, events.sample_images(step))

    def _end_epoch(self) -> None:
        row = self.state.end_epoch()
        if row is not None:
            self.files.write_history()
            self.callback.on_epoch_end(row)

    def _evaluate(self, scores: Collection[str] | None, sample_images: bool) -> None:
        """Score the generator with the metrics of these ids (None: all), and save sample images if requested."""
        start = perf_counter()
        if scores is None or scores or sample_images:
            require_finite_weights(self.prepared.step, f"after step {self.state.steps}")
            with untouched(self.prepared.step, self.prepared.batches, self.callback.on_warning):
                if scores is None or scores:
                    self.callback.on_status("evaluating")
                    evaluator = self.prepared.evaluator
                    for label, point in evaluator.evaluate(self.prepared.networks, self.state.images, scores):
                        self.callback.on_score(label, point)
                        if evaluator.best()[label] is point:
                            self.callback.on_best(label, point)
                if sample_images and self.ranks.is_first:
                    save_generated_images(self.prepared, self.state.position, self.directory, self.callback)
        self.state.evaluation_seconds += perf_counter() - start

    def _store(self, status: Status, message: str | None, scored: bool = True) -> Result:
        self._end_epoch()
        result = self.files.write_result(self.warmed_up, self.roofline, status, message, scored)
        self.callback.on_run_end(result)
        return result
