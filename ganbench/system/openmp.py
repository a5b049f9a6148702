"""The wait policy of OpenMP threads. OpenMP reads it once, when torch is loaded: see `ganbench/__init__.py`.

By default an idle thread spins for some milliseconds before it sleeps. If other processes need the same CPUs, it
takes CPU time from threads that have work. `python -m benchmarks.shared_machine` measures both policies.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

# each controls how long threads spin: the standard variable, then GNU's and Intel's
VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")

_in_effect = "default"


def set_wait_policy() -> None:
    """Make this process's threads sleep while idle, unless torch is already loaded or the user set a policy."""
    global _in_effect
    if "torch" not in sys.modules:
        os.environ.update(passive_wait_policy(os.environ))
    _in_effect = describe(os.environ)


def wait_policy() -> str:
    """Return the policy in effect: "passive", "default" (OpenMP's own) or the user's setting."""
    return _in_effect


def passive_wait_policy(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variable to add to an environment; nothing if the user set a policy."""
    return {} if any(name in environ for name in VARIABLES) else {"OMP_WAIT_POLICY": "PASSIVE"}


def describe(environ: Mapping[str, str]) -> str:
    """Summarize the wait policy that an environment sets."""
    if "OMP_WAIT_POLICY" in environ and not any(name in environ for name in VARIABLES[1:]):
        return environ["OMP_WAIT_POLICY"].lower()
    return ", ".join(f"{name}={environ[name]}" for name in VARIABLES if name in environ) or "default"
