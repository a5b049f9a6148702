"""Which of the plugins of a step is at fault where something raises, as an error that names it."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import nn

from ganbench.errors import PluginError, describe
from ganbench.plugin.interfaces import Networks, Player
from ganbench.spec.benchmark import BenchmarkSpec

CALLS = ("_call_impl", "_wrapped_call_impl")  # of nn.Module: an error of theirs is about the arguments


@dataclass(frozen=True)
class PluginNames:
    """The plugins of a step, as errors name them."""

    model: str
    loss: str
    optimizers: Mapping[Player, str]
    others: Mapping[str, str] = field(default_factory=dict)  # by the paths of their state: "penalty r1"

    @classmethod
    def of(cls, spec: BenchmarkSpec) -> PluginNames:
        optimizers: dict[Player, str] = {
            "discriminator": str(spec.optimizer.discriminator.plugin),
            "generator": str(spec.optimizer.generator.plugin),
        }
        others = {f"penalty {penalty.id}": str(penalty.plugin) for penalty in spec.penalties}
        others |= {f"augmentation {number}": str(each.plugin) for number, each in enumerate(spec.augmentations)}
        return cls(str(spec.model.plugin), str(spec.loss.plugin), optimizers, others)

    def owner(self, path: str) -> str:
        """The plugin that a part of the step belongs to, by its path."""
        for player, optimizer in self.optimizers.items():
            if path.startswith(f"{player}'s optimizer"):
                return optimizer
        for prefix, plugin in self.others.items():
            if path.startswith(prefix):
                return plugin
        return self.model if path.startswith(("generator", "discriminator")) else self.loss

    def update_error(self, error: BaseException, player: Player, networks: Networks) -> PluginError:
        """The error of a player's turn: the model's if it comes from within a network, else the loss's."""
        module, called_only = innermost_module(error, networks)
        if module is None:
            return PluginError(f"{self.loss} raised in {player}_loss: {describe(error)}")
        if called_only and isinstance(error, TypeError):
            return PluginError(
                f"{self.loss} calls the {module} of {self.model} with other arguments than it takes: {describe(error)}"
            )
        return PluginError(f"{self.model} raised in its {module}: {describe(error)}")

    def generator_error(self, error: BaseException, networks: Networks) -> PluginError:
        """The error of generating images outside of training."""
        module, called_only = innermost_module(error, networks)
        hint = (
            "; for scores and pictures the generator gets latents (N, latent_dim) and nothing else, such as labels"
            if called_only and isinstance(error, TypeError)
            else ""
        )
        return PluginError(f"{self.model} raised in its {module or 'generator'}: {describe(error)}{hint}")

    def optimizer_error(self, error: BaseException, player: Player) -> PluginError:
        """The error of an update."""
        return PluginError(f"{self.optimizers[player]} raised in step(), for the {player}: {describe(error)}")


def innermost_module(error: BaseException, networks: Networks) -> tuple[str | None, bool]:
    """The part of the networks that the error comes from, such as "generator.layers.0", and whether only its call."""
    names: dict[int, str] = {}
    players: tuple[Player, Player] = ("discriminator", "generator")
    for player in players:
        for name, module in networks[player].named_modules():
            names.setdefault(id(module), f"{player}.{name}" if name else player)
    found, called_only = None, False
    for frame, _ in traceback.walk_tb(error.__traceback__):
        module = frame.f_locals.get("self")
        if isinstance(module, nn.Module) and id(module) in names:
            found, called_only = names[id(module)], frame.f_code.co_name in CALLS
        elif found:
            called_only = False
    return found, called_only
