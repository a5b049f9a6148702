"""Identity by content: hashes of the data, of frozen networks and of options, whatever their names and versions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import torch
from pydantic import BaseModel
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from ganbench.plugin.interfaces import ImageData, Split
from ganbench.results.schema import PluginRecord
from ganbench.spec.configs import DatasetConfig, PluginConfig
from ganbench.system.source import all_files, content_hash, hash_files

MAX_HASHED_BYTES = 2**30  # of a split in memory; a larger one is sampled
SAMPLED_IMAGES = 1000  # of a split that is too large to be hashed whole, or read image by image
DIGITS = 16  # of a SHA-256, in hexadecimal, where a protocol shows it


def data_content(data: ImageData, choice: DatasetConfig) -> tuple[str, str]:
    """The SHA-256 of the images and labels of both splits, and which of them it covers.

    Where splits are sampled, the hash also covers what the plugin declares: its fingerprint and its options.
    """
    digest = hashlib.sha256(f"{data.num_classes} classes".encode())
    sampled = False
    splits = [data.train] if data.test is None or data.test is data.train else [data.train, data.test]
    for split in splits:
        digest.update(f"\0{len(split)} images".encode())
        sampled |= not hash_split(split, digest)
    if not sampled:
        return digest.hexdigest(), "all images"
    digest.update(f"\0{data.fingerprint}{options_identity(choice.options)}".encode())
    return digest.hexdigest(), f"{SAMPLED_IMAGES:,} images of each split, and the declared fingerprint"


def hash_split(split: Split, digest: Any) -> bool:
    """Add a split to the digest; returns whether all of it was added, and not a sample of evenly spaced images."""
    if type(split) is TensorDataset and sum(tensor.nbytes for tensor in split.tensors) <= MAX_HASHED_BYTES:
        for tensor in split.tensors:
            hash_tensor(tensor, digest)
        return True
    positions = torch.linspace(0, len(split) - 1, min(SAMPLED_IMAGES, len(split))).round().int()
    for index in positions.unique().tolist():
        image, label = split[index]
        hash_tensor(image, digest)
        digest.update(f"\0label {int(label)}".encode())
    return False


def hash_tensor(tensor: Tensor, digest: Any) -> None:
    digest.update(f"\0{tuple(tensor.shape)} {tensor.dtype}".encode())
    digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())


def state_hash(module: nn.Module) -> str:
    """A hash of all parameters and buffers that a module saves."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"\0{name}".encode())
        if isinstance(value, Tensor):
            hash_tensor(value, digest)
    return digest.hexdigest()[:DIGITS]


def config_identity(choice: PluginConfig, name: str) -> dict[str, Any]:
    """A plugin with its options under dotted names; a frozen network that it was built as, by its weights."""
    identity = {name: f"{choice.name}@{choice.plugin.provider.distribution}"}
    options = options_identity(choice.options)
    if isinstance(choice.built, nn.Module):
        identity[f"{name}.state"] = state_hash(choice.built)
        fields = type(choice.options).model_fields
        files = {field for field, info in fields.items() if Path in (info.annotation, *get_args(info.annotation))}
        options = {key: value for key, value in options.items() if key not in files}  # the state says what they held
    return identity | {f"{name}.{key}": value for key, value in options.items()}


def options_identity(options: BaseModel) -> dict[str, Any]:
    """A plugin's options under dotted names: files by their content, plugins by their own options."""
    plain = options.model_dump(mode="json")
    identity: dict[str, Any] = {}
    for name, value in options:
        identity |= value_identity(name, value, plain[name])
    return identity


def value_identity(name: str, value: Any, plain: Any) -> dict[str, Any]:
    """One option; `plain` is its value as JSON has it."""
    if isinstance(value, PluginConfig):
        return config_identity(value, name)
    if isinstance(value, Path):
        return {name: path_identity(value) if value.exists() else plain}
    if isinstance(value, BaseModel):
        return {f"{name}.{key}": item for key, item in options_identity(value).items()}
    if isinstance(value, list | tuple | Mapping):
        keys = list(value) if isinstance(value, Mapping) else range(len(value))
        if any(isinstance(value[key], PluginConfig | Path | BaseModel) for key in keys):
            nested: dict[str, Any] = {}
            for key in keys:
                nested |= value_identity(f"{name}.{key}", value[key], plain[key])
            return nested
    return {name: plain}


def path_identity(path: Path) -> str:
    """The content of a file, or of all files in a folder, wherever it lies."""
    if path.is_file():
        return f"content {content_hash(path).hex()[:DIGITS]}"
    return f"content {hash_files({file.relative_to(path).as_posix(): file for file in all_files(path).values()})}"


def software_of(choice: PluginConfig) -> dict[str, str]:
    """The distributions that provide a plugin and those in its options, with versions and hashes of their source."""
    records = [PluginRecord.model_validate(used.plugin.record()) for used in choice.nested()]
    return {f"{record.kind} {record.name}": str(record) for record in records}
