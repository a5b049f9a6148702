"""What the first steps show about plugins: what training, checkpoints, averages and penalties would miss."""

from __future__ import annotations

from ganbench.errors import PluginError
from ganbench.plugin.interfaces import PLAYERS
from ganbench.results.schema import EpochRow
from ganbench.spec.configs import LossConfig

from .preparation import PreparedRun
from .state.inspection import Inspection
from .state.python_state import Snapshot
from .step import TrainingStep
from .step_output import StepOutput


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


def unsaved_state_warnings(step: TrainingStep, inspection: Inspection) -> list[str]:
    """Return warnings about state that changes in training and that a checkpoint cannot contain."""
    saves_itself = hasattr(step.loss, "state_dict")
    lost = [path for path in step.python_state.lost() if not (saves_itself and path.startswith("loss."))]
    return [
        f"{step.plugin_names.owner(path)}: {path} {problem}, so equal seeds may produce different results and a "
        "resumed run will differ; store it as numbers, strings or tensors"
        for paths, problem in (
            (lost, "changes in training, and a checkpoint cannot contain it"),
            (inspection.iterators, "is an iterator, whose position cannot be read or restored"),
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
        for path in before.changed()
    ]


def refuse_reserved_monitors(output: StepOutput, loss: LossConfig) -> None:
    """Raise `PluginError` if a monitor has the name of a column of the history."""
    reserved = sorted(set(output.names[2:]) & set(EpochRow.model_fields))
    if reserved:
        raise PluginError(
            f"{loss.plugin}: a monitor is called {', '.join(reserved)}, which is a column of the history; rename it"
        )
