"""Which plugin distributions are installed, and which of them cannot be read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import Distribution, EntryPoint, distributions
from pathlib import PurePath
from typing import Literal

from ganbench.errors import UsageError, describe
from ganbench.system.source import source_hash

ONLY_VARIABLE = "GANBENCH_PLUGINS"  # names the distributions to load, separated by commas

Stage = Literal["metadata", "import", "register", "hook", "name"]


@dataclass(frozen=True)
class Provider:
    """Who offers a plugin: an installed distribution's entry point, or a file or module given with -p."""

    distribution: str
    version: str | None
    entry_point: str
    module: str  # that holds the hooks
    given: str | None = field(default=None, compare=False)  # with -p: a file's absolute path, or a module's name

    @property
    def source(self) -> str:
        """The hash of its code, so that an edit is noticed where the version stays the same."""
        return source_hash(self.module)

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}" if self.version else self.distribution


@dataclass(frozen=True)
class LoadFailure:
    """Something a provider could not give, at which stage and why."""

    provider: Provider
    stage: Stage
    cause: str

    def __str__(self) -> str:
        point = f", entry point '{self.provider.entry_point}'" if self.provider.entry_point else ""
        return f"{self.provider}{point}, {self.stage}: {self.cause}"


def installed_plugins(group: str) -> tuple[list[tuple[Provider, EntryPoint]], list[LoadFailure]]:
    """The installed entry points of a group, in a fixed order, and what cannot be read of the distributions.

    `importlib.metadata.entry_points` would raise for all distributions where a single one is broken. Raises
    `UsageError` where the environment variable names a distribution that offers nothing.
    """
    found, failures = [], []
    for distribution in unshadowed():
        try:
            text = distribution.read_text("entry_points.txt") or ""
            points = distribution.entry_points.select(group=group) if group in text else ()
        except Exception as error:
            cause = (
                f"cannot read its entry_points.txt: {describe(error)}; reinstall it, or remove {folder(distribution)}"
            )
            failures.append(LoadFailure(Provider(name_of(distribution), None, "", ""), "metadata", cause))
            continue
        for point in points:
            try:
                found.append((provider_of(distribution, point), point))
            except ValueError as error:
                provider = Provider(name_of(distribution), None, point.name, "")
                failures.append(LoadFailure(provider, "metadata", str(error)))
    return limited(found, failures)


def unshadowed() -> Iterator[Distribution]:
    """Every distribution that no other of its name comes before on the import path."""
    seen = set()
    for distribution in distributions():
        name = re.sub(r"[-_.]+", "-", name_of(distribution)).lower()
        if name not in seen:
            seen.add(name)
            yield distribution


def name_of(distribution: Distribution) -> str:
    """The name by its folder, such as `NAME-1.0.dist-info`: that is quick, and it is there where METADATA is not."""
    return PurePath(folder(distribution)).stem.partition("-")[0]


def folder(distribution: Distribution) -> str:
    return str(getattr(distribution, "_path", None) or distribution.metadata["Name"])


def provider_of(distribution: Distribution, point: EntryPoint) -> Provider:
    """Raises `ValueError` with what is wrong with the distribution's metadata or the entry point."""
    name: str | None = None
    version: str | None = None
    with suppress(Exception):  # how a missing METADATA fails differs between versions of Python
        name, version = distribution.metadata["Name"], distribution.metadata["Version"]
    if not name or not version:
        raise ValueError(
            f"{folder(distribution)} has no METADATA with a name and a version, as an interrupted uninstall leaves it: "
            "reinstall the distribution, or remove the folder"
        )
    try:
        return Provider(name, version, point.name, point.module)
    except AttributeError:
        raise ValueError(f"'{point.value}' is not MODULE or MODULE:OBJECT; reinstall the distribution") from None


def limited(
    found: list[tuple[Provider, EntryPoint]], failures: list[LoadFailure]
) -> tuple[list[tuple[Provider, EntryPoint]], list[LoadFailure]]:
    """Both without the distributions that the environment variable does not name, in a fixed order."""
    only = os.environ.get(ONLY_VARIABLE)
    if only:
        from packaging.utils import canonicalize_name

        wanted = {canonicalize_name(name.strip()) for name in only.split(",") if name.strip()}
        found = [pair for pair in found if canonicalize_name(pair[0].distribution) in wanted]
        failures = [failure for failure in failures if canonicalize_name(failure.provider.distribution) in wanted]
        providers = [provider for provider, _ in found] + [failure.provider for failure in failures]
        missing = wanted - {canonicalize_name(provider.distribution) for provider in providers}
        if missing:
            raise UsageError(
                f"{ONLY_VARIABLE} names {', '.join(sorted(missing))}, which offers no ganbench plugin here"
            )
    return sorted(found, key=lambda pair: (pair[0].distribution, pair[0].entry_point)), failures
