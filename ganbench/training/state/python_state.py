"""The state that plugins keep in Python outside any state_dict: counters, schedules, tensors that are not buffers.

It is restored after the warm-up and saved in every checkpoint, so that equal seeds give equal numbers and a resumed run
equals an uninterrupted one. Objects of the standard library, such as queues and threads, belong to the process and are
not touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.nn.modules.module import _global_forward_hooks, _global_forward_pre_hooks
from torch.optim import Optimizer
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

from ganbench.runtime.attribution import augmentation_path, optimizer_path, penalty_path
from ganbench.runtime.plugin_state import self_saved_parts
from ganbench.runtime.serialization import NotSerializable, deserialize, serialize
from ganbench.runtime.values import SavedValue, address_of, is_plain

from .inspection import (
    Access,
    Inspection,
    Place,
    buffers_of,
    in_dictionary,
)

if TYPE_CHECKING:
    from ganbench.training.step import TrainingStep

PASSIVE = (None, "torch", "types", "argparse")  # libraries whose objects have only the state that plugins set


def inspect_step(step: TrainingStep) -> Inspection:
    """Inspect everything that the plugins of a step hold."""
    hooks = {
        "hooks of all modules": _global_forward_hooks,
        "pre-hooks of all modules": _global_forward_pre_hooks,
        "hooks of all optimizers": _global_optimizer_post_hooks,
        "pre-hooks of all optimizers": _global_optimizer_pre_hooks,
    }
    return Inspection(own_objects(step), hooks)


def own_objects(step: TrainingStep) -> dict[str, Any]:
    """Return the objects that were built for this step, by path."""
    return {
        "generator": step.networks.generator,
        "discriminator": step.networks.discriminator,
        **{optimizer_path(player): optimizer for player, optimizer in step.optimizers.items()},
        **stateful_plugins(step),
    }


def stateful_plugins(step: TrainingStep) -> dict[str, Any]:
    """Return the loss, the penalties and the augmentations, which may save their state themselves, by path."""
    return {
        "loss": step.loss,
        **{penalty_path(penalty.id): penalty.penalty for penalty in step.penalties.all},
        **{augmentation_path(number): each.augmentation for number, each in enumerate(step.augmentations)},
    }


def without_self_saved(step: TrainingStep, paths: Iterable[str]) -> list[str]:
    """Return the paths of state outside plugins, and modules within them, that save their state themselves."""
    within = tuple(
        f"{path}.{part}." if part else f"{path}."
        for path, plugin in stateful_plugins(step).items()
        for part in self_saved_parts(plugin)
    )
    return [path for path in paths if not path.startswith(within)]


def plugin_optimizers(step: TrainingStep) -> dict[str, Optimizer]:
    """Return the optimizers that plugins hold besides those of the networks, by path: of a loss's own network, say."""
    own = {id(optimizer) for optimizer in step.optimizers.values()}
    return {path: each for path, each in inspect_step(step).optimizers.items() if id(each) not in own}


def saved_elsewhere(step: TrainingStep) -> set[int]:
    """Return the addresses of tensors that checkpoints save differently, such as parts of networks or schedules."""
    networks = (step.networks.generator, step.networks.discriminator)
    tensors: list[Any] = [tensor for network in networks for tensor in (*network.parameters(), *network.buffers())]
    tensors += [scheduled.value for scheduled in step.schedules.all]
    for optimizer in step.optimizers.values():
        tensors += [value for state in optimizer.state.values() for value in state.values()]
    for plugin in stateful_plugins(step).values():
        # the tensors of others are restored here: they may be replaced, though a CUDA graph may have captured them
        if isinstance(plugin, nn.Module) and not self_saved_parts(plugin):
            tensors += list(plugin.state_dict().values())
    return {address_of(tensor) for tensor in tensors if isinstance(tensor, Tensor) and is_plain(tensor)} - {0}


def plugin_places(inspection: Inspection, step: TrainingStep) -> Iterator[Place]:
    """Yield the places with a plugin's state, including tensors of modules outside the networks."""
    for place in inspection.places.values():
        derived = isinstance(place.value, Tensor) and place.library == "torch"  # such as the weight with spectral norm
        if place.library in PASSIVE and not derived:
            yield place
    networks = (step.networks.generator, step.networks.discriminator)
    own = {id(module) for network in networks for module in network.modules()}
    for path, module in inspection.modules.items():
        if id(module) not in own:
            for owner, tensors in ((path, module._parameters), (buffers_of(path), module._buffers)):
                for name, tensor in list(tensors.items()):  # a restore may remove some
                    of_process = path in inspection.modules_of_process
                    yield Place(f"{path}.{name}", owner, name, tensor, in_dictionary(tensors), "torch", of_process)


class Snapshot:
    """The current Python state of a step, to compare and restore it later."""

    def __init__(self, step: TrainingStep) -> None:
        self.step = step
        inspection = inspect_step(step)
        elsewhere = saved_elsewhere(step)
        self.places = {place.path: place for place in plugin_places(inspection, step)}
        self.saved = {path: SavedValue(place.value, elsewhere) for path, place in self.places.items()}

    def changed(self) -> dict[str, Place]:
        """Return the places whose values differ now, and new ones."""
        now = {place.path: place for place in plugin_places(inspect_step(self.step), self.step)}
        return {path: place for path, place in now.items() if not self._has(place)}

    def _has(self, place: Place) -> bool:
        return place.path in self.saved and self.saved[place.path].equals(place.value)

    def restore(self) -> None:
        """Restore the values, and remove new ones."""
        for place in plugin_places(inspect_step(self.step), self.step):
            if place.path not in self.saved:
                place.access.remove(place.key)
        for path, place in self.places.items():
            value = self.saved[path].restore()
            if current(place.access, place.key) is not value:
                place.access.put(place.key, value)


def current(access: Access, key: Any) -> Any:
    try:
        return access.get(key)
    except (AttributeError, KeyError):
        return KeyError  # not equal to any value


class PythonState:
    """The changes to the Python state of a step since its plugins were built."""

    def __init__(self, step: TrainingStep) -> None:
        self.step = step
        self.built = Snapshot(step)

    def state_dict(self) -> dict[str, Any]:
        """Return the serializable changes by path."""
        return self._changes()[0]

    def lost(self) -> list[str]:
        """Return the paths of changes that cannot be serialized, and that no plugin saves itself."""
        return without_self_saved(self.step, self._changes()[1])

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.built.restore()
        inspection = inspect_step(self.step)
        places = {place.path: place for place in plugin_places(inspection, self.step)}
        for path, (owner, key, text) in state.items():
            place = places.get(path)
            access = place.access if place else inspection.owners.get(owner)
            before = place.value if place else None
            if access is not None and (value := deserialize(text, before)) is not before:
                access.put(key, value)

    def forget(self) -> None:
        """Restore the state in which the plugins were built: later runs of the process use the same globals."""
        self.built.restore()

    def _changes(self) -> tuple[dict[str, Any], list[str]]:
        serializable: dict[str, Any] = {}
        lost = []
        for path, place in self.built.changed().items():
            try:
                is_built = path in self.built.saved and type(self.built.saved[path].value) is type(place.value)
                serializable[path] = (place.owner_path, place.key, serialize(place.value, is_built))
            except NotSerializable:
                lost.append(path)
        return serializable, lost
