"""The arguments of a run in addition to its spec, stored in launch.json so that they need not be repeated."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from ganbench.errors import GanbenchWarning, UsageError
from ganbench.results.layout import LAUNCH
from ganbench.results.record import Record, unreadable
from ganbench.system.files import is_dir

from .benchmark import BenchmarkSpec
from .configs import TrackerConfig


class GivenPlugin(Record):
    """A plugin given with -p and used by the run."""

    given: str = Field(description="absolute path of a file, or name of a module")
    from_run: str | None = Field(
        description="path of a file relative to the run directory, in case both are moved; null for a module"
    )
    version: str | None = Field(description="hash of a file; null for a module")
    in_spec: bool = Field(True, description="whether the spec uses it; false if it provides only trackers of the run")


class Launch(Record):
    """How a run was started."""

    plugins: list[GivenPlugin] = Field([], description="plugins given with -p and used by the run")
    data_dir: str | None = Field(None, description="absolute path given with --data-dir; null if none was given")
    device: str = Field("auto", description="value of --device")
    trackers: list[dict[str, Any]] = Field([], description="trackers: tables with name and options")
    processes: int = Field(1, description="processes over which the run is split")

    def resume(self, before: Launch, data_dir: Path | None) -> Launch:
        """Combine with the launch of the resumed run; arguments given now, including `data_dir`, take precedence.

        Its trackers are kept for the next time if they are not used now, for example because they are not installed.
        """
        device = before.device if self.device == "auto" else self.device
        folder = before.data_dir if data_dir is None else self.data_dir
        if folder is not None and not is_dir(Path(folder)):
            warnings.warn(
                f"the data folder {folder}, which the run was started with, no longer exists; using the default one, "
                "because --data-dir was not given",
                GanbenchWarning,
                stacklevel=3,
            )
            folder = self.data_dir
        used = {tracker["name"] for tracker in self.trackers}
        trackers = [*self.trackers, *(tracker for tracker in before.trackers if tracker["name"] not in used)]
        given = {plugin.given for plugin in self.plugins}
        plugins = [*self.plugins, *(each for each in before.plugins if not each.in_spec and each.given not in given)]
        update = {"device": device, "data_dir": folder or self.data_dir, "trackers": trackers, "plugins": plugins}
        return self.model_copy(update=update)


def make_launch(
    spec: BenchmarkSpec,
    folder: Path,
    data_dir: Path | None,
    device: str,
    trackers: Sequence[TrackerConfig],
    processes: int = 1,
) -> Launch:
    """Record how a run of `spec` in `folder` is started."""
    in_spec = {config.plugin.provider for config in spec.plugin_configs()}
    providers = dict.fromkeys(config.plugin.provider for config in (*spec.plugin_configs(), *trackers))
    plugins = []
    for provider in providers:
        if provider.given is not None:
            from_run = os.path.relpath(provider.given, folder.absolute()) if provider.version else None
            plugins.append(
                GivenPlugin(
                    given=provider.given, from_run=from_run, version=provider.version, in_spec=provider in in_spec
                )
            )
    return Launch(
        plugins=plugins,
        data_dir=str(data_dir.absolute()) if data_dir else None,
        device=device,
        trackers=[config.model_dump() for config in trackers],
        processes=processes,
    )


def read_launch(folder: Path) -> Launch:
    """Read how the run in a run directory was started; empty if that was not recorded.

    Raises `UsageError` if the file is invalid.
    """
    file = folder / LAUNCH
    try:
        return Launch.model_validate_json(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError):  # the latter if `folder` is a file
        return Launch()
    except OSError as error:
        raise UsageError(f"{file}: cannot read it: {error.strerror}") from None
    except ValidationError as error:
        raise unreadable(str(file), error, "restore it, or start a new run") from None
