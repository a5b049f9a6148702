"""The gate with real sessions: a commit that slows its plugin, a slow lazy penalty, and slow data.

The injected delay is several times the rest of a step, so the tests also work on a slow or busy machine.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from command_line import run_command
from conftest import SMALL

from ganbench.errors import ExitCode
from ganbench.gate.session import measure_alone, measure_pair
from ganbench.gate.side import SessionConfig, Side

PLUGIN = """
import time

from ganbench import LossPlugin, Options, hookimpl


def build(options, context):
    from ganbench_losses.bce import BinaryCrossEntropy

    class Own(BinaryCrossEntropy):
        def generator_loss(self, players, batch):
            time.sleep({seconds})
            return super().generator_loss(players, batch)

    return Own()


@hookimpl
def ganbench_losses():
    return [LossPlugin(name="own", summary="BCE that waits", options=Options, build=build)]
"""
ARGUMENTS = [
    *("check", "dcgan-fashion", "-p", "own_loss.py", "--against", "HEAD~1", "--device", "cpu", "--no-smoke"),
    *("--blocks", "4", "--windows", "1", "--window-seconds", "0.05"),
    *("-o", "loss=own", "-o", SMALL[0], "-o", "model.width=1", "-o", "training.batch_size=16"),
]


@pytest.mark.slow
def test_a_commit_that_slows_its_own_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    as_somebody = ["git", "-c", "user.name=test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", "init", "-q"], check=True)
    for seconds in (0.0, 0.02):
        Path("own_loss.py").write_text(PLUGIN.format(seconds=seconds))
        subprocess.run(["git", "add", "own_loss.py"], check=True)
        subprocess.run([*as_somebody, "commit", "-q", "-m", f"wait {seconds} s"], check=True)
    outcome = run_command(*ARGUMENTS)
    assert "most of the slowdown is in the generator phase" in " ".join(outcome.output.split())
    assert outcome.exit_code == ExitCode.REGRESSION


PENALTY = """
import time

from ganbench import Options, PenaltyPlugin, hookimpl


def build(options, context):
    from ganbench_penalties.gradients import r1

    def penalty(players, batch):
        time.sleep({seconds})
        return r1(players, batch)

    return penalty


@hookimpl
def ganbench_penalties():
    return [PenaltyPlugin(name="own", summary="R1 that waits", options=Options, build=build)]
"""


@pytest.mark.slow
def test_a_penalty_in_few_steps_is_part_of_every_window(tmp_path: Path) -> None:
    """The median of windows, some of which have no penalty, would not change however long the penalty takes."""
    every, batch_size, seconds = 5, 16, 0.3
    plugin = tmp_path / "own_penalty.py"
    plugin.write_text(PENALTY.format(seconds=seconds))
    overrides = [SMALL[0], "model.width=1", f"training.batch_size={batch_size}"]
    penalty = f'[{{name="own", weight=1, every={every}}}]'
    session = measure_alone(
        Side("base"),
        SessionConfig(
            "dcgan-fashion",
            [*overrides, f"penalties={penalty}"],
            plugins=[str(plugin)],
            device="cpu",
            windows=3,
            window_seconds=0.02,  # a step or two
        ),
    )
    assert session.seconds_per_image > seconds / (every * batch_size)


SLOW_DATA = """
import time

from torch.utils.data import Dataset, get_worker_info

from ganbench import DatasetPlugin, ImageData, Options, hookimpl
from ganbench_datasets.fashion_mnist.sources import embedded_subset


class Slow(Dataset):
    def __init__(self):
        self.images = embedded_subset().test.tensors[0]

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        if get_worker_info() is not None:
            time.sleep({seconds})
        return self.images[index], 0


def build(options, context):
    return ImageData(Slow(), Slow(), num_classes=1, source="slow", fingerprint="0")


@hookimpl
def ganbench_datasets():
    return [DatasetPlugin(name="slow", summary="Images that wait", options=Options, build=build)]
"""


@pytest.mark.slow
def test_batches_that_are_read_while_the_other_side_trains_are_not_for_free(tmp_path: Path) -> None:
    batch_size, seconds = 16, 0.005
    plugin = tmp_path / "slow_data.py"
    plugin.write_text(SLOW_DATA.format(seconds=seconds))
    overrides = ["dataset=slow", "model.width=1", f"training.batch_size={batch_size}", "data.workers=1"]
    config = SessionConfig(
        "dcgan-fashion",
        overrides,
        plugins=[str(plugin)],
        device="cpu",
        windows=9,
        window_seconds=batch_size * seconds,  # a batch, and two more could be prefetched
    )
    for session in measure_pair(Side("base"), Side("head"), config):
        assert session.seconds_per_image > 0.85 * seconds
