"""How OpenMP's threads wait for work. OpenMP reads that once, when torch is loaded: see `ganbench/__init__.py`.

By default a thread that has nothing to do spins for some milliseconds before it sleeps. Where other processes want the
same CPUs, it takes them from threads that have work. `python -m benchmarks.shared_machine` measures both policies.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

# each says how long threads spin: OpenMP's own variable, GNU's and Intel's
VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")

_in_effect = "default"


def set_wait_policy() -> None:
    """Let this process's threads sleep while they wait, unless torch is loaded already or the user has decided."""
    global _in_effect
    if "torch" not in sys.modules:
        os.environ.update(sleeping_threads(os.environ))
    _in_effect = describe(os.environ)


def wait_policy() -> str:
    """The policy in effect here: "passive", "default" (OpenMP's own), or the user's setting."""
    return _in_effect


def sleeping_threads(environ: Mapping[str, str]) -> dict[str, str]:
    """The variable to add to an environment; none where the user has decided."""
    return {} if any(name in environ for name in VARIABLES) else {"OMP_WAIT_POLICY": "PASSIVE"}


def describe(environ: Mapping[str, str]) -> str:
    """What an environment says of waiting threads, in a few words."""
    if "OMP_WAIT_POLICY" in environ and not any(name in environ for name in VARIABLES[1:]):
        return environ["OMP_WAIT_POLICY"].lower()
    return ", ".join(f"{name}={environ[name]}" for name in VARIABLES if name in environ) or "default"
