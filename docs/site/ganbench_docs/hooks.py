"""The pages of hooks, registrations and interfaces, from the code of the plugin API."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from textwrap import dedent
from typing import Any

from ganbench import PLUGIN_API
from ganbench.plugin import callbacks, hookspecs, interfaces, jobs, registrations
from ganbench.plugin.kinds import Kind
from ganbench.plugin.registrations import REGISTRATIONS, Buildable
from ganbench.plugin.registrations import Registration as BaseRegistration

from .markdown import code, page, table, text
from .source import listing

CONTEXTS = (
    registrations.BuildContext,
    registrations.DatasetContext,
    registrations.TrackerContext,
    registrations.ExecutorContext,
)


def hooks_page() -> str:
    """Return the reference of hooks: what each returns, and its complete example."""
    rows = [
        [f"[`{kind.hook}`](#{kind.hook})", f"`{REGISTRATIONS[kind].__name__}`", text(said(kind)[0])] for kind in Kind
    ]
    blocks = [
        f"A plugin is a module with hooks: functions without arguments that return lists of registrations. This is "
        f"version {PLUGIN_API} of the plugin API. [Plugins](../plugins.md) explains how the parts work together.",
        table(["Hook", "Returns a list of", "Registers"], rows),
    ]
    for kind in Kind:
        summary, example = said(kind)
        registration = REGISTRATIONS[kind]
        blocks += [
            f"## {kind.hook}",
            text(summary),
            f"`{registration.__name__}`: {inspect.cleandoc(registration.__doc__ or '')}",
            "\n".join([f"- Fields: {', '.join(fields_of(registration))}.", *reserved_of(registration)]),
            code(example),
        ]
    return page("Hooks", *blocks)


def said(kind: Kind) -> tuple[str, str]:
    """Return the first paragraph of a hook's docstring, and the example after it."""
    summary, _, example = (inspect.getdoc(getattr(hookspecs, kind.hook)) or "").partition("\n\n")
    return " ".join(summary.split()), dedent(example)


def fields_of(registration: type[BaseRegistration]) -> Iterator[str]:
    for name, field in registration.model_fields.items():
        yield f"`{name}`" if field.is_required() else f"`{name}` (optional)"


def reserved_of(registration: type[BaseRegistration]) -> Iterator[str]:
    """Yield what a plugin's options must not be named."""
    if issubclass(registration, Buildable):
        names = ", ".join(f"`{name}`" for name in sorted(registration.reserved))
        yield f"- Names that options must not have, because they are ganbench's own: {names}."


def interfaces_page() -> str:
    """Return the source of everything that `build` gets and returns."""
    blocks = ["The objects that a plugin builds and gets, as their source defines them: types, shapes and ranges."]
    for title, (purpose, classes) in INTERFACES.items():
        blocks += [f"## {title}", purpose]
        for each in classes:
            blocks += [f"### {each.__name__}", listing(each)]
    return page("Interfaces", *blocks)


def interface_classes() -> list[type]:
    """Return the classes on the page of interfaces."""
    return [each for _, classes in INTERFACES.values() for each in classes]


def classes_in(module: Any) -> list[type]:
    """Return the documented classes that a module defines, in their order."""
    return [
        found
        for name, found in vars(module).items()
        if isinstance(found, type) and found.__module__ == module.__name__ and found.__doc__ and name[0] != "_"
    ]


INTERFACES = {
    "Contexts": ("What `build(options, context)` gets.", CONTEXTS),
    "Networks, losses, data and metrics": ("What `build` returns, and what losses get.", classes_in(interfaces)),
    "Callbacks": ("What a tracker returns, and the events that it receives.", classes_in(callbacks)),
    "Jobs of a suite": ("What an executor returns, and the jobs that it runs.", classes_in(jobs)),
}
