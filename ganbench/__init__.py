"""ganbench: benchmark GANs with numbers you can trust.

What plugin authors and scripts use is here, listed in `__init__.pyi` and imported when it is first asked for: importing
ganbench alone imports neither torch nor pydantic. Import it before torch: it sets OMP_WAIT_POLICY unless you have (see
`openmp.py`), and torch reads that once. A script runs a benchmark with

    run = ganbench.run("dcgan-fashion", "training.epochs=1", seed=1)
    run.result.scores, run.sample(16), run.directory
"""

import random
from typing import Any

import lazy_loader

from .system.openmp import set_wait_policy

set_wait_policy()  # first of all: whatever is imported next may load torch
_find, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    """Import a public name; the program's random numbers stay as they were, although importing rich draws some."""
    state = random.getstate()
    try:
        return _find(name)
    finally:
        random.setstate(state)
