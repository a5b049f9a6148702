"""Torch's process-wide defaults, which a plugin must not change. Does not import torch."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ganbench.errors import PluginError, describe


def torch_defaults() -> dict[str, Any] | None:
    """Return the current defaults; None if torch has not been imported."""
    torch: Any = sys.modules.get("torch")
    if not hasattr(torch, "get_default_device"):  # absent, or still being imported
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
def preserve_torch_defaults(culprit: str) -> Iterator[None]:
    """If the block changes a default, restore it and raise `PluginError`: "CULPRIT torch's default ..."."""
    before = torch_defaults()
    try:
        yield
    except Exception as error:
        if changed := restore_torch_defaults(before):
            raise PluginError(f"{culprit} {changed}. Also raised: {describe(error)}") from error
        raise
    except BaseException:
        restore_torch_defaults(before)
        raise
    if changed := restore_torch_defaults(before):
        raise PluginError(f"{culprit} {changed}")


def restore_torch_defaults(before: dict[str, Any] | None) -> str | None:
    """Restore the defaults; return what had changed and how to fix it, None if nothing had."""
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
        f"torch's {', '.join(changed)} for the whole process, and so for every other plugin; restore it where it is "
        "set, or after importing the library that sets it"
    )
