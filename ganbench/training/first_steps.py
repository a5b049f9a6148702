"""What the first steps show about plugins: what training, checkpoints, averages and penalties would miss."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from ganbench.errors import PluginError
from ganbench.plugin.interfaces import PLAYERS
from ganbench.results.schema import EpochRow
from ganbench.runtime.attribution import PENALTY, optimizer_path
from ganbench.spec.configs import LossConfig

from .optimizers import Clipping
from .preparation import PreparedRun
from .state.inspection import Inspection
from .state.python_state import Snapshot, inspect_step, without_self_saved
from .step import TrainingStep
from .step_output import StepOutput

SHOWN = 3  # names in a warning


def require_known_parameters(prepared: PreparedRun) -> None:
    """Raise `PluginError` for parameters that were created after the optimizers, which do not update them."""
    for player in PLAYERS:
        known = set(map(id, prepared.step.parameters[player]))
        for name, parameter in prepared.networks[player].named_parameters():
            if id(parameter) not in known:
                raise PluginError(
                    f"{prepared.spec.model.plugin}: the {player}'s parameter {name} was created or replaced in the "
                    "first steps, after the optimizer had received its parameters; create it in build"
                )


def warnings_of_first_steps(
    step: TrainingStep, inspection: Inspection, unadapted: Iterable[str], missing: MissingGradients
) -> list[str]:
    """Return warnings about what training, checkpoints and averages would miss, after steps of each variant.

    `unadapted` has the paths of adaptive augmentations that were not adapted in these steps.
    """
    return [
        *unsaved_state_warnings(step, inspection),
        *stale_average_warnings(step),
        *other_image_warnings(step),
        *unadapted_augmentation_warnings(step, unadapted),
        *missing.warnings(),
        *untrained_parameter_warnings(step, inspection),
        *unused_schedule_warnings(step, inspection),
        *clipped_sum_warnings(step),
    ]


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


@contextmanager
def unadapted_augmentations(step: TrainingStep) -> Iterator[set[str]]:
    """Find adaptive augmentations that losses and penalties hold; yield the paths of those without a call of `adapt`.

    Within the block, each has an attribute `adapt` that notes the call.
    """
    inspection = inspect_step(step)
    held = {**inspection.modules, **{place.path: place.value for place in inspection.places.values()}}
    plugins = [penalty.penalty for penalty in step.penalties.all]
    found = {
        id(value): (path, value)
        for path, value in held.items()
        if path.startswith(("loss.", PENALTY)) and is_adaptive(value) and all(value is not each for each in plugins)
    }
    unadapted = {path for path, _ in found.values()}

    def noting(path: str, adapt: Callable[..., Any]) -> Callable[..., Any]:
        def note(*arguments: Any, **named: Any) -> Any:
            unadapted.discard(path)
            return adapt(*arguments, **named)

        return note

    for path, augmentation in found.values():
        vars(augmentation)["adapt"] = noting(path, augmentation.adapt)
    try:
        yield unadapted
    finally:
        for _, augmentation in found.values():
            vars(augmentation).pop("adapt", None)


def unadapted_augmentation_warnings(step: TrainingStep, paths: Iterable[str]) -> list[str]:
    return [
        f"{step.plugin_names.owner(path)}: adapt of {path} was not called in the first steps, so its strength will not "
        "change; the engine calls it only for [[augmentations]] of the spec. Call it in discriminator_loss with the "
        "logits of real images, or give the augmentation a fixed strength"
        for path in sorted(paths)
    ]


def is_adaptive(value: object) -> bool:
    """Return whether a value looks like an augmentation whose strength adapts."""
    can_adapt = callable(getattr(type(value), "adapt", None)) and "adapt" not in getattr(value, "__dict__", ["adapt"])
    return callable(value) and can_adapt and not isinstance(value, type)


def untrained_parameter_warnings(step: TrainingStep, inspection: Inspection) -> list[str]:
    """Return warnings about parameters that get gradients, but do not belong to a network, so no optimizer has them."""
    trained = {id(parameter) for player in PLAYERS for parameter in step.parameters[player]}
    for optimizer in inspection.optimizers.values():  # including those of plugins
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
            own = [each for at, each in inspection.optimizers.items() if at.startswith(optimizer_path(player))]
            held = any(holds(each, scheduled.value) for each in own)
        else:
            by_engine = section == "optimizer" or re.fullmatch(r"penalties\.\d+\.weight", path)
            held = bool(by_engine) or inspection.reaches(scheduled.value)
        if not held:
            warnings.append(
                f"{path}: {scheduled.option.config.plugin} has no effect after the first step, because the plugin does "
                "not keep the tensor that context.scheduled(...) returned; use this tensor itself, without float() or "
                "a formula"
            )
    return warnings


def clipped_sum_warnings(step: TrainingStep) -> list[str]:
    """Return warnings about clipping for optimizers that add up the gradients of several steps."""
    return [
        f"optimizer.{player}.max_grad_norm: {step.plugin_names.optimizers[player]} adds up the gradients of several "
        "steps, because its zero_grad keeps them, so each step clips the sum so far, not the gradient of the update; "
        "clip in the step of the optimizer instead"
        for player in sorted(step.keeping_gradients)
        if step.clipping.get(player, Clipping()).max_grad_norm is not None
    ]


def holds(optimizer: Optimizer, value: Tensor) -> bool:
    """Return whether an optimizer has this tensor in a parameter group or an attribute, apart from its defaults."""
    own = [item for name, item in vars(optimizer).items() if name not in ("state", "param_groups", "defaults")]
    own += [item for group in optimizer.param_groups for item in group.values()]
    items = [inner for each in own for inner in (each.values() if isinstance(each, dict) else as_list(each))]
    return any(item is value for item in items)


def as_list(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else [value]


def unsaved_state_warnings(step: TrainingStep, inspection: Inspection) -> list[str]:
    """Return warnings about state that changes in training and that a checkpoint cannot contain."""
    return [
        f"{step.plugin_names.owner(path)}: {path} {problem}, so equal seeds may produce different results and a "
        "resumed run will differ; store it as numbers, strings or tensors"
        for paths, problem in (
            (step.python_state.lost(), "changes in training, and a checkpoint cannot contain it"),
            (
                without_self_saved(step, inspection.iterators),
                "is an iterator, whose position cannot be read or restored",
            ),
        )
        for path in paths
    ]


def stale_average_warnings(step: TrainingStep) -> list[str]:
    """Return warnings about Python state of the generator, which its moving average does not follow."""
    if step.ema is None:
        return []
    changing = [path for path in step.python_state.state_dict() if path.startswith("generator.")]
    return [
        f"{step.plugin_names.model}: {path} changes in training and is neither a parameter nor a buffer, so the moving "
        "average of [ema] keeps its initial value; make it a buffer"
        for path in changing
    ]


def other_image_warnings(step: TrainingStep) -> list[str]:
    """Return warnings about penalties on generated images that the loss does not use."""
    return [
        f"{penalty}: it penalizes the images of batch.latent, but {step.plugin_names.loss} only generates images of "
        "other latent vectors; let the generator transform the latent vectors, so that both use the same images"
        for penalty in sorted(step.penalties.on_other_images)
    ]


def unrestored_state_warnings(step: TrainingStep, before: Snapshot) -> list[str]:
    """Return warnings about state that could not be restored after the warm-up."""
    return [
        f"{step.plugin_names.owner(path)}: {path} changes during training and could not be restored after the warm-up, "
        "so equal seeds may produce different results"
        for path in without_self_saved(step, before.changed())
    ]


def refuse_reserved_monitors(output: StepOutput, loss: LossConfig) -> None:
    """Raise `PluginError` if a monitor has the name of a column of the history."""
    reserved = sorted(set(output.names[2:]) & set(EpochRow.model_fields))
    if reserved:
        raise PluginError(
            f"{loss.plugin}: a monitor is called {', '.join(reserved)}, which is a column of the history; rename it"
        )


def listed(noun: str, names: Sequence[str]) -> str:
    """Return the first names with their number: "parameter a", "3 parameters (a, b, c)"."""
    if len(names) == 1:
        return f"{noun} {names[0]}"
    shown = ", ".join(names[:SHOWN])
    return f"{len(names)} {noun}s ({shown}{', ...' if len(names) > SHOWN else ''})"
