"""What -o says: values put into a spec by their dotted paths."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from ganbench.errors import UsageError
from ganbench.plugin.registrations import MetricPlugin


def apply_overrides(spec: Mapping[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """A copy of the spec with each `path=value` put in its place, value as TOML or else a plain string.

    `model=NAME` is short for `model.name=NAME`. Naming another plugin drops the options of the one before. Setting
    `training.epochs` replaces `training.steps` and the other way round.
    """
    result = copy.deepcopy(dict(spec))
    parsed = [_parse_override(text) for text in overrides]
    parsed.sort(key=lambda override: len(override[0]))  # a plugin is named before its options are set
    for path, value in parsed:
        _set(result, path, value)
    lengths = {path[1] for path, _ in parsed if path in (["training", "epochs"], ["training", "steps"])}
    if len(lengths) == 1:
        result["training"].pop("steps" if "epochs" in lengths else "epochs", None)
    return result


def _parse_override(text: str) -> tuple[list[str], Any]:
    path, equals, raw = (part.strip() for part in text.partition("="))
    parts = path.split(".")
    if not equals or not all(parts):
        raise UsageError(f"-o {text}: write it as PATH=VALUE, such as -o training.batch_size=128")
    if len(parts) > 1 and parts[-1] == "name":
        parts.pop()
    try:
        parsed = tomllib.loads(f"value = {raw}")
    except (ValueError, RecursionError):
        parsed = {"value": raw}
    return parts, parsed["value"] if parsed.keys() == {"value"} else raw


def _set(spec: dict[str, Any], path: list[str], value: Any) -> None:
    """Put `value` where `path` leads, making the tables on the way that are not there."""
    node: Any = spec
    for depth, part in enumerate(path):
        if isinstance(node, list):
            where = ".".join(path[:depth])
            adds = part == str(len(node)) and depth == len(path) - 1
            if not adds and (not part.isdecimal() or int(part) >= len(node)):
                raise UsageError(
                    f"-o {'.'.join(path)}: '{part}' is not an entry of {where}, which has {len(node)}; "
                    f"-o {where}.{len(node)}=VALUE adds one"
                )
            key: Any = int(part)
            if adds:
                node.append({})
        else:
            key = part
            node.setdefault(key, {})
        if depth == len(path) - 1:
            node[key] = _renamed(node[key], value, is_metric=path[0] == "metrics" and len(path) == 2)
            return
        if isinstance(node[key], str):  # a plugin given by its bare name
            node[key] = {"name": node[key]}
        node = node[key]
        if not isinstance(node, dict | list):
            raise UsageError(f"-o {'.'.join(path)}: {'.'.join(path[: depth + 1])} is a value, not a table")


def _renamed(old: Any, value: Any, is_metric: bool) -> Any:
    """The plugin's table under a new name, with what is the engine's in it; where there was none, the value itself."""
    if not isinstance(old, dict) or "name" not in old or not isinstance(value, str):
        return value
    if old["name"] == value:
        return old
    kept = MetricPlugin.reserved if is_metric else frozenset()
    return {**{key: item for key, item in old.items() if key in kept}, "name": value}
