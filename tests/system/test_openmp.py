"""How OpenMP's threads wait: decided before torch is loaded, unless the user has decided, and recorded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ganbench.gate.side import SessionConfig, Side
from ganbench.system import openmp


@pytest.fixture(autouse=True)
def before_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has not loaded torch, and whose user has decided nothing."""
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(openmp, "_in_effect", "default")
    for name in openmp.VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_threads_sleep_while_they_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    openmp.set_wait_policy()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    assert openmp.wait_policy() == "passive"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("OMP_WAIT_POLICY", "ACTIVE", "active"),
        ("GOMP_SPINCOUNT", "300000", "GOMP_SPINCOUNT=300000"),
        ("KMP_BLOCKTIME", "200", "KMP_BLOCKTIME=200"),
    ],
)
def test_the_users_own_policy_stands(name: str, value: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    openmp.set_wait_policy()
    assert {variable: os.environ.get(variable) for variable in openmp.VARIABLES if variable in os.environ} == {
        name: value
    }
    assert openmp.wait_policy() == told


def test_where_torch_is_loaded_already_nothing_is_set_or_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", object())
    openmp.set_wait_policy()
    assert "OMP_WAIT_POLICY" not in os.environ
    assert openmp.wait_policy() == "default"


def test_importing_ganbench_is_enough_and_loads_no_torch() -> None:
    probe = "import os, sys, ganbench; print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    finished = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert finished.stdout.split() == ["PASSIVE", "False"]


def test_both_sides_of_the_gate_wait_alike_whatever_their_ganbench_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text("import json, os; print(json.dumps(os.environ.get('OMP_WAIT_POLICY')))")
    monkeypatch.setattr("ganbench.gate.side.WORKER", worker)
    for chosen, seen in ((None, "PASSIVE"), ("ACTIVE", "ACTIVE")):
        if chosen:
            monkeypatch.setenv("OMP_WAIT_POLICY", chosen)
        with Side("base", folder=tmp_path).start("time", SessionConfig("any")) as process:
            assert process.answer() == seen
