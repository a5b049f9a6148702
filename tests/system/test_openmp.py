"""The OpenMP wait policy: set before torch is loaded, unless the user set one, and recorded."""

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
    """Simulate a process that has not loaded torch and whose user set no policy."""
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(openmp, "_in_effect", "default")
    for name in openmp.VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_idle_threads_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    openmp.set_wait_policy()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    assert openmp.wait_policy() == "passive"


@pytest.mark.parametrize(
    ("name", "value", "policy"),
    [
        ("OMP_WAIT_POLICY", "ACTIVE", "active"),
        ("GOMP_SPINCOUNT", "300000", "GOMP_SPINCOUNT=300000"),
        ("KMP_BLOCKTIME", "200", "KMP_BLOCKTIME=200"),
    ],
)
def test_the_users_policy_is_kept(name: str, value: str, policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    openmp.set_wait_policy()
    assert {variable: os.environ.get(variable) for variable in openmp.VARIABLES if variable in os.environ} == {
        name: value
    }
    assert openmp.wait_policy() == policy


def test_nothing_is_set_or_claimed_if_torch_is_already_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", object())
    openmp.set_wait_policy()
    assert "OMP_WAIT_POLICY" not in os.environ
    assert openmp.wait_policy() == "default"


def test_importing_ganbench_sets_the_policy_without_loading_torch() -> None:
    probe = "import os, sys, ganbench; print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    finished = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert finished.stdout.split() == ["PASSIVE", "False"]


def test_both_sides_of_the_gate_use_the_same_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text("import json, os; print(json.dumps(os.environ.get('OMP_WAIT_POLICY')))")
    monkeypatch.setattr("ganbench.gate.side.WORKER", worker)
    for chosen, seen in ((None, "PASSIVE"), ("ACTIVE", "ACTIVE")):
        if chosen:
            monkeypatch.setenv("OMP_WAIT_POLICY", chosen)
        with Side("base", folder=tmp_path).start("time", SessionConfig("any")) as process:
            assert process.answer() == seen
