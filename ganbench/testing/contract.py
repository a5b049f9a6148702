"""The base classes of all contracts, with the rules that hold for every kind of plugin."""

from __future__ import annotations

import re
import shutil
import tempfile
import tomllib
import weakref
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import NoneType
from typing import Any, ClassVar, NoReturn, get_args
from unittest import SkipTest

import tomli_w
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from ganbench.errors import describe
from ganbench.plugin.interfaces import breach
from ganbench.plugin.options import Options, stored
from ganbench.plugin.own_state import REUSED, build_in_progress, is_reused
from ganbench.plugin.registrations import BuildContext
from ganbench.plugin.registry import WITH_STATE, Registry
from ganbench.spec.benchmark import without_none
from ganbench.spec.configs import PluginConfig
from ganbench.system.torch_defaults import restore_torch_defaults, torch_defaults
from ganbench.training.schedules import ScheduledValues

BATCH = 16
SEED = 0
TOTAL_IMAGES = 1600  # length of the run in the build context
EMPTY_WORDS = {"a", "an", "the", "my", "own", "for", "of", "with", "ganbench", "plugin"}


class Contract:
    """Base class: the plugin under test."""

    plugin: ClassVar[Any]
    image_shape: ClassVar[tuple[int, ...]] = (1, 28, 28)  # or (features,) for a dataset of vectors
    num_classes: ClassVar[int] = 10

    def test_the_summary_says_more_than_the_name(self) -> None:
        """The summary is one line that says what the plugin is, and not just its name or kind."""
        summary, name = self.plugin.summary, self.plugin.name
        assert summary == " ".join(summary.split()), f"expected a summary of one line, got {summary!r}"
        known = {*words(name), *words(self.plugin.kind), *EMPTY_WORDS}
        assert set(words(summary)) - known, f"expected a summary that says what '{name}' is, got {summary!r}"

    def skip(self, reason: str) -> NoReturn:
        """End a test of a rule that does not apply to the plugin."""
        raise SkipTest(reason)

    def registry(self) -> Registry:
        """Return the installed plugins, to which options may refer."""
        return Registry.load()


class PluginContract(Contract):
    """Base class of the contracts of plugins with options and `build`: all kinds except benchmarks."""

    options: ClassVar[Mapping[str, Any]] = {}

    def test_every_option_has_a_description(self) -> None:
        """Each option has a description, which `ganbench show` and the documentation display."""
        fields = self.plugin.options.model_fields
        missing = [name for name, field in fields.items() if not (field.description or "").strip()]
        assert not missing, f"expected Field(..., description=...) for each option, got none for {', '.join(missing)}"

    def test_an_unknown_option_is_an_error(self) -> None:
        """A misspelled option in a spec or in -o is rejected."""
        try:
            self.validated({**self.options, "no_such_option": 1})
        except ValidationError as error:
            if any(problem["loc"] == ("no_such_option",) for problem in error.errors()):
                return
        raise AssertionError(
            "expected options that reject the unknown key 'no_such_option', but they accept it: derive them from "
            "ganbench.Options, without another extra= in their model_config"
        )

    def test_options_can_be_stored_and_loaded(self) -> None:
        """Options have the same values after they are written to spec.toml and read again, as when a run is resumed."""
        before = stored(self.validated(self.options))
        try:
            after = stored(self.validated(tomllib.loads(tomli_w.dumps(without_none(before)))))
        except (TypeError, ValidationError) as error:
            raise AssertionError(f"expected options that can be stored and loaded, got {describe(error)}") from None
        changed = [f"{name} = {before[name]!r}, then {after[name]!r}" for name in before if before[name] != after[name]]
        assert not changed, f"expected the same options after they are stored and loaded, got {'; '.join(changed)}"

    def test_an_optional_option_is_unset_by_default(self) -> None:
        """If an option may be None, that is its default: TOML cannot represent None, so another default would return.

        Use another value for "none", such as 0.
        """
        lost = [
            name
            for name, field in self.plugin.options.model_fields.items()
            if NoneType in get_args(field.annotation) and not field.is_required() and field.default is not None
        ]
        assert not lost, (
            f"expected None as the default of {', '.join(lost)}, or another value that means none: None would be read "
            "from spec.toml as the default"
        )

    def test_build_returns_an_object_of_its_kind(self) -> None:
        """`build` returns an object with the methods of the interface of its kind."""
        built = self.build()
        problem = breach(built, self.plugin.build_types)
        assert problem is None, problem

    def test_build_leaves_no_trace(self) -> None:
        """`build` does not change torch's defaults (dtype, device, gradient mode) or write into the current folder."""
        folder, files = Path.cwd(), set(Path.cwd().iterdir())
        defaults = torch_defaults()
        self.plugin.build(self.validated(self.options), self.context_for("cpu", SEED))
        changed = restore_torch_defaults(defaults)
        assert changed is None, f"build changed {changed}"
        assert Path.cwd() == folder, f"expected the current folder {folder}, got {Path.cwd()}"
        new = sorted(path.name for path in set(Path.cwd().iterdir()) ^ files)
        assert not new, f"expected no change in the current folder, got {', '.join(new)}: use context.cache_dir"

    def build(self, device: str = "cpu", seed: int = SEED) -> Any:
        """Build the plugin with `options`."""
        options, defaults = self.validated(self.options), torch_defaults()
        torch.manual_seed(seed)
        try:
            with build_in_progress():
                built = self.plugin.build(options, self.context_for(device, seed))
                assert self.plugin.kind not in WITH_STATE or not is_reused(built), REUSED
            return built
        finally:
            restore_torch_defaults(defaults)  # so that the other rules can be checked, too

    def build_partner(self, config: PluginConfig, device: str) -> Any:
        """Build another plugin, with which this one is tested."""
        torch.manual_seed(SEED)
        return config.build(self.context_for(device, SEED))

    def context_for(self, device: str, seed: int) -> Any:
        context = self.context()
        if not isinstance(context, BuildContext):
            return context
        context = replace(context, device=device, seed=seed)
        return replace(context, scheduled=partial(ScheduledValues(device).value_of, context=context))

    def validated(self, options: Mapping[str, Any]) -> Options:
        """Return the options as the plugin's model. Raises pydantic's `ValidationError`."""
        validated: Options = self.plugin.options.model_validate(options, context={"registry": self.registry()})
        return validated

    def context(self) -> Any:
        return BuildContext(
            data_shape=self.image_shape,
            num_classes=self.num_classes,
            device="cpu",
            cache_dir=self.new_folder(),
            seed=SEED,
            total_steps=TOTAL_IMAGES // BATCH,
            total_images=TOTAL_IMAGES,
        )

    def new_folder(self) -> Path:
        """Return an empty folder, which is removed together with this object."""
        folder = tempfile.mkdtemp(prefix="ganbench-contract-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Path(folder)

    def images(self, seed: int = SEED) -> Tensor:
        """Return smooth random images, float32 `(BATCH, channels, height, width)` in [-1, 1].

        For a dataset of vectors, return standard normal ones, `(BATCH, features)`.
        """
        rng = torch.Generator().manual_seed(seed)
        if len(self.image_shape) == 1:
            return torch.randn(BATCH, *self.image_shape, generator=rng)
        channels, height, width = self.image_shape
        coarse = torch.rand(BATCH, channels, 4, 4, generator=rng)
        return nn.functional.interpolate(coarse, (height, width), mode="bilinear") * 2 - 1

    def labels(self) -> Tensor:
        """Return a label for each image, int64 `(BATCH,)`."""
        return torch.arange(BATCH) % self.num_classes


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())
