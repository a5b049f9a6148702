"""The state that plugins keep in Python and in no state_dict: counters, schedules, tensors that are no buffers.

It is brought back after a warm-up and is in every checkpoint, so that equal seeds give equal numbers and a resumed run
equals one that never stopped. Objects of Python's own library, such as queues and threads, belong to the process: they
are left as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.nn.modules.module import _global_forward_hooks, _global_forward_pre_hooks
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

from ganbench.runtime.values import (
    NotSerializable,
    SavedValue,
    address_of,
    deserialize,
    is_plain,
    serialize,
)

from .inspection import (
    Access,
    Inspection,
    Place,
    in_dictionary,
)

if TYPE_CHECKING:
    from ganbench.training.step import TrainingStep

OPEN = (None, "torch", "types", "argparse")  # libraries whose objects have no state but what plugins give them


def inspect_step(step: TrainingStep) -> Inspection:
    """All that the plugins of a step hold."""
    roots: dict[str, Any] = {
        "generator": step.networks.generator,
        "discriminator": step.networks.discriminator,
        **{f"{player}'s optimizer": optimizer for player, optimizer in step.optimizers.items()},
        "loss": step.loss,
        **{f"penalty {penalty.id}": penalty.penalty for penalty in step.penalties.all},
        **{f"augmentation {number}": augmentation for number, (_, augmentation) in enumerate(step.augmentations)},
        "hooks of all modules": _global_forward_hooks,
        "pre-hooks of all modules": _global_forward_pre_hooks,
        "hooks of all optimizers": _global_optimizer_post_hooks,
        "pre-hooks of all optimizers": _global_optimizer_pre_hooks,
    }
    return Inspection(roots)


def saved_elsewhere(step: TrainingStep) -> set[int]:
    """Where the tensors lie that checkpoints have by other ways: of both networks, the optimizers, the loss's state."""
    networks = (step.networks.generator, step.networks.discriminator)
    tensors: list[Any] = [tensor for network in networks for tensor in (*network.parameters(), *network.buffers())]
    for optimizer in step.optimizers.values():
        tensors += [value for state in optimizer.state.values() for value in state.values()]
    plugins = [
        step.loss,
        *(penalty.penalty for penalty in step.penalties.all),
        *(each for _, each in step.augmentations),
    ]
    for plugin in plugins:
        if hasattr(plugin, "state_dict"):
            tensors += list(plugin.state_dict().values())
    return {address_of(tensor) for tensor in tensors if isinstance(tensor, Tensor) and is_plain(tensor)} - {0}


def open_places(inspection: Inspection, step: TrainingStep) -> Iterator[Place]:
    """The places whose values are a plugin's state, tensors of modules outside of the networks included."""
    for place in inspection.places.values():
        derived = isinstance(place.value, Tensor) and place.library == "torch"  # as the weight under spectral norm
        if place.library in OPEN and not derived:
            yield place
    networks = (step.networks.generator, step.networks.discriminator)
    own = {id(module) for network in networks for module in network.modules()}
    for path, module in inspection.modules.items():
        if id(module) not in own:
            for tensors in (module._parameters, module._buffers):
                for name, tensor in tensors.items():
                    yield Place(f"{path}.{name}", path, name, tensor, in_dictionary(tensors), "torch")


class Snapshot:
    """The Python state of a step as it is, to be compared and restored later on."""

    def __init__(self, step: TrainingStep) -> None:
        self.step = step
        inspection = inspect_step(step)
        elsewhere = saved_elsewhere(step)
        self.places = {place.path: place for place in open_places(inspection, step)}
        self.kept = {path: SavedValue(place.value, elsewhere) for path, place in self.places.items()}

    def changed(self) -> dict[str, Place]:
        """The places whose values differ now, and those that are new."""
        now = {place.path: place for place in open_places(inspect_step(self.step), self.step)}
        return {path: place for path, place in now.items() if not self._has(place)}

    def _has(self, place: Place) -> bool:
        return place.path in self.kept and self.kept[place.path].equals(place.value)

    def restore(self) -> None:
        """Bring the values back, and remove what is new."""
        for place in open_places(inspect_step(self.step), self.step):
            if place.path not in self.kept:
                place.access.remove(place.key)
        for path, place in self.places.items():
            value = self.kept[path].restore()
            if current(place.access, place.key) is not value:
                place.access.put(place.key, value)


def current(access: Access, key: Any) -> Any:
    try:
        return access.get(key)
    except (AttributeError, KeyError):
        return KeyError  # as no value is


class PythonState:
    """The Python state of a step relative to how the builds left it."""

    def __init__(self, step: TrainingStep) -> None:
        self.step = step
        self.built = Snapshot(step)

    def state_dict(self) -> dict[str, Any]:
        """What has changed since the builds and can be written down, by its path."""
        return self._changes()[0]

    def lost(self) -> list[str]:
        """What has changed since the builds and cannot be written down."""
        return self._changes()[1]

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.built.restore()
        inspection = inspect_step(self.step)
        places = {place.path: place for place in open_places(inspection, self.step)}
        for path, (owner, key, text) in state.items():
            place = places.get(path)
            access = place.access if place else inspection.owners.get(owner)
            before = place.value if place else None
            if access is not None and (value := deserialize(text, before)) is not before:
                access.put(key, value)

    def _changes(self) -> tuple[dict[str, Any], list[str]]:
        writable: dict[str, Any] = {}
        lost = []
        for path, place in self.built.changed().items():
            try:
                writable[path] = (place.owner_path, place.key, serialize(place.value))
            except NotSerializable:
                lost.append(path)
        return writable, lost
