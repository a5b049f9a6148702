"""Overrides of spec fields by dotted path, given with -o."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ganbench.errors import UsageError

from .configs import MetricConfig, OptimizerConfig, PenaltyConfig, PluginConfig
from .ids import is_default_id

EXPECTED = "PATH=VALUE, such as -o training.batch_size=128"


def apply_overrides(
    spec: Mapping[str, Any], overrides: Iterable[str], option: str = "-o", expected: str = EXPECTED
) -> dict[str, Any]:
    """Return a copy of the spec with each `path=value` applied; a value that is not valid TOML is a plain string.

    `model=NAME` is short for `model.name=NAME`. Choosing another plugin drops the options of the previous one. Setting
    `training.epochs` replaces `training.steps`, and vice versa.

    Raises `UsageError` for an override that cannot be applied; the message names the `option` with which it was given,
    and says what is `expected`.
    """
    settings = [_parse_override(text, option, expected) for text in overrides]
    try:
        return apply_settings(spec, settings)
    except UsageError as error:
        raise UsageError(f"{option} {error}") from None


def apply_settings(spec: Mapping[str, Any], settings: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return a copy of the spec with each field at a dotted path set, by the rules of `apply_overrides`.

    Raises `UsageError` that begins with the path if that is impossible.
    """
    result = copy.deepcopy(dict(spec))
    split = [(_split(path), copy.deepcopy(value)) for path, value in settings]
    split.sort(key=lambda setting: len(setting[0]))  # choose a plugin before setting its options
    for path, value in split:
        _set(result, path, value)
    lengths = {path[1] for path, _ in split if path in (["training", "epochs"], ["training", "steps"])}
    if len(lengths) == 1:
        result["training"].pop("steps" if "epochs" in lengths else "epochs", None)
    return result


def _parse_override(text: str, option: str, expected: str) -> tuple[str, Any]:
    path, equals, raw = (part.strip() for part in text.partition("="))
    if not equals or not all(path.split(".")):
        raise UsageError(f"{option} {text}: expected {expected}")
    try:
        parsed = tomllib.loads(f"value = {raw}")
    except (ValueError, RecursionError) as error:
        if raw.startswith(("{", "[")):
            raise UsageError(
                f"{option} {text}: not a TOML table or list: {error}; strings in it need quotes, as in "
                '{name = "kid"} or ["fid"]'
            ) from None
        parsed = {"value": raw}
    return path, parsed["value"] if parsed.keys() == {"value"} else raw


def _split(path: str) -> list[str]:
    parts = path.split(".")
    return parts[:-1] if len(parts) > 1 and parts[-1] == "name" else parts


def _set(spec: dict[str, Any], path: list[str], value: Any) -> None:
    """Set the field at `path` to `value`, creating missing tables on the way."""
    node: Any = spec
    for depth, part in enumerate(path):
        if isinstance(node, list):
            where = ".".join(path[:depth])
            appends = part == str(len(node)) and depth == len(path) - 1
            if not appends and (not part.isdecimal() or int(part) >= len(node)):
                raise UsageError(
                    f"{'.'.join(path)}: '{part}' is not an index of {where}, which has length {len(node)}; "
                    f"set {where}.{len(node)} to append an entry"
                )
            key: Any = int(part)
            if appends:
                node.append({})
        else:
            key = part
            node.setdefault(key, [] if path[depth + 1 : depth + 2] == ["0"] else {})
        if depth == len(path) - 1:
            node[key] = _replace_plugin(node[key], value, kept_keys(path))
            return
        if isinstance(node[key], str):  # a plugin given by name only
            node[key] = {"name": node[key]}
        node = node[key]
        if not isinstance(node, dict | list):
            raise UsageError(f"{'.'.join(path)}: {'.'.join(path[: depth + 1])} is a value, not a table")


def kept_keys(path: Sequence[str]) -> set[str]:
    """Return the keys in a plugin's table that are not options of the plugin, so that another plugin keeps them."""
    configs: dict[str, type[PluginConfig]] = {
        "metrics": MetricConfig,
        "penalties": PenaltyConfig,
        "optimizer": OptimizerConfig,
    }
    return configs[path[0]].engine_keys() if len(path) == 2 and path[0] in configs else set()


def _replace_plugin(old: Any, value: Any, kept: set[str]) -> Any:
    """Return the plugin's table with a new name, and only these other keys; for other fields, the value."""
    if not isinstance(old, dict) or "name" not in old or not isinstance(value, str):
        return value
    if old["name"] == value:
        return old
    kept = kept - {"id"} if is_default_id(old) else kept
    return {"name": value, **{key: item for key, item in old.items() if key in kept}}
