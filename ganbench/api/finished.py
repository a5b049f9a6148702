"""A run that has ended: its result, its networks, and the images that they generate."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ganbench.errors import GanbenchError
from ganbench.plugin.registry import plugin_names
from ganbench.reporting.pictures import file_html
from ganbench.results.run_directory import require_run_directory
from ganbench.results.sample_names import generated_files
from ganbench.results.schema import Result, load_result
from ganbench.spec.plugins import load_registry
from ganbench.system.files import StrPath, as_path

from .arguments import integer, items, optional_integer
from .samples import Samples

if TYPE_CHECKING:
    from torch import nn

    from ganbench.scoring.trained import TrainedRun


def load(directory: StrPath, *, device: str = "auto", plugins: StrPath | Iterable[StrPath] = ()) -> Run:
    """Open the directory of an earlier run; the dataset is not needed.

    `device` is where its networks will be. `plugins` are files or modules of plugins, in addition to those that the run
    was started with. Raises `UsageError` if it is not a run directory.
    """
    folder = as_path("directory", directory)
    require_run_directory(folder)
    return Run(folder, device=str(device), plugins=plugin_names(plugins))


class Run:
    """A completed, interrupted or diverged run: its result, and the networks that it trained."""

    def __init__(self, directory: Path, *, result: Result | None = None, device: str, plugins: list[str]) -> None:
        self.directory = directory
        self._result = result
        self._device = device
        self._plugins = plugins

    @property
    def result(self) -> Result:
        """The content of result.json. Raises `MissingError` if the run was killed or is still running."""
        if self._result is None:
            self._result = load_result(self.directory)
        return self._result

    @cached_property
    def generator(self) -> nn.Module:
        """The generator in eval mode, with the moving average of its weights if the run has one.

        Called with latent vectors `(N, latent_dim)`, and labels `(N,)` if the model is conditional, it returns images
        in [-1, 1], `(N, C, H, W)`. It is a copy: changing it does not affect `sample`. Warns if the run is not
        complete. Raises `MissingError` if there is no checkpoint or the plugin of the model is missing.
        """
        return deepcopy(self._trained.generator).eval()

    @cached_property
    def discriminator(self) -> nn.Module:
        """The discriminator in eval mode. Raises the errors of `generator`."""
        return deepcopy(self._trained.networks.discriminator).eval()

    @property
    def latent_dim(self) -> int:
        """The number of elements of a latent vector."""
        return self._trained.networks.latent_dim

    def sample(
        self,
        count: int = 16,
        *,
        seed: int | None = None,
        weights: Literal["raw", "ema"] | None = None,
        mode: Literal["train", "eval"] = "eval",
        labels: Iterable[int] | None = None,
    ) -> Samples:
        """Return images of the generator, which are the same for every call with equal arguments.

        By default, `seed` is the run's, and `weights` are the moving average if the run has one. The images are the
        first of those that the run scored if its metrics have the same weights and mode. A conditional model cycles
        through the classes in `labels`; by default, it samples them by their frequencies. Warns as `generator` does.
        Raises its errors, and `UsageError` for an argument that does not fit the model.
        """
        number, seed = integer("count", count), optional_integer("seed", seed)
        classes = None
        if labels is not None:
            classes = [integer("labels", label) for label in items("labels", labels, "a list of classes")]
        trained = self._trained
        images, drawn = trained.sample(number, weights=weights, mode=mode, seed=seed, classes=classes)
        return Samples(images, drawn, trained.training.seed if seed is None else seed)

    @cached_property
    def _trained(self) -> TrainedRun:
        from ganbench.runtime.device import resolve_device
        from ganbench.scoring.reopening import open_run

        registry = load_registry(self._plugins, use=[self.directory])
        return open_run(self.directory, registry, resolve_device(self._device))

    def __repr__(self) -> str:
        try:
            summary = self.result.summary()
        except GanbenchError:
            summary = "no result.json"
        return f"<Run in {self.directory}: {summary}>"

    def _repr_html_(self) -> str:
        try:
            shown = self.result._repr_html_() + self._latest_samples()
        except GanbenchError as error:
            shown = f"<div>{escape(str(error))}</div>"
        return f"{shown}<div>files in <code>{escape(str(self.directory))}</code></div>"

    def _latest_samples(self) -> str:
        """Return the sample images that were saved last, as HTML; nothing if there are none."""
        files = (self.directory / file for file in generated_files(self.result.artifacts))
        saved = [file for file in files if file.is_file()]
        return file_html(saved[-1]) if saved else ""
