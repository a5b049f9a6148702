"""Whether a build returns an object that an earlier build of the process has returned, with the state of its run."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from .interfaces import Networks

_in_progress: list[object] = []  # builds, the outermost first: the build of a plugin may build others
_returned: dict[int, tuple[weakref.ref[Any], object]] = {}  # objects by id, with the outermost build that returned them


@contextmanager
def build_in_progress() -> Iterator[None]:
    """The block builds a plugin, and maybe others for its own object."""
    _in_progress.append(object())
    try:
        yield
    finally:
        _in_progress.pop()


def is_reused(built: Any) -> bool:
    """Return whether another build has returned this object, or one of these networks, and it has a state.

    Call it within `build_in_progress`. A build may return what it built by another plugin.
    """
    parts: tuple[Any, ...] = (built.generator, built.discriminator) if isinstance(built, Networks) else (built,)
    for each in parts:
        state_dict = getattr(each, "state_dict", None)
        if state_dict is None:
            continue
        reference, build = _returned.get(id(each), (None, None))
        if reference is not None and reference() is each and build is not _in_progress[0]:
            if state_dict():  # a module without parameters and buffers has none
                return True
        else:
            with suppress(TypeError):  # an object without weak references may have gone, and its id belong to another
                _returned[id(each)] = weakref.ref(each), _in_progress[0]
    return False


REUSED = "build returned the same object as before, which may have been trained; create a new one in each call of build"
