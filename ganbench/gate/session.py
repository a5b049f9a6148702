"""Sessions: one fresh process each, in which a side of the gate is timed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from pydantic import ValidationError

from ganbench.errors import GanbenchError
from ganbench.result import Environment, GPUReading, Memory, PluginRecord, Record

WORKER = Path(__file__).with_name("worker.py")
LOG_LINES = 30  # of a crashed session that are shown


class SessionError(GanbenchError):
    """A session crashed or diverged: there is nothing to compare, and it is never taken for slow."""


class Session(Record):
    """What one session saw."""

    images_per_second: list[float]  # of each timed window
    settled_after: int  # windows of warm-up before them
    phases: dict[str, float]  # shares of training time
    memory: Memory
    stamp: dict[str, Any]
    environment: Environment
    data: str  # its fingerprint
    spec: dict[str, Any]
    plugins: list[PluginRecord]
    gpu: list[GPUReading | None]

    @property
    def seconds_per_image(self) -> float:
        """The cost that is compared: of the median window."""
        return 1 / median(self.images_per_second)

    @property
    def phase_seconds(self) -> dict[str, float]:
        """Seconds an image in each phase."""
        return {phase: share * self.seconds_per_image for phase, share in self.phases.items()}

    @property
    def peak_bytes(self) -> int | None:
        """On the device, or on the host where training runs there."""
        return self.memory.device_peak_bytes or self.memory.host_peak_rss_bytes


@dataclass(frozen=True)
class Measurement:
    """What sessions train and how long they are timed."""

    benchmark: str
    overrides: list[str] = field(default_factory=list)
    plugins: list[str] = field(default_factory=list)
    device: str = "auto"
    data_dir: Path | None = None
    windows: int = 5
    window_seconds: float = 2.0


@dataclass(frozen=True)
class Arm:
    """A side of a comparison: which Python measures, where it stands, and what it imports first."""

    name: str
    python: str = sys.executable
    folder: Path = field(default_factory=Path.cwd)
    import_paths: tuple[Path, ...] = ()
    own: Callable[[Path], Path] = lambda path: path  # where this side has a file that people name by the other's path
    delay: float = 0.0  # seconds that each step is made to take longer, to test the gate itself

    def measure(self, measurement: Measurement) -> Session:
        """Run a session. Raises `SessionError` with the end of its log."""
        request = {
            "benchmark": self._named(measurement.benchmark),
            "overrides": measurement.overrides,
            "plugins": [self._named(plugin) for plugin in measurement.plugins],
            "device": measurement.device,
            "data_dir": str(measurement.data_dir.resolve()) if measurement.data_dir else None,
            "windows": measurement.windows,
            "window_seconds": measurement.window_seconds,
            "delay": self.delay,
        }
        paths = [str(path) for path in self.import_paths]
        if "PYTHONPATH" in os.environ:
            paths.append(os.environ["PYTHONPATH"])
        try:
            finished = subprocess.run(
                [self.python, "-P", str(WORKER), json.dumps(request)],  # -P: this folder's modules are not the worker's
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
                capture_output=True,
                text=True,
            )
        except OSError as error:
            raise SessionError(f"a session of {self.name} could not be started: {error.strerror}") from None
        if finished.returncode:
            log = "\n".join((finished.stdout + finished.stderr).splitlines()[-LOG_LINES:])
            raise SessionError(f"a session of {self.name} failed with exit code {finished.returncode}:\n{log}")
        try:
            return Session.model_validate_json(finished.stdout.splitlines()[-1])
        except (ValidationError, IndexError) as error:
            raise SessionError(f"a session of {self.name} printed nothing that can be read: {error}") from error

    def _named(self, name: str) -> str:
        return str(self.own(Path(name).resolve())) if name.endswith((".py", ".toml")) else name
