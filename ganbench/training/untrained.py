"""What the first steps left untrained, though its author probably expects it to be trained: warnings about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor, nn
from torch.optim import Optimizer

from ganbench.plugin.interfaces import PLAYERS
from ganbench.runtime.values import SavedValue

from .state.inspection import Inspection
from .state.python_state import inspect_step
from .step import TrainingStep

SHOWN = 3  # names in a warning


class MissingGradients:
    """Trainable parameters of the networks that have had no gradient in any step so far."""

    def __init__(self, step: TrainingStep) -> None:
        self.step = step
        self.left = {
            player: {
                name: parameter
                for name, parameter in step.networks[player].named_parameters()
                if parameter.requires_grad
            }
            for player in step.optimizers
        }

    def look(self) -> None:
        """Note which parameters have a gradient; call it after each step."""
        for player, parameters in self.left.items():
            self.left[player] = {name: each for name, each in parameters.items() if each.grad is None}

    def warnings(self) -> list[str]:
        schedules = [each.option.path for each in self.step.schedules.all if each.option.path.startswith("model.")]
        unless = f"unless the schedule of {' or '.join(schedules)} changes that, " if schedules else ""
        return [
            f"{self.step.plugin_names.model}: {unless}training will not change the {player}'s "
            f"{listed('parameter', names)}, as the first steps gave no gradient in the {player}'s updates: the loss "
            f"for the {player} does not use, or detaches, such a parameter. If that is intended, freeze it with "
            "requires_grad_(False)"
            for player, parameters in self.left.items()
            # an optimizer may remove all gradients in its step
            if (names := list(parameters)) and len(names) < len(self.step.trainable[player])
        ]


class UnadaptedAugmentations:
    """Adaptive augmentations that losses and penalties hold, and that have not changed in any step so far."""

    def __init__(self, step: TrainingStep) -> None:
        self.step = step
        inspection = inspect_step(step)
        held = {**inspection.modules, **{place.path: place.value for place in inspection.places.values()}}
        inner = {id(each): path for path, each in held.items() if path.startswith(("loss.", "penalty "))}
        plugins = {id(penalty.penalty) for penalty in step.penalties.all}
        self.before = {
            path: SavedValue(vars(held[path]))
            for key, path in inner.items()
            if key not in plugins and is_adaptive(held[path])
        }

    def warnings(self) -> list[str]:
        return [
            f"{self.step.plugin_names.owner(path)}: adapt of {path} was not called in the first steps, so its strength "
            "will not change; the engine calls it only for [[augmentations]] of the spec. Call it in "
            "discriminator_loss with the logits of real images, or give the augmentation a fixed strength"
            for path, state in self.before.items()
            if state.equals(state.value)
        ]


def is_adaptive(value: object) -> bool:
    """Return whether a value looks like an augmentation whose strength adapts."""
    return callable(value) and callable(getattr(type(value), "adapt", None)) and hasattr(value, "__dict__")


def untrained_parameter_warnings(step: TrainingStep, inspection: Inspection) -> list[str]:
    """Return warnings about parameters that get gradients, but do not belong to a network, so no optimizer has them."""
    trained = {id(parameter) for player in PLAYERS for parameter in step.parameters[player]}
    for optimizer in inspection.optimizers.values():  # also those of plugins
        trained |= {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    names: dict[str, list[str]] = {}
    for path, parameter in parameters_outside(inspection):
        if parameter.grad is not None and id(parameter) not in trained:
            names.setdefault(step.plugin_names.owner(path), []).append(path)
    return [
        f"{plugin}: no optimizer updates the {listed('parameter', paths)}, which had a gradient in the first steps, "
        "but outside of the generator and the discriminator: register such parameters there (a list of modules is an "
        "nn.ModuleList), or freeze them with requires_grad_(False)"
        for plugin, paths in names.items()
    ]


def parameters_outside(inspection: Inspection) -> Iterator[tuple[str, Tensor]]:
    """Yield all parameters that plugins hold in modules and attributes, with their paths."""
    for path, module in inspection.modules.items():
        yield from ((f"{path}.{name}", each) for name, each in module._parameters.items() if each is not None)
    for place in inspection.places.values():
        if isinstance(place.value, nn.Parameter):
            yield place.path, place.value


def unused_schedule_warnings(step: TrainingStep, inspection: Inspection) -> list[str]:
    """Return warnings about schedules whose value nothing holds: it was converted to a number, or used in a formula."""
    warnings = []
    for scheduled in step.schedules.all:
        path = scheduled.option.path
        section, _, rest = path.partition(".")
        player = rest.partition(".")[0]
        if section == "optimizer" and player in step.optimizers:
            own = [each for at, each in inspection.optimizers.items() if at.startswith(f"{player}'s optimizer")]
            held = any(holds(each, scheduled.value) for each in own)
        else:
            held = section in ("optimizer", "penalties") or inspection.reaches(scheduled.value)
        if not held:
            warnings.append(
                f"{path}: {scheduled.option.config.plugin} has no effect after the first step, because the plugin does "
                "not keep the tensor that context.scheduled(...) returned; use this tensor itself, without float() or "
                "a formula"
            )
    return warnings


def holds(optimizer: Optimizer, value: Tensor) -> bool:
    """Return whether an optimizer has this tensor in a parameter group or an attribute, apart from its defaults."""
    own = [item for name, item in vars(optimizer).items() if name not in ("state", "param_groups", "defaults")]
    own += [item for group in optimizer.param_groups for item in group.values()]
    items = [inner for each in own for inner in (each.values() if isinstance(each, dict) else as_list(each))]
    return any(item is value for item in items)


def as_list(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else [value]


def listed(noun: str, names: Sequence[str]) -> str:
    """Return the first names with their number: "parameter a", "3 parameters (a, b, c)"."""
    if len(names) == 1:
        return f"{noun} {names[0]}"
    shown = ", ".join(names[:SHOWN])
    return f"{len(names)} {noun}s ({shown}{', ...' if len(names) > SHOWN else ''})"
