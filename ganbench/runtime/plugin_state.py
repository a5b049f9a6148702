"""The state of losses, penalties and augmentations, which plugins save and load themselves."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from ganbench.errors import GanbenchError, PluginError, describe

from .networks import all_buffers, load_weights
from .values import SavedValue


def saved_state(plugin: Any) -> Any:
    """Return the `state_dict` of a loss, penalty or augmentation, with all buffers of a module; None if it has none."""
    if isinstance(plugin, nn.Module):
        return {"state": plugin.state_dict(), "buffers": all_buffers(plugin)}
    return plugin.state_dict() if hasattr(plugin, "state_dict") else None


def load_saved_state(plugin: Any, state: Any, device: torch.device, name: str) -> None:
    """Load what `saved_state` returned; a module's buffers may have been created since, or not yet.

    `device` is that of the run. Raises `PluginError` with the plugin's `name` if it cannot load the state.
    """
    if not hasattr(plugin, "load_state_dict"):
        return
    saved = deepcopy(state)
    try:
        if isinstance(plugin, nn.Module):
            load_weights(plugin, saved["state"], saved["buffers"], device)
        else:
            plugin.load_state_dict(on_devices_of(plugin.state_dict(), saved))
    except GanbenchError:
        raise
    except Exception as error:
        raise PluginError(
            f"{name}: its state cannot be restored after the warm-up or when a run is resumed: {describe(error)}. "
            "Create its parameters and modules in build, not in its first call"
        ) from error


def load_changed_state(plugin: Any, state: Any, device: torch.device, name: str) -> None:
    """Load a saved state unless the plugin already has it: its `load_state_dict` may replace tensors by others."""
    now = saved_state(plugin)
    if not SavedValue(on_devices_of(now, state)).equals(now):
        load_saved_state(plugin, state, device, name)


def self_saved_parts(plugin: Any) -> list[str]:
    """Return the parts of a plugin with a `state_dict` of their own, not just that of every module, with its tensors.

    They are the names of modules in it, or "" for the plugin itself.
    """
    if not isinstance(plugin, nn.Module):
        return [""] if hasattr(plugin, "state_dict") else []
    return [
        name
        for name, module in plugin.named_modules()
        if type(module).state_dict is not nn.Module.state_dict
        or type(module).get_extra_state is not nn.Module.get_extra_state
    ]


def on_devices_of(current: Any, saved: Any) -> Any:
    """Return a saved state with tensors on the devices that they have in the current one: a file is read to the CPU."""
    if isinstance(saved, Tensor) and isinstance(current, Tensor):
        return saved.to(current.device)
    if isinstance(saved, dict) and isinstance(current, dict):
        return type(saved)((key, on_devices_of(current.get(key), value)) for key, value in saved.items())
    if type(saved) in (list, tuple) and isinstance(current, list | tuple) and len(saved) == len(current):
        return type(saved)(on_devices_of(now, value) for now, value in zip(current, saved, strict=True))
    return saved


def on_cpu(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.cpu()
    if isinstance(value, dict):
        return type(value)((key, on_cpu(item)) for key, item in value.items())
    if type(value) in (list, tuple):
        return type(value)(map(on_cpu, value))
    return value
