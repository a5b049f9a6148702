"""The state of a training step, as a checkpoint stores it."""

from __future__ import annotations

import io
import pickle
from typing import Any

import torch

from ganbench.data.batches import Batches
from ganbench.training.state.leaves import Leaves, leaves_of
from ganbench.training.state.step_state import snapshot_state
from ganbench.training.step import TrainingStep


def state_of(step: TrainingStep, batches: Batches) -> Leaves:
    """Return everything that the next step depends on, by path."""
    return leaves_of(snapshot_state(step, batches))


def through_file(state: dict[str, Any]) -> dict[str, Any]:
    """Write a state and read it again, without running code in the file, as a checkpoint is read."""
    file = io.BytesIO()
    try:
        torch.save(state, file)
        file.seek(0)
        loaded: dict[str, Any] = torch.load(file, weights_only=True)
    except (pickle.PickleError, AttributeError, TypeError) as error:
        reason = " ".join(str(error).split()).partition(". ")[0]
        raise AssertionError(f"expected state of tensors, numbers and text in a checkpoint, got {reason}") from None
    return loaded
