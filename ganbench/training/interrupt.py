"""Requests to end a training run soon and in order: Ctrl-C, SIGTERM and SIGHUP."""

from __future__ import annotations

import signal
from types import FrameType

from ganbench.system.signals import handle_signals


class Interrupt:
    """Within the block, set `requested` on a first signal; training then ends after the current step.

    SIGTERM, SIGHUP and a second Ctrl-C also end scoring and the warm-up: they raise `KeyboardInterrupt`, because a
    cluster that is about to reclaim the machine does not wait long. While training is `unsaved`, they only set
    `terminated`, so that it ends with a checkpoint; a step that hangs is ended by a third Ctrl-C, which raises even
    then. If it is `urgent`, the first Ctrl-C has the effect of SIGTERM. Once `storing` is set, the run is about to end
    anyway, and signals are ignored. Python delivers signals to the main thread only: in another thread, `requested` is
    never set.
    """

    def __init__(self) -> None:
        self.requested = False
        self.terminated = False  # by all but a first Ctrl-C: nothing is to be scored
        self.unsaved = False  # from the first step of a window to the next checkpoint between windows
        self.storing = False
        self.urgent = False  # the first Ctrl-C is followed by SIGKILL, so that nothing is to be scored either
        self._presses = 0  # of Ctrl-C
        self._raised = False  # once is enough: a closed terminal sends SIGHUP twice
        self._handling = handle_signals(self._handle)

    def __enter__(self) -> Interrupt:
        self._handling.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._handling.__exit__(None, None, None)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again, self.requested = self.requested, True
        if self.storing:
            return
        pressed = number == signal.SIGINT
        self._presses += pressed
        if pressed and not again and not self.urgent:
            return
        self.terminated = True
        if (pressed and self._presses > 2) or not (self.unsaved or self._raised):
            self._raised = True
            raise KeyboardInterrupt
