"""The paths of the parts of a training step, and the plugins that own them: errors name the plugin."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import nn

from ganbench.errors import PluginError, describe
from ganbench.plugin.interfaces import PLAYERS, Networks, Player
from ganbench.spec.benchmark import BenchmarkSpec

CALLS = ("_call_impl", "_wrapped_call_impl")  # nn.Module methods; an error raised directly in them is about arguments
PENALTY, AUGMENTATION = "penalty ", "augmentation "  # how the paths of these parts begin


def optimizer_path(player: Player) -> str:
    """Return the path of the optimizer of a network, as in messages and checkpoints."""
    return f"{player}'s optimizer"


def penalty_path(penalty_id: str) -> str:
    """Return the path of a penalty with this id in the spec."""
    return f"{PENALTY}{penalty_id}"


def augmentation_path(number: int) -> str:
    """Return the path of the augmentation at this position in the spec, counted from 0."""
    return f"{AUGMENTATION}{number}"


@dataclass(frozen=True)
class PluginNames:
    """The names of the plugins in a training step, for error messages."""

    model: str
    loss: str
    optimizers: Mapping[Player, str]
    others: Mapping[str, str] = field(default_factory=dict)  # by the path of their state: "penalty r1"

    @classmethod
    def of(cls, spec: BenchmarkSpec) -> PluginNames:
        optimizers = {player: str(spec.optimizer[player].plugin) for player in PLAYERS}
        others = {penalty_path(str(penalty.id)): str(penalty.plugin) for penalty in spec.penalties}
        others |= {augmentation_path(number): str(each.plugin) for number, each in enumerate(spec.augmentations)}
        return cls(str(spec.model.plugin), str(spec.loss.plugin), optimizers, others)

    def owner(self, path: str) -> str:
        """Return the plugin that owns the part of the step at `path`."""
        for player, optimizer in self.optimizers.items():
            if path.startswith(optimizer_path(player)):
                return optimizer
        if within := [part for part in self.others if path == part or path.startswith(f"{part}.")]:
            return self.others[max(within, key=len)]  # ids of penalties may contain dots
        return self.model if path.startswith(("generator", "discriminator")) else self.loss

    def update_error(
        self, error: BaseException, player: Player, networks: Networks, output: str | None = None
    ) -> PluginError:
        """Return the error for an exception in an update. It names the model if raised in a network, else the loss.

        `output` describes what the discriminator returned, if that was no tensor.
        """
        module, called_only = innermost_module(error, networks)
        if module is None:
            unlike = (
                f"; the discriminator of {self.model} returned {output}, which this loss may not support: choose "
                "another loss, or return the logits alone"
                if output is not None and isinstance(error, AttributeError | TypeError)
                else ""
            )
            return PluginError(f"{self.loss} raised in {player}_loss: {describe(error)}{unlike}")
        if called_only and isinstance(error, TypeError):
            return PluginError(
                f"{self.loss} calls the {module} of {self.model} with invalid arguments: {describe(error)}"
            )
        return PluginError(f"{self.model} raised in its {module}: {describe(error)}")

    def gradient_error(
        self, error: BaseException, player: Player, networks: Networks, penalties: Sequence[str]
    ) -> PluginError:
        """Return the error for an exception while gradients of a loss were computed, after the loss itself.

        `penalties` are those of the update. Torch does not say which operation of the forward pass caused the error.
        """
        module, _ = innermost_module(error, networks)  # of a recomputed forward pass, or of a plugin's own operation
        if module is not None:
            return PluginError(f"{self.model} raised in its {module}: {describe(error)}")
        hint = (
            f"; {', '.join(penalties)} may differentiate networks and augmentations twice, which not all operations of "
            "torch support"
            if penalties
            else ""
        )
        return PluginError(
            f"the gradients of {player}_loss could not be computed, with {self.loss} and {self.model}: "
            f"{describe(error)}{hint}"
        )

    def generator_error(self, error: BaseException, networks: Networks, mode: str) -> PluginError:
        """Return the error for an exception while generating images outside of training, in train or eval mode."""
        module, _ = innermost_module(error, networks)
        return PluginError(
            f"{self.model} raised in its {module or 'generator'}: {describe(error)}; for scores and sample images, "
            f"the generator is called in {mode} mode with latent vectors (N, latent_dim), and with labels only if the "
            "model is conditional"
        )

    def optimizer_error(self, error: BaseException, player: Player, method: str = "step") -> PluginError:
        """Return the error for an exception in a method of an optimizer."""
        return PluginError(f"{self.optimizers[player]} raised in {method}() for the {player}: {describe(error)}")


def innermost_module(error: BaseException, networks: Networks) -> tuple[str | None, bool]:
    """Return the module in which the error was raised, such as "generator.layers.0", and whether its call raised it.

    The latter means that the exception comes from the call itself, not from the module's code.
    """
    names: dict[int, str] = {}
    for player in PLAYERS:
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
