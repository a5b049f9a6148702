"""The page of all public names, from what `ganbench` exports."""

from __future__ import annotations

import inspect
from typing import Any

import ganbench
from ganbench import GanbenchError
from ganbench.plugin.kinds import Kind
from ganbench.plugin.registrations import REGISTRATIONS
from ganbench.results.schema import Result

from . import hooks, result
from .markdown import page, sentence, table, text
from .source import documented


def python_page() -> str:
    """Return the reference of the names that scripts and plugins may use."""
    elsewhere = places()
    rows, blocks = [], []
    for name in sorted(ganbench.__all__, key=str.lower):
        found = getattr(ganbench, name)
        own = (inspect.getdoc(found) if isinstance(found, type) or callable(found) else None) or ""
        if name in elsewhere:
            target = elsewhere[name]
        elif inspect.isfunction(found) or isinstance(found, type):
            target = f"#{name}"
            blocks += [f"## {name} {{ #{name} }}", documented(found)]
        else:
            target = ""
        rows.append([f"[`{name}`]({target})" if target else f"`{name}`", text(sentence(own))])
    return page(
        "Python",
        "The names that `ganbench` exports. Everything else may change without notice. "
        "[From Python](../python.md) shows how to use them, and `ganbench.testing` has the "
        "[contracts](../plugins.md#contracts-to-test-against) for tests of plugins.",
        table(["Name", "Purpose"], rows),
        *blocks,
    )


def places() -> dict[str, str]:
    """Return the pages of the names that other pages describe."""
    found = {REGISTRATIONS[kind].__name__: f"hooks.md#{kind.hook}" for kind in Kind}
    for each in hooks.interface_classes():
        found[each.__name__] = f"interfaces.md#{each.__name__.lower()}"
    for record in result.records(Result):
        found[record.__name__] = f"result.md#{record.__name__.lower()}"
    found["BenchmarkSpec"] = "spec.md"
    for name in ganbench.__all__:
        error: Any = getattr(ganbench, name)
        if isinstance(error, type) and issubclass(error, GanbenchError):
            found[name] = "exit-codes.md#errors"
    return found
