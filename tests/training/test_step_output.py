"""The names of the values that a step reports: no column of the history hides another."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from linear_gan import LeastSquares, make_eager, own_run, take
from torch import Tensor

from ganbench import Players, PluginError, UsageError
from ganbench.runtime.checkpoint import load_checkpoint
from ganbench.runtime.ranks import SINGLE
from ganbench.training.history import EpochLosses


class Monitored(LeastSquares):
    """Monitors both losses."""

    def __init__(self, of_discriminator: str, of_generator: str) -> None:
        self.names = of_discriminator, of_generator

    def discriminator_loss(self, players: Players, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        return super().discriminator_loss(players, batch)[0], {self.names[0]: torch.tensor(1.0)}

    def generator_loss(self, players: Players, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        return super().generator_loss(players, batch)[0], {self.names[1]: torch.tensor(2.0)}


def test_the_monitors_of_both_networks_are_reported() -> None:
    (values,) = take(make_eager(Monitored("d_own", "g_own")), 1)
    assert values[2:] == [1.0, 2.0]


def test_a_monitor_of_both_networks_is_refused() -> None:
    with pytest.raises(PluginError, match=r"^the loss: .* both have a monitor called own, .* rename one"):
        take(make_eager(Monitored("own", "own")), 1)


def test_a_monitor_with_the_name_of_a_penalty_is_refused_and_the_remedy_works(tmp_path: Any) -> None:
    source = """
    class Own(LeastSquares):
        def discriminator_loss(self, players, batch):
            return super().discriminator_loss(players, batch)[0], {"r1": torch.zeros(())}
    build_loss = lambda options, context: Own()
    """
    penalty = 'penalties=[{name="r1",weight=1.0}]'
    with pytest.raises(UsageError, match=r"loss 'own' .* called r1, .* -o penalties\.0\.id=r1-penalty"):
        own_run(tmp_path, source, [penalty])
    result, _ = own_run(tmp_path, source, [penalty, "penalties.0.id=r1-penalty"], name="renamed")
    row = result.history[-1].monitors
    assert row["r1"] == 0
    assert row["r1-penalty"] > 0


def test_a_monitor_that_is_not_finite_is_stored_as_null_and_the_checkpoint_can_be_read(tmp_path: Path) -> None:
    source = """
    class Own(LeastSquares):
        def discriminator_loss(self, players, batch):
            return super().discriminator_loss(players, batch)[0], {"ratio": torch.tensor(float("nan"))}
    build_loss = lambda options, context: Own()
    """
    result, _ = own_run(tmp_path, source)
    assert result.history[-1].monitors == {"ratio": None}
    record = load_checkpoint(tmp_path / "run" / "checkpoint.pt").progress.open_epoch
    assert record is not None
    assert record.monitors == {"ratio": None}
    assert math.isnan(EpochLosses.from_record(record, SINGLE).last()["ratio"])
