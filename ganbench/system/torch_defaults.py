"""Torch's defaults for the whole process, which a plugin must leave as they are. It does not import torch."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ganbench.errors import PluginError, describe


def torch_defaults() -> dict[str, Any] | None:
    """What code relies on without naming it; None as long as nobody has imported torch."""
    torch: Any = sys.modules.get("torch")
    if not hasattr(torch, "get_default_device"):  # being imported
        return None
    return {
        "default dtype": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "gradient mode": torch.is_grad_enabled(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "number of threads": torch.get_num_threads(),
    }


def set_torch_defaults(defaults: dict[str, Any]) -> None:
    import torch

    torch.set_default_dtype(defaults["default dtype"])
    if torch.get_default_device() != defaults["default device"]:
        torch.set_default_device(defaults["default device"])
    torch.set_grad_enabled(defaults["gradient mode"])
    torch.use_deterministic_algorithms(defaults["deterministic algorithms"])
    if torch.get_num_threads() != defaults["number of threads"]:
        torch.set_num_threads(defaults["number of threads"])


@contextmanager
def torch_defaults_kept(culprit: str) -> Iterator[None]:
    """If the block changes a default of torch's, put it back and raise `PluginError`: "CULPRIT torch's default ..."."""
    before = torch_defaults()
    try:
        yield
    except Exception as error:
        if changed := put_back(before):
            raise PluginError(f"{culprit} {changed}. With that: {describe(error)}") from error
        raise
    except BaseException:
        put_back(before)
        raise
    if changed := put_back(before):
        raise PluginError(f"{culprit} {changed}")


def put_back(before: dict[str, Any] | None) -> str | None:
    """Set the defaults as they were; returns what has changed and what is to be done, None if nothing has."""
    after = torch_defaults()
    if after is None:
        return None
    if before is None:
        before = after | {"default dtype": sys.modules["torch"].float32, "gradient mode": True}
    changed = [f"{name} from {before[name]} to {after[name]}" for name in before if before[name] != after[name]]
    if not changed:
        return None
    set_torch_defaults(before)
    return (
        f"torch's {', '.join(changed)} for the whole process, and so for every other plugin; set it back where it is "
        "set, or where the library is imported that sets it"
    )
