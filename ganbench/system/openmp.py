"""The number of OpenMP threads, and their wait policy.

OpenMP reads the policy once, when torch is loaded: see `ganbench/__init__.py`. By default an idle thread spins for some
milliseconds before it sleeps. If other processes need the same CPUs, it takes CPU time from threads that have work.
`python -m benchmarks.shared_machine` measures both policies.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

# each controls how long threads spin: the standard variable, then GNU's and Intel's
VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
PREFIXES = ("OMP_", "GOMP_", "KMP_")  # of all variables of OpenMP

_in_effect = "default"
_added: dict[str, str] = {}  # to the environment


def given_threads() -> int | None:
    """Return the number of threads of each process that OMP_NUM_THREADS gives, if it is set and valid."""
    given = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]  # a list has the numbers for nested regions
    return int(given) if given.isdecimal() and int(given) else None


def set_wait_policy() -> None:
    """Make this process's threads sleep while idle, unless torch is already loaded or the user set a policy."""
    global _in_effect
    if "torch" not in sys.modules:
        added = passive_wait_policy(os.environ)
        os.environ.update(added)
        _added.update(added)
    _in_effect = describe_policy(os.environ)


@contextmanager
def preserve_variables() -> Iterator[None]:
    """Restore OpenMP's variables after the block, which libraries set; torch must be loaded.

    Also remove the one that `set_wait_policy` added, as torch has read it.
    """
    for name, value in _added.items():
        if os.environ.get(name) == value:
            del os.environ[name]
    _added.clear()
    before = openmp_variables()
    try:
        yield
    finally:
        for name in openmp_variables().keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def openmp_variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(PREFIXES)}


def wait_policy() -> str:
    """Return the policy in effect: "passive", "default" (OpenMP's own) or the user's setting."""
    return _in_effect


def passive_wait_policy(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variable to add to an environment; nothing if the user set a policy."""
    return {} if any(name in environ for name in VARIABLES) else {"OMP_WAIT_POLICY": "PASSIVE"}


def describe_policy(environ: Mapping[str, str]) -> str:
    """Summarize the wait policy that an environment sets."""
    if "OMP_WAIT_POLICY" in environ and not any(name in environ for name in VARIABLES[1:]):
        return environ["OMP_WAIT_POLICY"].lower()
    return ", ".join(f"{name}={environ[name]}" for name in VARIABLES if name in environ) or "default"
