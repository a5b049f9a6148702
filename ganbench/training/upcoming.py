"""What a run does next, other than training: scores, sample images and checkpoints."""

from __future__ import annotations

from ganbench.plugin.callbacks import UpcomingEvent

from .loading import can_be_shown
from .run_state import RunState


def upcoming_events(state: RunState, seconds_left: float, seconds_to_checkpoint: float) -> tuple[UpcomingEvent, ...]:
    """Return the next event of each kind, soonest first.

    - `seconds_left`: estimated training time to the end of the run.
    - `seconds_to_checkpoint`: time to the next checkpoint at an interval in minutes.
    """
    prepared, events, length = state.prepared, state.prepared.events, state.prepared.length
    seconds_per_image = state.clock.training_seconds / state.images

    def after(step: int, name: str) -> UpcomingEvent:
        seconds = (length.images_after(step) - state.images) * seconds_per_image
        if step == length.steps or seconds >= seconds_left:
            return UpcomingEvent(name, seconds_left)
        return UpcomingEvent(name, seconds, epoch=step / length.steps_per_epoch)

    upcoming = []
    scoring_step, ids = events.next_scores(state.steps)
    if ids:
        upcoming.append(after(scoring_step, f"score {', '.join(ids)}"))
    if prepared.spec.sample_images.generated and can_be_shown(prepared.sampler.data_shape):
        upcoming.append(after(events.next_sample_images(state.steps), "sample images"))
    checkpoint_step = min(events.next_checkpoint(state.steps), scoring_step)  # one is saved before scoring
    checkpoint = after(checkpoint_step, "checkpoint")
    if seconds_to_checkpoint < checkpoint.seconds:
        checkpoint = UpcomingEvent("checkpoint", seconds_to_checkpoint)
    return tuple(sorted([*upcoming, checkpoint], key=lambda event: event.seconds))
