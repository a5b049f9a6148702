"""Classes and functions as their source says: signatures, docstrings and listings."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from textwrap import dedent
from typing import Any

from .markdown import code


def listing(owner: type) -> str:
    """Return the source of a class."""
    return code(inspect.getsource(owner))


def documented(found: Any, prefix: str = "") -> str:
    """Return the signature of a function, or of each public method of a class, with their docstrings."""
    if not isinstance(found, type):
        return f"{code(signature(found))}\n{inspect.getdoc(found) or ''}\n"
    methods = [f"{code(signature(member))}\n{inspect.getdoc(member) or ''}\n" for member in public_members(found)]
    return "\n".join([inspect.cleandoc(found.__doc__ or ""), "", *methods])


def public_members(owner: type) -> Iterator[Any]:
    """Yield the documented functions and properties that a class defines itself, in their order."""
    for name, member in list(vars(owner).items()):
        function = getattr(member, "fget", None) or getattr(member, "func", None) or getattr(member, "__func__", member)
        defined_here = inspect.isfunction(function) and function.__qualname__ == f"{owner.__qualname__}.{name}"
        if not name.startswith("_") and defined_here and function.__doc__:
            yield function


def signature(function: Any) -> str:
    """Return the decorators and the head of a function, as in its source."""
    source = dedent(inspect.getsource(function))
    (definition,) = ast.parse(source).body
    assert isinstance(definition, ast.FunctionDef)
    return "\n".join(source.splitlines()[: definition.body[0].lineno - 1]).removesuffix(":")
