"""Save and restore the modes, parameters and buffers of networks."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from .values import same_bits

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def batch_norm_without_averages(network: nn.Module) -> str | None:
    """Return the name of a batch norm that uses the statistics of each batch even in eval mode; None without one."""
    return next(
        (
            name
            for name, module in network.named_modules()
            if isinstance(module, BATCH_NORMS) and module.running_mean is None
        ),
        None,
    )


def set_train_mode(network: nn.Module) -> None:
    """Put a newly built network into train mode, except for parts that its author intended to stay in eval mode.

    These are frozen parts (no parameter requires a gradient) and, if the network itself is in train mode, all parts in
    eval mode: modules are created in train mode, so eval mode was chosen explicitly.
    """
    modules = list(network.modules())
    if network.training:
        in_eval_mode = {module for module in modules if not module.training}
    else:
        frozen = [module for module in modules if not module.training and is_frozen(module)]
        in_eval_mode = {part for module in frozen for part in module.modules()}
    if in_eval_mode:
        set_modes({module: module not in in_eval_mode for module in modules})
    else:
        network.train()


def is_frozen(module: nn.Module) -> bool:
    parameters = list(module.parameters())
    return bool(parameters) and not any(parameter.requires_grad for parameter in parameters)


def batch_norms(network: nn.Module) -> list[nn.Module]:
    """Return the batch norms that normalize an image by its batch: those in eval mode use their running statistics."""
    found = [module for module in network.modules() if isinstance(module, BATCH_NORMS)]
    return [module for module in found if module.training or module.running_mean is None]


def set_modes(modes: Mapping[nn.Module, bool]) -> None:
    """Set the modes of modules by calling `train()`, as a training loop does, in case the method is overridden.

    `modes` lists parents before their children, like `modules()`.
    """
    for module, training in modes.items():
        if module.training != training:
            module.train(training)
    for module, training in modes.items():  # an overridden method may skip some
        module.training = training


class NetworkState:
    """A snapshot of the modes, parameters and buffers of a network, to restore them after a measurement."""

    def __init__(self, network: nn.Module) -> None:
        self.modes = {module: module.training for module in network.modules()}
        registries: list[dict[str, Any]] = [each for m in network.modules() for each in (m._parameters, m._buffers)]
        self.registered = [(registry, dict(registry)) for registry in registries]
        named = chain(network.named_parameters(), network.named_buffers())
        self.tensors = {name: (tensor, tensor.data, tensor.detach().clone()) for name, tensor in named}

    def restore(self) -> None:
        set_modes(self.modes)
        for registry, before in self.registered:
            if list(registry) != list(before) or any(registry[name] is not tensor for name, tensor in before.items()):
                registry.clear()
                registry.update(before)
        with torch.no_grad():
            for tensor, memory, copy in self.tensors.values():
                if tensor.data_ptr() != memory.data_ptr() or tensor.shape != copy.shape:
                    tensor.data = memory
                if not same_bits(tensor, copy):
                    tensor.detach().copy_(copy)

    def differing(self) -> list[str]:
        """Return the names of tensors that differ from the snapshot, even after `restore`."""
        return [name for name, (tensor, _, copy) in self.tensors.items() if not same_bits(tensor, copy)]


def all_buffers(module: nn.Module) -> dict[str, Tensor | None]:
    """Return the buffers by name, including those that are registered as None and created later."""
    return {
        f"{path}.{name}" if path else name: buffer
        for path, part in module.named_modules()
        for name, buffer in part._buffers.items()
    }


def restore_buffers(
    module: nn.Module, buffers: dict[str, Tensor | None], saved: set[str], device: torch.device
) -> None:
    """Make `buffers` the only buffers of a module: some are created in a first call, or have the size of a batch.

    `saved` has the names of the buffers in its `state_dict`; missing ones are created on `device`.
    """
    present = all_buffers(module)
    for name in [*present, *(name for name in buffers if name not in present)]:
        path, _, own_name = name.rpartition(".")
        owner = module.get_submodule(path)
        now, before = present.get(name), buffers.get(name)
        if name not in buffers:
            delattr(owner, own_name)
        elif now is not None and before is not None and now.shape == before.shape and now.dtype == before.dtype:
            now.copy_(before)
        elif now is not before:
            fresh = None if before is None else before.to(device, copy=True)
            if name in present:
                owner._buffers[own_name] = fresh
            else:
                owner.register_buffer(own_name, fresh, persistent=name in saved)


def load_weights(
    network: nn.Module, weights: dict[str, Any], buffers: dict[str, Tensor | None], device: torch.device
) -> None:
    """Load a `state_dict` and all buffers. Raises `RuntimeError` or `AttributeError` if they do not fit the network."""
    restore_buffers(network, buffers, set(weights), device)
    network.load_state_dict(weights)
