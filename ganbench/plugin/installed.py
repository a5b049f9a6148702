"""The installed plugin distributions, including those whose metadata cannot be read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import Distribution, EntryPoint, distributions
from pathlib import PurePath
from typing import Literal

from ganbench.errors import NotComparableError, UsageError, describe
from ganbench.system.source import edited_file, source_hash

ONLY_VARIABLE = "GANBENCH_PLUGINS"  # names the packages to load, separated by commas

Stage = Literal["metadata", "import", "register", "hook", "name"]


@dataclass(frozen=True)
class Provider:
    """The source of a plugin: an installed distribution's entry point, or a file or module given with -p."""

    distribution: str
    version: str | None
    entry_point: str
    module: str  # the module that contains the hooks
    given: str | None = field(default=None, compare=False)  # with -p: the file's absolute path or the module's name

    @property
    def source(self) -> str:
        """A hash of the source code: it detects edits that leave the version unchanged.

        Raises `NotComparableError` if the code that runs is older than its files, and would get the hash of the new.
        """
        if (file := edited_file(self.module)) is not None:
            raise NotComparableError(
                f"{self}: {file} was edited after this process imported it, so the old code would run; start again, in "
                "a notebook by restarting Python"
            )
        return source_hash(self.module)

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}" if self.version else self.distribution


@dataclass(frozen=True)
class LoadFailure:
    """A plugin or provider that failed to load, with the stage and the cause."""

    provider: Provider
    stage: Stage
    cause: str

    def __str__(self) -> str:
        point = f", entry point '{self.provider.entry_point}'" if self.provider.entry_point else ""
        return f"{self.provider}{point}, {self.stage}: {self.cause}"


def installed_plugins(group: str) -> tuple[list[tuple[Provider, EntryPoint]], list[LoadFailure]]:
    """Return the installed entry points of a group, in a fixed order, and failures to read them.

    `importlib.metadata.entry_points` is not used because it raises for all distributions if a single one is broken.
    Raises `UsageError` if the environment variable names a distribution without plugins.
    """
    found, failures = [], []
    for distribution in visible_distributions():
        try:
            text = distribution.read_text("entry_points.txt") or ""
            points = list(distribution.entry_points.select(group=group)) if group in text else []
        except Exception as error:
            cause = (
                f"cannot read entry_points.txt: {describe(error)}; reinstall the package, or remove "
                f"{metadata_folder(distribution)}"
            )
            failures.append(LoadFailure(Provider(folder_name(distribution), None, "", ""), "metadata", cause))
            continue
        named = name_and_version(distribution) if points else None  # once: reading them is slow
        for point in points:
            try:
                found.append((make_provider(distribution, named, point), point))
            except ValueError as error:
                provider = Provider(folder_name(distribution), None, point.name, "")
                failures.append(LoadFailure(provider, "metadata", str(error)))
    return filter_by_environment(found, failures)


def visible_distributions() -> Iterator[Distribution]:
    """Yield each distribution once: the first of its name on the import path."""
    seen = set()
    for distribution in distributions():
        name = re.sub(r"[-_.]+", "-", folder_name(distribution)).lower()
        if name not in seen:
            seen.add(name)
            yield distribution


def folder_name(distribution: Distribution) -> str:
    """Return the name in the metadata folder's name, `NAME-1.0.dist-info`: fast, and it works without METADATA."""
    return PurePath(metadata_folder(distribution)).stem.partition("-")[0]


def metadata_folder(distribution: Distribution) -> str:
    return str(getattr(distribution, "_path", None) or distribution.metadata["Name"])


def name_and_version(distribution: Distribution) -> tuple[str, str] | None:
    """Return both, or None if the metadata lacks one or cannot be read."""
    with suppress(Exception):  # Python versions differ in how they handle a missing METADATA
        metadata = distribution.metadata
        if metadata["Name"] and metadata["Version"]:
            return metadata["Name"], metadata["Version"]
    return None


def make_provider(distribution: Distribution, named: tuple[str, str] | None, point: EntryPoint) -> Provider:
    """Return the provider of an entry point; `named` is what `name_and_version` returns.

    Raises `ValueError` if the distribution's metadata or the entry point is invalid.
    """
    if named is None:
        raise ValueError(
            f"{metadata_folder(distribution)}: METADATA with a name and a version not found, perhaps after an "
            "interrupted uninstall; reinstall the package, or remove the folder"
        )
    try:
        return Provider(*named, point.name, point.module)
    except (AttributeError, AssertionError):  # versions of Python differ
        raise ValueError(f"'{point.value}' is not MODULE or MODULE:OBJECT; reinstall the package") from None


def filter_by_environment(
    found: list[tuple[Provider, EntryPoint]], failures: list[LoadFailure]
) -> tuple[list[tuple[Provider, EntryPoint]], list[LoadFailure]]:
    """Keep only the distributions that the environment variable names, if any; sort the entry points."""
    names = [name.strip() for name in os.environ.get(ONLY_VARIABLE, "").split(",") if name.strip()]
    if names:
        from packaging.utils import canonicalize_name

        requested = {canonicalize_name(name) for name in names}
        found = [pair for pair in found if canonicalize_name(pair[0].distribution) in requested]
        failures = [failure for failure in failures if canonicalize_name(failure.provider.distribution) in requested]
        providers = [provider for provider, _ in found] + [failure.provider for failure in failures]
        missing = requested - {canonicalize_name(provider.distribution) for provider in providers}
        if missing:
            raise UsageError(f"{ONLY_VARIABLE}: no ganbench plugins are installed from: {', '.join(sorted(missing))}")
    return sorted(found, key=lambda pair: (pair[0].distribution, pair[0].entry_point)), failures
