"""Content-based identity: hashes of data, frozen networks and options, independent of names and versions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeGuard, get_args

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from ganbench.plugin.interfaces import ImageData, Split
from ganbench.results.schema import PluginRecord
from ganbench.spec.configs import DatasetConfig, PluginConfig
from ganbench.system.source import all_files, content_hash, hash_files

MAX_HASHED_BYTES = 2**30  # splits in memory up to this size are hashed completely
MIN_DIFFERENT = 0.9  # fraction of the train images; some datasets have a few copies
SAMPLED_IMAGES = 1000  # images hashed in splits that are larger, or read item by item
DIGITS = 16  # hexadecimal digits of a SHA-256 in a protocol
OWN_ENTRIES = frozenset(  # of a protocol, set by ganbench and not by plugins
    (
        *("data", "data_basis", "split", "real_samples", "real_compression"),
        *("generated_samples", "quantization", "compression", "channels", "weights", "batch_norm", "labels"),
    )
)


def data_content(data: ImageData, config: DatasetConfig) -> tuple[str, str]:
    """Return the SHA-256 of the images and labels of both splits, and a description of the images it covers.

    If splits are sampled, the hash also covers the fingerprint and the options declared by the plugin.
    """
    digest = hashlib.sha256(f"{data.num_classes} classes".encode())
    sampled = False
    splits = [data.train] if data.test is None or data.test is data.train else [data.train, data.test]
    for split in splits:
        digest.update(f"\0{len(split)} images".encode())
        sampled |= not hash_split(split, digest)
    if not sampled:
        return digest.hexdigest(), "all images"
    digest.update(f"\0{data.fingerprint}{options_identity(config.options)}".encode())
    return digest.hexdigest(), f"{SAMPLED_IMAGES:,} images of each split, and the declared fingerprint"


def hash_split(split: Split, digest: Any) -> bool:
    """Add a split to the digest; return whether it was hashed completely, not by evenly spaced sample images."""
    if is_hashed(split):
        for tensor in split.tensors:
            hash_tensor(tensor, digest)
        return True
    positions = torch.linspace(0, len(split) - 1, min(SAMPLED_IMAGES, len(split))).round().int()
    positions = positions.clamp(max=len(split) - 1)  # float32 rounds integers beyond 2**24
    for index in positions.unique().tolist():
        image, label = split[index]
        hash_tensor(image, digest)
        digest.update(f"\0label {int(label)}".encode())
    return False


def is_hashed(split: Split) -> TypeGuard[TensorDataset]:
    """Return whether a split is in memory and small enough to be hashed completely."""
    return type(split) is TensorDataset and sum(tensor.nbytes for tensor in split.tensors) <= MAX_HASHED_BYTES


def hash_tensor(tensor: Tensor, digest: Any) -> None:
    digest.update(f"\0{tuple(tensor.shape)} {tensor.dtype}".encode())
    digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())


def digests(images: np.ndarray) -> Iterator[bytes]:
    """Yield a hash of each image."""
    for image in images:
        yield hashlib.blake2b(image.tobytes(), digest_size=16).digest()


def copied_test_images(data: ImageData) -> int:
    """Return how many test images are exactly like a train image, as far as splits are hashed completely.

    Return 0 if many train images are alike: data with few different values has equal images in all splits. Vectors are
    not searched.
    """
    if len(data.data_shape) != 3 or data.test is None or data.test is data.train:
        return 0
    if not (is_hashed(data.train) and is_hashed(data.test)):
        return 0
    train, test = (split.tensors[0].cpu().numpy() for split in (data.train, data.test))
    known = set(digests(train))
    if len(known) < MIN_DIFFERENT * len(train):
        return 0
    return sum(digest in known for digest in digests(test))


def state_hash(module: nn.Module) -> str:
    """Return a hash of all parameters and buffers in a module's `state_dict`."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"\0{name}".encode())
        if isinstance(value, Tensor):
            hash_tensor(value, digest)
    return digest.hexdigest()[:DIGITS]


def config_identity(config: PluginConfig, name: str) -> dict[str, Any]:
    """Return a plugin and its options by dotted names, with a hash of the weights if it was built as a network.

    Files in the options count by their content. The file `weights` of a network does not, because the network is the
    same with it and with the same weights from elsewhere.
    """
    identity = {name: f"{config.plugin.plugin.name}@{config.plugin.provider.distribution}"}
    options = options_identity(config.options)
    if isinstance(config.built, nn.Module):
        identity[f"{name}.state"] = state_hash(config.built)
    if isinstance(config.built, nn.Module) and config.built.state_dict():
        weights = type(config.options).model_fields.get("weights")
        if weights is not None and Path in (weights.annotation, *get_args(weights.annotation)):
            del options["weights"]  # covered by the state hash
    return identity | {f"{name}.{key}": value for key, value in options.items()}


def networks_identity(config: PluginConfig, metric: Any, extractor: nn.Module | None) -> dict[str, Any]:
    """Return the hashes of the weights of a metric's extractor and of other networks that are its attributes.

    Networks that `config_identity` hashes are left out: those of nested configs, and the metric if it is one itself.
    """
    hashed = {id(used.built) for used in config.nested()}
    attributes = {**getattr(metric, "__dict__", {}), "features": extractor}
    return {
        f"metric.{name}.state": state_hash(value)
        for name, value in attributes.items()
        if isinstance(value, nn.Module) and id(value) not in hashed and value.state_dict()
    }


def add_declared(protocol: dict[str, Any], declared: Mapping[str, Any], owner: str) -> None:
    """Add to a protocol what the `owner`, such as the extractor, declares.

    An entry whose name is taken, such as `data`, is added as "data of the extractor": replacing the other would make
    scores comparable that are not.
    """
    for name, value in declared.items():
        taken = name in protocol or name in OWN_ENTRIES
        protocol[f"{name} of the {owner}" if taken else name] = value


def options_identity(options: BaseModel) -> dict[str, Any]:
    """Return a plugin's options by dotted names: files by their content, plugins by their own options."""
    plain = options.model_dump(mode="json")
    identity: dict[str, Any] = {}
    for name, value in options:
        identity |= value_identity(name, value, plain[name])
    return identity


def value_identity(name: str, value: Any, plain: Any) -> dict[str, Any]:
    """Return the identity of one option; `plain` is its value in JSON types."""
    if isinstance(value, PluginConfig):
        return config_identity(value, name)
    if isinstance(value, Path):
        return {name: path_identity(value) if value.exists() else plain}
    if isinstance(value, BaseModel):
        return {f"{name}.{key}": item for key, item in options_identity(value).items()}
    if (held := parts_of(value)) and any(map(has_identity, held.values())):
        nested: dict[str, Any] = {}
        for key, part in held.items():
            if isinstance(plain, list) or key in plain:  # a dataclass may have fields that are no options
                nested |= value_identity(f"{name}.{key}", part, plain[key])
        return nested
    return {name: plain}


def parts_of(value: Any) -> Mapping[Any, Any]:
    """Return what a list, a table or a dataclass holds; nothing for other values."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, list | tuple):
        return dict(enumerate(value))
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    return {}


def has_identity(value: Any) -> bool:
    """Return whether the identity of a value is more than the value in JSON types."""
    return isinstance(value, PluginConfig | Path | BaseModel) or any(map(has_identity, parts_of(value).values()))


def path_identity(path: Path) -> str:
    """Return a hash of the content of a file, or of all files in a folder, independent of its location."""
    if path.is_file():
        return f"content {content_hash(path).hex()[:DIGITS]}"
    return f"content {hash_files({file.relative_to(path).as_posix(): file for file in all_files(path).values()})}"


def software_of(config: PluginConfig) -> dict[str, str]:
    """Return the distributions of a plugin and of the plugins in its options, with versions and source hashes."""
    records = [PluginRecord.model_validate(used.plugin.record()) for used in config.nested()]
    return {f"{record.kind} {record.name}": str(record) for record in records}
