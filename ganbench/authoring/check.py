"""Check plugins by the contract of their kind, rule by rule: the tests in `ganbench.testing`, without pytest."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ganbench import testing
from ganbench.errors import PluginError, ScoreWarning, UsageError, describe
from ganbench.plugin.registrations import Buildable, Kind
from ganbench.plugin.registry import Registered, Registry

CONTRACTS: dict[Kind, type[testing.Contract]] = {
    Kind.MODEL: testing.ModelContract,
    Kind.LOSS: testing.LossContract,
    Kind.DATASET: testing.DatasetContract,
    Kind.METRIC: testing.MetricContract,
    Kind.FEATURE_EXTRACTOR: testing.FeatureExtractorContract,
    Kind.OPTIMIZER: testing.OptimizerContract,
    Kind.PENALTY: testing.PenaltyContract,
    Kind.AUGMENTATION: testing.AugmentationContract,
    Kind.SCHEDULE: testing.ScheduleContract,
    Kind.TRACKER: testing.TrackerContract,
    Kind.EXECUTOR: testing.ExecutorContract,
}
PREFIX = "test_"


@dataclass(frozen=True)
class Rule:
    """A rule of a contract that was checked."""

    rule: str  # "the same seed builds the same networks"
    failure: str | None  # what was expected and what the plugin returned; None if the plugin keeps the rule


def check(
    registered: Registered, options: Mapping[str, Any], data_shape: tuple[int, ...], data_dir: Path, registry: Registry
) -> Iterator[Rule]:
    """Yield the rules of the plugin's contract, each as soon as it has been checked.

    `data_shape` is that of the dataset for which the plugin is built: `(channels, height, width)` or `(features,)`. If
    the plugin cannot be built, no other rule is checked. Raises `UsageError` for invalid options, or if the plugin
    refuses the contract's networks, and what `build` raises for its users, such as for a shape not supported.
    """
    plugin = registered.plugin
    assert isinstance(plugin, Buildable)
    try:
        validated = plugin.options.model_validate(options, context={"registry": registry})
    except ValidationError as error:
        raise UsageError(f"{registered}: {describe(error)}; set options with -o, such as -o KEY=VALUE") from None
    attributes = {"plugin": plugin, "options": options, "image_shape": data_shape, "data_dir": data_dir}
    contract = type("Checked", (CONTRACTS[plugin.kind],), attributes)
    types = " or ".join(build_type.__name__ for build_type in plugin.build_types)
    first = contract()  # its folders exist as long as it does
    try:
        registered.build(validated, first.context())
    except PluginError as error:
        yield Rule(f"build returns {types}", str(error))
        return
    yield Rule(f"build returns {types}", None)
    for name in vars(CONTRACTS[plugin.kind]):
        if name.startswith(PREFIX):
            try:
                failure = failure_of(contract(), name)
            except UsageError as error:
                raise UsageError(
                    f"{registered} does not suit the networks or images of its contract: {error}. Test it with a "
                    f"subclass of ganbench.testing.{CONTRACTS[plugin.kind].__name__} that has others (docs/plugins.md)"
                ) from None
            yield Rule(name.removeprefix(PREFIX).replace("_", " "), failure)


def failure_of(contract: testing.Contract, name: str) -> str | None:
    """Run a test of a contract, and return why it failed, if it did. Raises the `UsageError` of a plugin."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ScoreWarning)  # contracts use few images
            getattr(contract, name)()
    except UsageError:
        raise
    except AssertionError as error:
        return " ".join(str(error).split()) or "an assertion failed"
    except Exception as error:
        return f"raised {describe(error)}"
    return None
