"""Everything that users write, and all JSON that ganbench writes, says what it is, and when it may be null."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from pydantic import BaseModel
from rich.text import Text
from typer.main import get_command

from ganbench import EpochRow, Registry
from ganbench.cli import app
from ganbench.plugin.registrations import Buildable
from ganbench.results.record import Record
from ganbench.spec.schema_files import schema_files
from ganbench_docs.commands import leaves

WINGS = ("gate", "reporting", "results", "spec", "suite")  # in which records are defined
WITHOUT = ("default:", "no default", "null")  # how an option says what happens if it is not set


def fields(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the fields in a JSON schema with their paths, except those in conditions."""
    if isinstance(node, list):
        for number, item in enumerate(node):
            yield from fields(item, f"{path}/{number}")
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "properties":
                yield from ((f"{path}/{name}", field) for name, field in value.items())
            if key != "if":
                yield from fields(value, f"{path}/{key}")


def undescribed(found: Iterable[tuple[str, dict[str, Any]]], absence: tuple[str, ...]) -> list[str]:
    """Return the fields without a description, or without a word of `absence` in it although they may be null."""
    return [
        path
        for path, field in found
        if not (said := field.get("description", ""))
        or (is_nullable(field) and not any(words in said for words in absence))
    ]


def is_nullable(field: dict[str, Any]) -> bool:
    return field.get("type") == "null" or any(map(is_nullable, field.get("anyOf", [])))


@pytest.fixture(scope="module")
def records() -> list[type[BaseModel]]:
    """All records that ganbench writes as JSON."""
    for wing in WINGS:
        package = importlib.import_module(f"ganbench.{wing}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    return [EpochRow, *below(Record)]


def below(record: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for each in record.__subclasses__():
        if each.__module__.startswith("ganbench."):
            yield each
            yield from below(each)


def test_fields_in_the_shipped_schemas_are_described(registry: Registry) -> None:
    for file, schema in schema_files(registry).items():
        found = list(fields(schema))
        assert len(found) > 10, file
        assert undescribed(found, WITHOUT) == [], file


def test_options_of_plugins_are_described(registry: Registry) -> None:
    for found in registry.all_plugins():
        if isinstance(found.plugin, Buildable) and found.provider.distribution == "ganbench":
            options = found.plugin.options.model_json_schema().get("properties", {})
            assert undescribed(options.items(), WITHOUT) == [], found


def test_fields_of_all_json_are_described(records: list[type[BaseModel]]) -> None:
    names = {record.__name__ for record in records}
    assert names >= {"Result", "Baseline", "SuiteRecord", "CheckRecord", "ComparisonRecord", "LeaderboardRecord"}
    for record in records:
        assert undescribed(record.model_json_schema()["properties"].items(), ("null",)) == [], record
        assert "__doc__" in vars(record), record


def test_arguments_and_options_of_commands_are_described() -> None:
    root: Any = get_command(app)
    for name, command in [("ganbench", root), *leaves("ganbench", root)]:
        assert command.help, name
        for parameter in command.params:
            assert (parameter.help or "").endswith("."), f"{name}: {parameter.opts}"


def test_no_brackets_in_the_help_of_commands_are_taken_for_markup() -> None:
    root: Any = get_command(app)
    for name, command in [("ganbench", root), *leaves("ganbench", root)]:
        for text in (command.help, *(parameter.help for parameter in command.params)):
            assert Text.from_markup(text).plain == text, name
