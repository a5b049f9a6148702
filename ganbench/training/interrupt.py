"""Requests to end a training run soon and in order: Ctrl-C, SIGTERM and SIGHUP."""

from __future__ import annotations

import signal
from types import FrameType

from ganbench.system.signals import handle_signals


class Interrupt:
    """Within the block, set `requested` on a first signal during training, which then ends after the current step.

    A second Ctrl-C raises `KeyboardInterrupt`. So does a first SIGTERM or SIGHUP outside training: a cluster that is
    about to reclaim the machine does not wait long. Once `storing` is set, the run is about to end anyway, and signals
    are ignored. Python delivers signals to the main thread only: in another thread, `requested` is never set.
    """

    def __init__(self) -> None:
        self.requested = False
        self.terminated = False  # by SIGTERM, SIGHUP or a second Ctrl-C: nothing is to be scored
        self.training = False
        self.storing = False
        self._raised = False  # KeyboardInterrupt, for SIGTERM or SIGHUP; a closed terminal sends SIGHUP twice
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
        if number == signal.SIGINT:
            if again:
                self.terminated = True
                raise KeyboardInterrupt
            return
        self.terminated = True
        if not self.training and not self._raised:
            self._raised = True
            raise KeyboardInterrupt
