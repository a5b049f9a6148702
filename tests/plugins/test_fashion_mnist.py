"""The sources of FashionMNIST, and the rejection of any other data."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest
import torch
from published_files import Files, altered, idx, put, serve, sha256, truncated
from torchvision.datasets import FashionMNIST

from ganbench import DataError, ImageData
from ganbench.plugin.kinds import Kind
from ganbench.plugin.registry import Registry
from ganbench_datasets.fashion_mnist import sources
from ganbench_datasets.fashion_mnist.sources import embedded_subset, load

TRAIN_IMAGES = "train-images-idx3-ubyte"
FULL_FINGERPRINT = sources.FULL.fingerprint  # of the published files, before this file's patches


@pytest.fixture(scope="module")
def unpacked() -> Files:
    """The four files, with the content of the embedded subset."""
    with np.load(sources.SUBSET) as subset:
        return {
            f"{prefix}-{kind}-idx{dimensions}-ubyte": idx(subset[f"{split}_{kind}"])
            for prefix, split in (("train", "train"), ("t10k", "test"))
            for kind, dimensions in (("images", 3), ("labels", 1))
        }


@pytest.fixture(scope="module")
def packed(unpacked: Files) -> Files:
    return {f"{name}.gz": gzip.compress(content, compresslevel=1, mtime=0) for name, content in unpacked.items()}


@pytest.fixture(autouse=True)
def small_and_offline(unpacked: Files, packed: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat our four files as the published ones, without a Debian package and a network."""
    hashes = {name: sha256(content) for name, content in unpacked.items()}
    monkeypatch.setattr(sources, "FULL", replace(sources.FULL, sha256=hashes, debian_folder=tmp_path / "debian"))
    monkeypatch.setattr(FashionMNIST, "mirrors", [f"file://{tmp_path}/no-mirror/"])
    checksums = [(name, hashlib.md5(content).hexdigest()) for name, content in packed.items()]
    monkeypatch.setattr(FashionMNIST, "resources", checksums)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def raw(data_dir: Path) -> Path:
    """The folder in which a user places the files."""
    return sources.FULL.raw_folder(data_dir)


@pytest.fixture
def debian(tmp_path: Path) -> Path:
    """The folder of Debian's package."""
    return tmp_path / "debian"


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder served by a local web server, from which torchvision downloads."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve(folder) as address:
        monkeypatch.setattr(FashionMNIST, "mirrors", [address])
        yield folder


def assert_complete(data: ImageData, source: str) -> None:
    """Assert that the data has the content of the four files and the given source."""
    assert data.source == source
    assert data.notice is None
    assert data.fingerprint == sources.FULL.fingerprint
    subset = embedded_subset()
    for found, expected in ((data.train, subset.train), (data.test, subset.test)):
        assert all(torch.equal(*pair) for pair in zip(found.tensors, expected.tensors, strict=True))


@pytest.mark.parametrize("source", ["auto", "files"])
@pytest.mark.parametrize("form", ["unpacked", "packed"])
def test_files_in_the_data_folder_are_loaded(
    form: str, source: sources.Source, data_dir: Path, raw: Path, request: pytest.FixtureRequest
) -> None:
    put(request.getfixturevalue(form), raw)
    assert_complete(load(source, data_dir), "files")


def test_some_files_may_be_compressed_and_others_not(data_dir: Path, raw: Path, unpacked: Files, packed: Files) -> None:
    put({name: unpacked[name] for name in unpacked if "images" in name}, raw)
    put({name: packed[name] for name in packed if "labels" in name}, raw)
    assert_complete(load("files", data_dir), "files")


def test_debians_files_are_decompressed_once_and_not_needed_afterwards(
    data_dir: Path, raw: Path, debian: Path, unpacked: Files, packed: Files
) -> None:
    put(packed, debian)
    assert_complete(load("auto", data_dir), "files")
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == unpacked
    for archive in debian.iterdir():
        archive.unlink()
    assert_complete(load("auto", data_dir), "files")


def test_a_download_ends_with_the_files_in_place(
    data_dir: Path, raw: Path, mirror: Path, unpacked: Files, packed: Files
) -> None:
    put(packed, mirror)
    assert_complete(load("download", data_dir), "download")
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == unpacked
    assert_complete(load("files", data_dir), "files")


def test_auto_prefers_files_to_a_download_to_the_embedded_subset(data_dir: Path, mirror: Path, packed: Files) -> None:
    assert load("auto", data_dir).source == "embedded"
    put(packed, mirror)
    assert load("auto", data_dir).source == "download"
    assert load("auto", data_dir).source == "files"


def test_without_a_network_auto_uses_the_embedded_subset_with_a_notice(data_dir: Path, raw: Path, debian: Path) -> None:
    data = load("auto", data_dir)
    assert data.source == "embedded"
    assert data.notice is not None
    assert "EMBEDDED SUBSET of 5,000 images" in data.notice
    assert all(str(place) in data.notice for place in (raw, debian, "no-mirror"))
    assert embedded_subset().notice is None  # who asks for the subset needs no warning


def test_a_requested_download_without_a_network_is_an_error(data_dir: Path) -> None:
    with pytest.raises(DataError, match=re.escape(f"download into {data_dir} failed: ")) as raised:
        load("download", data_dir)
    assert "no-mirror" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_truncated_download_leaves_nothing_behind(data_dir: Path, raw: Path, mirror: Path, packed: Files) -> None:
    put({**packed, f"{TRAIN_IMAGES}.gz": packed[f"{TRAIN_IMAGES}.gz"][:1000]}, mirror)
    with pytest.raises(DataError, match=re.escape(f"download into {data_dir} failed")):
        load("download", data_dir)
    assert not list(raw.iterdir())


def test_an_invalid_response_of_a_mirror_counts_as_no_network(
    data_dir: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SimpleHTTPRequestHandler, "handle", lambda self: self.wfile.write(b"no HTTP\r\n\r\n"))
    assert load("auto", data_dir).source == "embedded"


def test_the_error_for_missing_files_says_where_to_put_them(data_dir: Path, raw: Path, debian: Path) -> None:
    with pytest.raises(DataError) as raised:
        load("files", data_dir)
    message = str(raised.value)
    assert f"Put the four files {', '.join(sources.FULL.sha256)} (or their .gz)" in message
    assert all(hint in message for hint in (str(raw), str(debian), "dataset.source=download|embedded"))


@pytest.mark.parametrize("source", ["auto", "files"])
@pytest.mark.parametrize("damage", [truncated, altered])
@pytest.mark.parametrize("name", [TRAIN_IMAGES, "t10k-labels-idx1-ubyte"])
def test_the_error_for_a_corrupt_file_names_it_with_both_hashes(
    name: str, damage: Callable[[bytes], bytes], source: sources.Source, data_dir: Path, raw: Path, unpacked: Files
) -> None:
    damaged = damage(unpacked[name])
    put({**unpacked, name: damaged}, raw)
    with pytest.raises(DataError) as raised:
        load(source, data_dir)
    assert all(fact in str(raised.value) for fact in (str(raw / name), sha256(unpacked[name]), sha256(damaged)))


ARCHIVE_DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: content[:0],
    "header cut": lambda content: content[:5],
    "truncated": truncated,
    "end cut": lambda content: content[:-4],
    "altered": altered,
    "of another dataset": lambda content: gzip.compress(altered(gzip.decompress(content)), compresslevel=1),
}


@pytest.mark.parametrize("damage", ARCHIVE_DAMAGES.values(), ids=ARCHIVE_DAMAGES.keys())
@pytest.mark.parametrize("place", ["raw", "debian"])
def test_the_error_for_a_corrupt_archive_names_it_and_no_partial_file_remains(
    place: str,
    damage: Callable[[bytes], bytes],
    data_dir: Path,
    raw: Path,
    packed: Files,
    request: pytest.FixtureRequest,
) -> None:
    archive = request.getfixturevalue(place) / f"{TRAIN_IMAGES}.gz"
    put({**packed, archive.name: damage(packed[archive.name])}, archive.parent)
    with pytest.raises(DataError, match=re.escape(str(archive))):
        load("auto", data_dir)
    assert {path.name for path in raw.iterdir()} <= packed.keys()


def test_torchvisions_old_processed_files_are_not_used(data_dir: Path, raw: Path, unpacked: Files) -> None:
    put(unpacked, raw)
    processed = raw.with_name("processed")
    processed.mkdir()
    for name in ("training.pt", "test.pt"):
        torch.save((torch.zeros(7, 28, 28, dtype=torch.uint8), torch.zeros(7)), processed / name)
    assert_complete(load("files", data_dir), "files")


def test_the_error_for_a_read_only_data_folder_names_it(data_dir: Path, debian: Path, packed: Files) -> None:
    data_dir.write_text("a file where the folder should be")
    with pytest.raises(DataError, match=f"cannot write to {data_dir}"):
        load("download", data_dir)
    with pytest.raises(DataError, match=f"cannot write to {data_dir}"):
        load("auto", data_dir)  # the user's mistake is no reason to train on less
    put(packed, debian)
    with pytest.raises(DataError, match=rf"cannot decompress {debian}/.* to {data_dir}/"):
        load("auto", data_dir)


@pytest.mark.parametrize(("split", "images_a_class"), [("train", 500), ("test", 100)])
def test_the_embedded_subset_is_balanced(split: str, images_a_class: int) -> None:
    images, labels = getattr(embedded_subset(), split).tensors
    assert images.shape == (10 * images_a_class, 1, 28, 28)
    assert images.dtype == torch.uint8
    assert labels.bincount().tolist() == [images_a_class] * 10


def test_the_embedded_images_show_clothing_with_the_right_labels() -> None:
    """Two thirds of the test images are closest to the mean train image of their class; for noise, a tenth would be."""
    data = embedded_subset()
    (train, train_labels), (test, test_labels) = data.train.tensors, data.test.tensors
    means = torch.stack([train[train_labels == label].float().mean(0).flatten() for label in range(10)])
    nearest = torch.cdist(test.flatten(1).float(), means).argmin(1)
    assert (nearest == test_labels).double().mean() > 0.6


def test_fingerprints_are_equal_if_and_only_if_the_content_is(
    data_dir: Path, debian: Path, raw: Path, mirror: Path, tmp_path: Path, unpacked: Files, packed: Files
) -> None:
    put(unpacked, raw)
    put(packed, mirror)
    put(packed, debian)
    from_files, from_debian = load("files", data_dir), load("files", tmp_path / "other")
    downloaded, embedded = load("download", tmp_path / "third"), load("embedded", data_dir)
    assert from_files.fingerprint == from_debian.fingerprint == downloaded.fingerprint
    assert embedded.fingerprint not in (from_files.fingerprint, FULL_FINGERPRINT)


def test_the_homeworks_published_curve_belongs_to_the_full_data(registry: Registry) -> None:
    benchmark = registry.find(Kind.BENCHMARK, "dcgan-fashion").plugin
    assert benchmark.published_curve.data_fingerprint == FULL_FINGERPRINT
