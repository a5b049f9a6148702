"""Out-of-memory errors have a helpful message wherever they occur."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import UNSCORED
from run_spec import run

from ganbench import GanbenchError, ModelPlugin
from ganbench.data.batches import ResidentBatches
from ganbench.plugin.registry import Registry
from ganbench.results.schema import load_result
from ganbench.runtime.memory import is_out_of_memory, peak_rss
from ganbench.runtime.process_state import fresh_process_state
from ganbench.spec.loading import load_spec
from ganbench.training.trial import run_trial

MESSAGE = r"out of memory on cpu with batch size 64, peak usage [\d,]+ MiB; reduce training.batch_size"


def too_much() -> None:
    torch.empty(2**55, dtype=torch.uint8)  # more than any address space holds


def device_full() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


@pytest.mark.parametrize("run_out", [too_much, device_full])
def test_during_training_it_names_batch_size_and_peak_and_keeps_the_partial_result(
    run_out: Callable[[], None], registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = ResidentBatches.load

    def short(self: ResidentBatches, *inputs: Any) -> Any:
        if len(inputs[0]) < 64:  # the last batch of an epoch
            run_out()
        return load(self, *inputs)

    spec = load_spec("dcgan-fashion", registry, [*UNSCORED, "training.epochs=2"])
    monkeypatch.setattr("ganbench.training.warmup.examples_of_each_size", lambda p: [next(iter(p.batches.epoch()))])
    monkeypatch.setattr(ResidentBatches, "load", short)
    with pytest.raises(GanbenchError, match=rf"the run failed after 78 steps: {MESSAGE}.*The result so far is in"):
        run(spec, device="cpu", out=tmp_path / "run")
    result = load_result(tmp_path / "run")
    assert result.status == "failed"
    assert "out of memory" in str(result.message)
    assert (tmp_path / "run" / "checkpoint.pt").exists()


def test_before_training_the_message_is_the_same_and_no_files_remain(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = registry.find(ModelPlugin.kind, "dcgan").plugin
    monkeypatch.setitem(model.__dict__, "build", lambda *_: too_much())
    spec = load_spec("dcgan-fashion", registry, UNSCORED)
    with pytest.raises(GanbenchError, match=MESSAGE):
        run(spec, device="cpu", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_in_a_sweep_the_message_is_the_same(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ResidentBatches, "load", lambda *_: too_much())
    spec = load_spec("dcgan-fashion", registry, [*UNSCORED, "training.steps=1"])
    with pytest.raises(GanbenchError, match=MESSAGE):
        run_trial(spec, "cpu")


@pytest.mark.parametrize("error", [RuntimeError("shape mismatch"), ValueError("memory")])
def test_other_errors_are_not_out_of_memory_errors(error: Exception) -> None:
    assert not is_out_of_memory(error)


def test_the_peak_of_the_process_is_known() -> None:
    peak = peak_rss()
    assert peak is not None
    assert peak > 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_peak_of_a_process_is_not_that_of_the_one_that_started_it() -> None:
    large = torch.ones(2**30, dtype=torch.uint8)  # the child imports torch, which takes about 0.4 GiB
    code = "from ganbench.runtime.memory import peak_rss; print(peak_rss())"
    peak = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    own = peak_rss()
    assert own is not None
    assert 100 * 2**20 < peak < len(large) < own


@pytest.mark.skipif(sys.platform != "linux", reason="writes to /proc")
def test_the_peak_of_a_run_is_not_that_of_an_earlier_one_in_the_process() -> None:
    large = torch.ones(2**30, dtype=torch.uint8)
    del large
    earlier = peak_rss()
    with fresh_process_state(torch.device("cpu")):
        peak = peak_rss()
    assert earlier is not None
    assert peak is not None
    assert peak < earlier - 2**29
