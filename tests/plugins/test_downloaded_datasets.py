"""MNIST, KMNIST, CIFAR-10 and STL-10 from small stand-ins for the published files."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import re
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from published_files import altered, cifar_files, idx, md5, put, serve, sha256, truncated
from torch import Tensor
from torchvision.datasets import CIFAR10, KMNIST, MNIST, STL10
from torchvision.transforms import Resize

from ganbench import DataError, DatasetContext, DatasetPlugin, ImageData
from ganbench.testing import DatasetContract
from ganbench_datasets import cifar10, kmnist, mnist, stl10
from ganbench_datasets.downloads import download_folder
from ganbench_datasets.fashion_mnist.sources import SUBSET

CLOTHES, CLASSES = np.load(SUBSET)["train_images"], np.load(SUBSET)["train_labels"]
GRAY = {"train": (CLOTHES[:30], CLASSES[:30]), "t10k": (CLOTHES[30:50], CLASSES[30:50])}


def load(module: Any, data_dir: Path, **options: str) -> ImageData:
    return module.build(
        module.PLUGIN.options(**options), DatasetContext(data_dir=data_dir, cache_dir=data_dir / "cache", seed=0)
    )


def uncounted(plugin: DatasetPlugin) -> DatasetPlugin:
    """Return the plugin without the number of published images in its summary."""
    return plugin.model_copy(update={"summary": re.sub(r"[\d,]+ \+ [\d,]+ ", "", plugin.summary)})


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder served by a local web server, and its address."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve(folder) as address:
        yield folder, address


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.mark.parametrize("module", [mnist, cifar10])
def test_a_data_folder_that_may_not_be_searched_is_an_error(module: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot write to .*: File name too long; give another folder with --data-dir"):
        load(module, tmp_path / ("x" * 300))  # another error than a missing file, also for root


class TestIDX(DatasetContract):
    """MNIST, whose decompressed files are verified, and KMNIST, whose compressed files are."""

    @pytest.fixture
    def packed(self) -> dict[str, bytes]:
        return {
            f"{prefix}-{kind}-idx{array.ndim}-ubyte.gz": gzip.compress(idx(array), mtime=0)
            for prefix, arrays in GRAY.items()
            for kind, array in zip(("images", "labels"), arrays, strict=True)
        }

    @pytest.fixture(params=[(mnist, MNIST), (kmnist, KMNIST)], ids=["mnist", "kmnist"], autouse=True)
    def under_test(
        self, request: pytest.FixtureRequest, packed: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.module, self.torchvision = request.param
        unpacked = {name.removesuffix(".gz"): gzip.decompress(content) for name, content in packed.items()}
        files = packed if self.module is kmnist else unpacked
        monkeypatch.setattr(self.module, "SHA256", {name: sha256(files[name]) for name in self.module.SHA256})
        monkeypatch.setattr(self.torchvision, "resources", [(name, md5(content)) for name, content in packed.items()])
        monkeypatch.setattr(self.torchvision, "mirrors", [f"file://{tmp_path}/no-mirror/"])
        type(self).plugin, type(self).data_dir = uncounted(self.module.PLUGIN), tmp_path / "contract"
        put(packed, self.raw(self.data_dir))

    def raw(self, data_dir: Path) -> Path:
        return data_dir / self.torchvision.__name__ / "raw"

    def assert_complete(self, data: ImageData) -> None:
        for split, (images, labels) in zip((data.train, data.test), GRAY.values(), strict=True):
            assert torch.equal(split.tensors[0], torch.tensor(images)[:, None])
            assert split.tensors[0].dtype == torch.uint8
            assert split.tensors[1].tolist() == labels.tolist()
        assert data.num_classes == 10

    def test_local_files_come_before_a_download(
        self, data_dir: Path, mirror: tuple[Path, str], packed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder, address = mirror
        put(packed, folder)
        monkeypatch.setattr(self.torchvision, "mirrors", [address])
        downloaded = load(self.module, data_dir)
        assert downloaded.source == "download"
        found = load(self.module, data_dir)
        assert found.source == "files"
        assert found.fingerprint == downloaded.fingerprint
        for data in (downloaded, found):
            self.assert_complete(data)

    def test_the_published_archives_suffice(self, data_dir: Path, packed: dict[str, bytes]) -> None:
        put(packed, self.raw(data_dir))
        self.assert_complete(load(self.module, data_dir, source="files"))

    def test_torchvisions_class_reads_the_same_images(
        self, data_dir: Path, packed: dict[str, bytes], mirror: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(packed, mirror[0])
        monkeypatch.setattr(self.torchvision, "mirrors", [mirror[1]])
        ours = load(self.module, data_dir)
        theirs = self.torchvision(data_dir.parent / "theirs", train=False, download=True)
        assert torch.equal(ours.test.tensors[0][:, 0], theirs.data)
        assert torch.equal(ours.test.tensors[1], theirs.targets)

    @pytest.mark.parametrize("damage", [truncated, altered])
    def test_the_error_for_a_corrupt_file_names_it(
        self, damage: Callable[[bytes], bytes], data_dir: Path, packed: dict[str, bytes]
    ) -> None:
        name = "t10k-labels-idx1-ubyte.gz"
        put({**packed, name: damage(packed[name])}, self.raw(data_dir))
        with pytest.raises(DataError, match=re.escape(str(self.raw(data_dir) / name))):
            load(self.module, data_dir)

    def test_errors_say_where_to_put_the_files(self, data_dir: Path) -> None:
        for source in ("auto", "files"):
            with pytest.raises(DataError, match="ut the four files train-images-idx3-ubyte") as raised:
                load(self.module, data_dir, source=source)
            assert str(self.raw(data_dir)) in str(raised.value)


Members = dict[str, bytes]
COLORS = np.random.default_rng(0).integers(0, 256, (24, 3, 96, 96), np.uint8)
COLOR_LABELS = np.arange(24) % 10


def small_cifar() -> Members:
    return cifar_files(COLORS[:, :, :32, :32], COLOR_LABELS) | {
        "batches.meta": pickle.dumps({"label_names": list("abcdefghij")})
    }


def stl_files() -> Members:
    splits = {"train": slice(10), "test": slice(10, 14), "unlabeled": slice(14, 24)}
    images = {f"{name}_X.bin": COLORS[part].transpose(0, 1, 3, 2).tobytes() for name, part in splits.items()}
    labels = {
        f"{name}_y.bin": (COLOR_LABELS[splits[name]] + 1).astype(np.uint8).tobytes() for name in ("train", "test")
    }
    return images | labels


def tar(folder: str, members: Members) -> bytes:
    """Return a tar.gz archive with the members in a folder."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz", compresslevel=1) as archive:
        for name, member in members.items():
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size = len(member)
            archive.addfile(entry, io.BytesIO(member))
    return content.getvalue()


class TestArchives(DatasetContract):
    """CIFAR-10 and STL-10."""

    @pytest.fixture(
        params=[(cifar10, CIFAR10, small_cifar), (stl10, STL10, stl_files)], ids=["cifar10", "stl10"], autouse=True
    )
    def under_test(self, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.module, self.torchvision, files = request.param
        self.members: Members = files()
        self.archive = tar(self.torchvision.base_folder, self.members)
        monkeypatch.setattr(self.module, "MD5", {name: md5(self.members[name]) for name in self.module.MD5})
        monkeypatch.setattr(self.torchvision, "tgz_md5", md5(self.archive))
        monkeypatch.setattr(self.torchvision, "url", f"file://{tmp_path}/no-mirror/{self.torchvision.filename}")
        type(self).plugin, type(self).data_dir = uncounted(self.module.PLUGIN), tmp_path / "contract"
        put({self.torchvision.filename: self.archive}, self.data_dir)

    def assert_complete(self, data: ImageData) -> None:
        size, counts = (32, (20, 4)) if self.module is cifar10 else (96, (10, 4))
        first = 0
        for split, count in zip((data.train, data.test), counts, strict=True):
            images: Tensor = split.tensors[0]
            part = slice(first, first + count)
            assert torch.equal(images, torch.tensor(COLORS[part, :, :size, :size]))
            assert split.tensors[1].tolist() == COLOR_LABELS[part].tolist()
            first += count
        assert data.num_classes == 10

    def test_an_archive_is_extracted_once_and_not_needed_afterwards(self, data_dir: Path) -> None:
        put({self.torchvision.filename: self.archive}, data_dir)
        self.assert_complete(load(self.module, data_dir))
        (data_dir / self.torchvision.filename).unlink()
        data = load(self.module, data_dir, source="files")
        assert data.source == "files"
        self.assert_complete(data)

    def test_a_download_leaves_the_extracted_files_only(
        self, data_dir: Path, mirror: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder, address = mirror
        put({self.torchvision.filename: self.archive}, folder)
        monkeypatch.setattr(self.torchvision, "url", f"{address}{self.torchvision.filename}")
        data = load(self.module, data_dir)
        assert data.source == "download"
        self.assert_complete(data)
        target = data_dir / self.torchvision.base_folder
        assert {path.name for path in target.iterdir()} <= set(self.members)
        assert load(self.module, data_dir).fingerprint == data.fingerprint

    def test_torchvisions_class_reads_the_same_images(self, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        put(self.members, data_dir / self.torchvision.base_folder)
        monkeypatch.setattr(self.torchvision, "_check_integrity", lambda _: True)
        ours = load(self.module, data_dir).test.tensors
        if self.module is cifar10:
            monkeypatch.setitem(CIFAR10.meta, "md5", md5(self.members["batches.meta"]))
            theirs = CIFAR10(data_dir, train=False)
            assert np.array_equal(ours[0].numpy(), theirs.data.transpose(0, 3, 1, 2))
            assert ours[1].tolist() == theirs.targets
        else:
            theirs = STL10(data_dir, split="test")
            assert np.array_equal(ours[0].numpy(), theirs.data)
            assert ours[1].tolist() == theirs.labels.tolist()

    @pytest.mark.parametrize("damage", [truncated, altered])
    def test_the_error_for_a_corrupt_archive_names_it_and_no_partial_file_remains(
        self, damage: Callable[[bytes], bytes], data_dir: Path
    ) -> None:
        put({self.torchvision.filename: damage(self.archive)}, data_dir)
        with pytest.raises(DataError, match=re.escape(str(data_dir / self.torchvision.filename))):
            load(self.module, data_dir)
        for file in (data_dir / self.torchvision.base_folder).iterdir():
            assert file.read_bytes() == self.members[file.name]

    def test_the_error_for_a_corrupt_extracted_file_names_it_with_both_hashes(self, data_dir: Path) -> None:
        name = next(name for name in self.members if name.startswith("test"))
        damaged = altered(self.members[name])
        put({**self.members, name: damaged}, data_dir / self.torchvision.base_folder)
        with pytest.raises(DataError, match=re.escape(name)) as raised:
            load(self.module, data_dir)
        assert md5(damaged) in str(raised.value)
        assert md5(self.members[name]) in str(raised.value)

    def test_errors_say_where_to_put_the_archive(self, data_dir: Path) -> None:
        for source in ("auto", "files"):
            with pytest.raises(DataError, match=f"ut {self.torchvision.filename} into {data_dir}"):
                load(self.module, data_dir, source=source)

    def test_a_download_with_other_content_is_rejected(
        self, data_dir: Path, mirror: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder, address = mirror
        put({self.torchvision.filename: altered(self.archive)}, folder)
        monkeypatch.setattr(self.torchvision, "url", f"{address}{self.torchvision.filename}")
        with pytest.raises(DataError, match=f"download into {data_dir} failed"):
            load(self.module, data_dir)
        assert not list((data_dir / self.torchvision.base_folder).iterdir())


def test_stl10s_unlabeled_images_have_no_classes(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    members = stl_files()
    monkeypatch.setattr(stl10, "MD5", {name: md5(content) for name, content in members.items()})
    put({name: members[name] for name in ("unlabeled_X.bin", "test_X.bin")}, data_dir / STL10.base_folder)
    data = load(stl10, data_dir, source="files", train="unlabeled")
    assert torch.equal(data.train.tensors[0], torch.tensor(COLORS[14:]))
    assert torch.equal(data.test.tensors[0], torch.tensor(COLORS[10:14]))
    assert data.num_classes == 1
    assert not data.train.tensors[1].any()


def test_stl10_is_resized_as_by_torchvision(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    members = stl_files()
    monkeypatch.setattr(stl10, "MD5", {name: md5(content) for name, content in members.items()})
    put(members, data_dir / STL10.base_folder)
    monkeypatch.setattr(STL10, "_check_integrity", lambda _: True)
    data, full = load(stl10, data_dir, size=48), load(stl10, data_dir)
    theirs = STL10(data_dir, split="test", transform=Resize(48))
    assert np.array_equal(data.test.tensors[0].permute(0, 2, 3, 1), [np.asarray(image) for image, _ in theirs])
    assert data.fingerprint != full.fingerprint


def test_the_published_hashes_are_torchvisions() -> None:
    assert dict([*CIFAR10.train_list, *CIFAR10.test_list]) == cifar10.MD5
    assert dict([*STL10.train_list, *STL10.test_list]) == stl10.MD5


def test_folders_of_killed_downloads_do_not_stay(data_dir: Path) -> None:
    old, new = data_dir / ".download-1", data_dir / ".download-2"
    for folder in (old, new):
        folder.mkdir(parents=True)
        (folder / "train-images.gz").touch()
    os.utime(old, (0, time.time() - 25 * 60 * 60))
    with download_folder("MNIST", data_dir, data_dir, "") as folder:
        assert {*data_dir.iterdir()} == {new, folder}
