"""A plugin that breaks a rule of its contract is caught by this rule; a sound one keeps all. The docs list them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import broken_plugins
import pytest
from broken_plugins import SOUND, Broken, loss, metric, model, penalty

from ganbench import Registry
from ganbench.authoring.check import CheckedRule, check_rule
from ganbench.plugin.callbacks import Callback
from ganbench.plugin.installed import Provider
from ganbench.plugin.kinds import Kind
from ganbench.plugin.registry import Registered
from ganbench.testing import CONTRACTS, Contract, TrackerContract, rules_of

PAGE = Path(__file__).parents[2] / "docs" / "contracts.md"
RULES = [(kind, rule.name) for kind in Kind for rule in rules_of(CONTRACTS[kind])]


def checked(plugin: Any, rule: str, registry: Registry, attributes: Mapping[str, Any] = {}) -> CheckedRule:
    """Check one rule as `ganbench plugin check` does."""
    base = CONTRACTS[plugin.kind]
    own = {"plugin": plugin, "registry": lambda _: registry}
    contract: type[Contract] = type("Checked", (base,), {**own, **attributes})
    (found,) = (each for each in rules_of(contract) if each.name == rule)
    return check_rule(contract, found, Registered(plugin, Provider("mine.py", "1", "mine", "mine")))


def test_every_kind_has_a_contract_with_rules_of_its_own() -> None:
    assert CONTRACTS.keys() == set(Kind)
    for kind, contract in CONTRACTS.items():
        own = [rule.test for rule in rules_of(contract) if rule.test in vars(contract)]
        assert own, kind


def test_every_rule_says_what_it_checks() -> None:
    for contract in CONTRACTS.values():
        for rule in rules_of(contract):
            assert rule.checks.endswith("."), rule


@pytest.mark.parametrize("kind", list(Kind))
def test_for_every_rule_there_is_a_plugin_that_breaks_it(kind: Kind) -> None:
    assert broken_plugins.broken(kind).keys() == {rule.name for rule in rules_of(CONTRACTS[kind])}


@pytest.mark.parametrize(("kind", "rule"), RULES, ids=[f"{kind}-{rule.replace(' ', '-')}" for kind, rule in RULES])
def test_a_plugin_that_breaks_a_rule_is_caught(kind: Kind, rule: str, registry: Registry) -> None:
    example: Broken = broken_plugins.broken(kind)[rule]
    found = checked(example.plugin, rule, registry, example.attributes)
    assert found.rule == rule
    assert example.failure in (found.failure or f"kept the rule: {found}")


SOUND_PLUGINS = [
    *SOUND.values(),
    metric.SOUND_OF_NETWORKS,
    penalty.SOUND_ON_THE_GENERATOR,
    loss.SOUND_MODULE,
    loss.SOUND_LATE,
    loss.SOUND_PAIRING,
    loss.SOUND_WEIGHTED,
    model.SOUND_FROZEN,
    metric.SOUND_SAMPLED,
    metric.SOUND_UNRANKED,
]


@pytest.mark.parametrize("plugin", SOUND_PLUGINS, ids=lambda plugin: f"{plugin.kind}-{plugin.summary}")
def test_a_sound_plugin_keeps_every_rule(plugin: Any, registry: Registry) -> None:
    for rule in rules_of(CONTRACTS[plugin.kind]):
        found = checked(plugin, rule.name, registry)
        assert found.failure is None, found


def test_a_plugin_whose_option_follows_a_schedule_keeps_every_rule(registry: Registry) -> None:
    options = {"weight": {"name": "linear", "start": 1.0, "end": 0.5}}
    for rule in rules_of(CONTRACTS[Kind.LOSS]):
        found = checked(loss.SOUND_WEIGHTED, rule.name, registry, {"options": options})
        assert found.failure is None, found


def test_an_object_with_state_that_build_returns_again_is_caught(registry: Registry) -> None:
    only = loss.WithBuffer()
    plugin = loss.SOUND.model_copy(update={"build": lambda *_: only})
    found = checked(plugin, "equal seeds give equal results", registry)
    assert "build returned the same object as before" in str(found.failure)


@pytest.mark.parametrize(("plugin", "used"), model.SOUND_WITH.values(), ids=model.SOUND_WITH.keys())
def test_a_model_for_a_loss_that_calls_the_discriminator_itself_keeps_every_rule(
    plugin: Any, used: Any, registry: Registry
) -> None:
    for rule in rules_of(CONTRACTS[plugin.kind]):
        found = checked(plugin, rule.name, registry, {"loss": lambda *_: used})
        assert found.failure is None, found


def test_a_tracker_gets_every_event() -> None:
    received: set[str] = set()

    class Listener(Callback):
        def __getattribute__(self, name: str) -> Any:
            received.add(name)
            return super().__getattribute__(name)

    TrackerContract().complete_run(Listener())
    assert {name for name in vars(Callback) if name.startswith("on_")} <= received


def test_a_file_in_the_current_folder_is_a_trace(registry: Registry) -> None:
    def build(options: Any, context: Any) -> Callback:
        Path("log.txt").touch()
        return Callback()

    plugin = SOUND[Kind.TRACKER].model_copy(update={"build": build})
    assert "got log.txt: use context" in str(checked(plugin, "build leaves no trace", registry).failure)


def test_the_docs_list_every_rule_with_what_it_checks() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page.partition("<!-- rules -->\n")[2].partition("<!-- end of rules -->")[0] == table()


def table() -> str:
    """Return the tables of rules, as they are in the docs: those of several kinds first."""
    owners: dict[type[Contract], list[str]] = {}
    for contract in CONTRACTS.values():
        for base in reversed(contract.__mro__):
            rules = [rule for rule in rules_of(contract) if rule.test in vars(base)]
            if rules:
                owners.setdefault(base, [f"| {rule.name} | {rule.checks} |" for rule in rules])
    shared = [base for base in owners if base not in CONTRACTS.values()]
    parts = []
    for base in [*shared, *(base for base in owners if base not in shared)]:
        parts.append("\n".join([f"## `{base.__name__}`", "", "| Rule | What is checked |", "|---|---|", *owners[base]]))
    return "\n\n".join(parts) + "\n"
