"""Check plugins by the contract of their kind, rule by rule: the tests in `ganbench.testing`, without pytest."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import SkipTest

from pydantic import ValidationError

from ganbench.errors import ImagesOnlyError, MissingError, ScoreWarning, UsageError, describe
from ganbench.plugin.options import StrictModel
from ganbench.plugin.registrations import Buildable
from ganbench.plugin.registry import Registered, Registry
from ganbench.spec.configs import LossConfig, ModelConfig, PluginConfig
from ganbench.spec.loading import validated
from ganbench.system.torch_defaults import restore_torch_defaults, torch_defaults
from ganbench.testing import CONTRACTS, Contract, Rule, UpdateContract, rules_of

BUILD = "test_build_returns_an_object_of_its_kind"  # if a plugin breaks this rule, the others cannot be checked


@dataclass(frozen=True)
class CheckedRule:
    """A rule that was checked."""

    rule: str  # "the same seed builds the same networks"
    failure: str | None = None  # what was expected and what the plugin returned; None if the plugin keeps the rule
    skipped: str | None = None  # why the rule does not apply to the plugin; None if it does


class Partners(StrictModel):
    """The plugins with which another one is tested, instead of the contract's networks and loss."""

    model: ModelConfig | None = None
    loss: LossConfig | None = None


@dataclass(frozen=True)
class Conditions:
    """What a plugin is tested with."""

    options: Mapping[str, Any]  # of the plugin
    data_shape: tuple[int, ...]  # of the dataset: (channels, height, width) or (features,)
    data_dir: Path
    partners: Mapping[str, Any]  # plugins by kind, as in a spec: {"model": "my-model"}
    file: str | None = None  # all plugins of this file, of several names, are tested with this


def check(registered: Registered, conditions: Conditions, registry: Registry) -> Iterator[CheckedRule]:
    """Check the rules of the plugin's contract, and yield each as soon as it has been checked.

    If the plugin cannot be built, no other rule is checked, and if it breaks any rule, no training step is taken.
    Raises `UsageError` for invalid options, or if the plugin refuses the contract's networks or images, and any other
    `GanbenchError` that `build` raises for its users.
    """
    contract = contract_for(registered, conditions, registry)
    broken = False
    for rule in rules_of(contract):
        if broken and rule.test in vars(UpdateContract):
            yield CheckedRule(rule.name, skipped="not checked, because another rule is broken")
            continue
        checked = check_rule(contract, rule, registered)
        yield checked
        broken = broken or checked.failure is not None
        if broken and rule.test == BUILD:
            return


def contract_for(registered: Registered, conditions: Conditions, registry: Registry) -> type[Contract]:
    """Return the contract of the plugin's kind for this plugin. Raises `UsageError` for invalid conditions."""
    plugin = registered.plugin
    base = CONTRACTS[plugin.kind]
    attributes: dict[str, Any] = {
        "plugin": plugin,
        "options": conditions.options,
        "image_shape": conditions.data_shape,
        "data_dir": conditions.data_dir,
        "registry": lambda _: registry,
    }
    if isinstance(plugin, Buildable):
        try:
            plugin.options.model_validate(conditions.options, context={"registry": registry})
        except ValidationError as error:
            raise UsageError(
                f"{registered}: {describe(error)}; set options with -o, such as -o KEY=VALUE{alone(conditions)}"
            ) from None
    elif conditions.options:
        raise UsageError(
            f"{registered} has no options; save its spec with `ganbench show`, and edit it{alone(conditions)}"
        )
    partners = validated(Partners, conditions.partners, registry, "--with")
    for method, partner in (("networks", partners.model), ("loss", partners.loss)):
        if partner is None or partner.kind == plugin.kind:  # two plugins of different kinds may have one name
            continue
        if not hasattr(base, method):
            raise UsageError(
                f"--with {partner.kind}={partner.name}: no {plugin.kind} is tested with a {partner.kind}"
                f"{alone(conditions)}"
            )
        attributes[method] = building(partner)
    return type("Checked", (base,), attributes)


def alone(conditions: Conditions) -> str:
    """Return how to check a plugin without the others of its file, whose options and partners may differ."""
    file = conditions.file
    return f". `ganbench plugin check NAME -p {file}` checks one plugin of the file" if file else ""


def building(config: PluginConfig) -> Callable[..., Any]:
    """Return a method of a contract that builds a plugin for a device."""
    return lambda contract, device="cpu": contract.build_partner(config, device)


def check_rule(contract: type[Contract], rule: Rule, registered: Registered) -> CheckedRule:
    """Check a rule. Raises the errors of `check`."""
    defaults = torch_defaults()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ScoreWarning)  # contracts use few images
            getattr(contract(), rule.test)()
    except SkipTest as reason:
        return CheckedRule(rule.name, skipped=str(reason))
    except AssertionError as error:
        return CheckedRule(rule.name, failure=" ".join(str(error).split()) or "an assertion failed")
    except ImagesOnlyError as error:
        raise UsageError(f"{registered} {error}") from None
    except UsageError as error:
        raise UsageError(
            f"{registered} does not suit the networks or images of its contract: {error}. Choose others with --with "
            f"and --shape, or test it with a subclass of ganbench.testing.{CONTRACTS[registered.plugin.kind].__name__} "
            "(docs/plugins.md)"
        ) from None
    except MissingError:
        raise
    except Exception as error:
        return CheckedRule(rule.name, failure=f"raised {describe(error)}")
    finally:
        restore_torch_defaults(defaults)  # a plugin that changes them is named by one rule, and affects no other
    return CheckedRule(rule.name)
