"""Copies of registries with plugins of tests, or without some of the installed ones."""

from __future__ import annotations

from collections.abc import Collection

from ganbench.plugin.registrations import Registration
from ganbench.plugin.registry import Provider, Registered, Registry

PROVIDER = Provider("ganbench-test", None, "test", __name__)


def with_plugins(
    registry: Registry, *plugins: Registration, provider: Provider = PROVIDER, without: Collection[str] = ()
) -> Registry:
    """Return a copy of a registry with these plugins as well, and without those of the names `without`."""
    own = Registry()
    for registered in registry.all_plugins():
        if registered.plugin.name not in without:
            own.add(registered)
    for plugin in plugins:
        own.add(Registered(plugin, provider))
    return own
