"""Data that is read item by item during training: runs resume exactly, and errors name the plugin."""

from __future__ import annotations

import ctypes
import multiprocessing
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from callbacks import AtStep, StopAt
from conftest import UNSCORED
from run_spec import run
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset

from ganbench import DataError, ImageData, PluginError
from ganbench.data.batches import RankShare, StreamedBatches, make_batches
from ganbench.data.contract import check_data
from ganbench.plugin.registry import Registry
from ganbench.results.schema import load_result
from ganbench.runtime.checkpoint import load_checkpoint
from ganbench.runtime.ranks import Ranks
from ganbench.runtime.rng import make_rng
from ganbench.spec.loading import load_spec, load_stopped_spec
from ganbench.spec.sections import DataOptions
from ganbench_datasets.fashion_mnist.sources import embedded_subset

FOLDER_OF_IMAGES = """
from pathlib import Path

import torch
from pydantic import Field
from torch.utils.data import Dataset

from ganbench import DatasetPlugin, ImageData, Options, hookimpl
from ganbench_datasets.fashion_mnist.sources import embedded_subset

class FolderOptions(Options):
    path: Path = Field(description="where the images are")

class Mirrored(Dataset):
    def __init__(self, folder):
        self.files = sorted(folder.iterdir())

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        image = torch.load(self.files[index], weights_only=True)
        return (image.flip(-1) if torch.rand(()) < 0.5 else image), 0

def build(options, context):
    split = Mirrored(options.path)
    return ImageData(train=split, test=split, num_classes=1, source="files", fingerprint="0")

@hookimpl
def ganbench_datasets():
    return [DatasetPlugin(name="folder", summary="Images read one by one", options=FolderOptions, build=build)]
"""


TORN = FOLDER_OF_IMAGES.replace(
    "    def __getitem__(self, index):",
    """
    def __getitem__(self, index):
        from ganbench import DataError
        if torch.utils.data.get_worker_info():
            raise DataError("image 3 is torn: buy: another")""",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Real images, one per file."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number, image in enumerate(embedded_subset().test.tensors[0][:40]):
        torch.save(image.clone(), folder / f"{number:02}.pt")
    return folder


@pytest.fixture
def overrides(folder: Path) -> list[str]:
    own = ["dataset=folder", f"dataset.path={folder}", "training.batch_size=8", "training.epochs=3"]
    return [*UNSCORED[1:], *own]


@pytest.fixture
def plugins(tmp_path: Path) -> Registry:
    (tmp_path / "folder.py").write_text(FOLDER_OF_IMAGES)
    return Registry.load([str(tmp_path / "folder.py")])


def test_it_resumes_exactly_with_random_transforms(plugins: Registry, overrides: list[str], tmp_path: Path) -> None:
    spec = load_spec("dcgan-fashion", plugins, overrides)
    whole, _ = run(spec, device="cpu", out=tmp_path / "whole")
    assert whole.throughput.conditions["data"] == "streamed"
    assert whole.data.random_splits == ["train", "test"]
    stop = StopAt(7)  # within the second epoch of five steps
    run(spec, device="cpu", out=tmp_path / "run", callback=stop, window_seconds=1e-9)
    stopped = load_stopped_spec(tmp_path / "run", plugins, [])
    run(stopped, device="cpu", resume=tmp_path / "run")
    ended, alike = (load_checkpoint(tmp_path / name / "checkpoint.pt").state for name in ("run", "whole"))
    torch.testing.assert_close(ended["networks"], alike["networks"], rtol=0, atol=0)


def test_a_ganbench_error_in_a_worker_is_reported_without_its_traceback(
    plugins: Registry, overrides: list[str], tmp_path: Path
) -> None:
    (tmp_path / "torn.py").write_text(TORN)
    registry = Registry.load([str(tmp_path / "torn.py")])
    spec = load_spec("dcgan-fashion", registry, overrides)
    with pytest.raises(DataError, match=r"^the run failed after 0 steps: image 3 is torn: buy: another\. The result"):
        run(spec, device="cpu", out=tmp_path / "run")


@pytest.mark.slow
def test_a_deleted_folder_fails_the_run_and_the_error_names_the_plugin(
    plugins: Registry, overrides: list[str], folder: Path, tmp_path: Path
) -> None:
    spec = load_spec("dcgan-fashion", plugins, overrides)
    lost = AtStep(7, lambda: folder.rename(tmp_path / "elsewhere"))
    with pytest.raises(PluginError) as raised:
        run(spec, device="cpu", out=tmp_path / "run", callback=lost, window_seconds=1e-9)
    told = str(raised.value)
    assert re.match(
        r"the run failed after \d+ steps: dataset 'folder' \(from .*folder.py.*\) raised while reading image", told
    )
    assert "FileNotFoundError: [Errno 2] No such file or directory" in told
    assert "Traceback" not in told
    result = load_result(tmp_path / "run")
    assert result.status == "failed"
    assert result.history[-1].images > 0
    (tmp_path / "elsewhere").rename(folder)
    stopped = load_stopped_spec(tmp_path / "run", plugins, [])
    assert run(stopped, device="cpu", resume=tmp_path / "run")[0].status == "completed"


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(("size", "drop_last"), [(10, False), (10, True), (8, False)])
def test_streamed_batches_are_those_of_resident_ones(size: int, drop_last: bool, workers: int) -> None:
    images = embedded_subset().test.tensors[0][:size]
    split = TensorDataset(images, torch.arange(size, dtype=torch.uint8))
    kinds = [DataOptions(workers=workers, max_resident_mib=limit) for limit in (4096, 0)]
    resident, streamed = (
        make_batches(split, 4, torch.device("cpu"), torch.Generator().manual_seed(1), drop_last, options=options)
        for options in kinds
    )
    assert (resident.placement, streamed.placement) == ("resident", "streamed")
    for _ in range(3):
        pairs = list(zip(resident.epoch(), streamed.epoch(), strict=True))
        assert len(pairs) == (2 if drop_last or size == 8 else 3)
        for one, other in pairs:
            ours, theirs = resident.load(*one), streamed.load(*other)
            assert all(torch.equal(*tensors) for tensors in zip(ours, theirs, strict=True))
            assert theirs[1].dtype == torch.int64


@pytest.mark.parametrize("workers", [0, 2])
def test_each_rank_transforms_its_images_with_other_random_numbers(workers: int) -> None:
    class Draws(Dataset[Any]):
        def __len__(self) -> int:
            return 64

        def __getitem__(self, index: int) -> tuple[Tensor, int]:
            return torch.randint(256, (1, 1, 1), dtype=torch.uint8), index

    def images(rank: int) -> Tensor:
        share, options = RankShare(Ranks(rank, 2), 64), DataOptions(workers=workers)
        order = make_rng(0, "order")
        batches = StreamedBatches(Draws(), 64, torch.device("cpu"), order, options=options, share=share)
        ((read, _),) = batches.epoch()
        return read

    assert torch.equal(images(0), images(0))
    assert (images(0) == images(1)).float().mean() < 0.5


class Records(Dataset[Any]):
    """Images in one file, which is opened when it is first read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.transform = lambda image: image  # pickle alone cannot copy it
        self.file: Any = None

    def __len__(self) -> int:
        return self.path.stat().st_size // 784

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        self.file = self.file or self.path.open("rb", buffering=0)
        self.file.seek(784 * index)
        time.sleep(1e-3)  # long enough for another process to move the position in a shared file
        image = torch.frombuffer(bytearray(self.file.read(784)), dtype=torch.uint8).view(1, 28, 28)
        return self.transform(image), index


class PortableRecords(Records):
    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "file": None}


@pytest.fixture
def records(tmp_path: Path) -> Path:
    (tmp_path / "records").write_bytes(embedded_subset().test.tensors[0][:40].numpy().tobytes())
    return tmp_path / "records"


def test_each_worker_reads_with_an_open_file_of_its_own(records: Path) -> None:
    split = PortableRecords(records)
    data = check_data(ImageData(split, None, 40, "own", "ef"), "dataset 'own'")  # opens the file
    batches = make_batches(data.train, 8, torch.device("cpu"), make_rng(0, "order"), options=DataOptions(workers=2))
    for _ in range(2):
        for images, labels in batches.epoch():
            assert torch.equal(images, embedded_subset().test.tensors[0][labels])
    assert split.file is not None  # that of the main process is kept


def test_a_split_that_cannot_be_copied_into_workers_is_refused(records: Path) -> None:
    data = check_data(ImageData(Records(records), None, 40, "own", "ef"), "dataset 'own'")
    message = (
        r"^dataset 'own': the train split cannot be copied into worker processes: TypeError: cannot pickle "
        r"'_io.FileIO' object. If it holds an open file, drop the file in __getstate__ .* -o data.workers=0$"
    )
    with pytest.raises(PluginError, match=message):
        make_batches(data.train, 8, torch.device("cpu"), make_rng(0, "order"), options=DataOptions(workers=2))
    alone = make_batches(data.train, 8, torch.device("cpu"), make_rng(0, "order"), options=DataOptions(workers=0))
    assert len(list(alone.epoch())) == 5


class Delegating:
    """Wraps a dataset; a copy by pickle has no `dataset` yet when pickle asks for its attributes."""

    def __init__(self, dataset: Dataset[Any]) -> None:
        self.dataset = dataset

    def __getattr__(self, name: str) -> Any:
        return getattr(self.dataset, name)

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> Any:
        return self.dataset[index]


def test_a_split_whose_copy_cannot_be_read_back_is_refused_before_workers_start(records: Path) -> None:
    data = check_data(ImageData(Delegating(PortableRecords(records)), None, 40, "own", "ef"), "dataset 'own'")
    message = (
        r"^dataset 'own': the train split cannot be copied into worker processes: RecursionError: .* -o data.workers=0$"
    )
    with pytest.raises(PluginError, match=message):
        make_batches(data.train, 8, torch.device("cpu"), make_rng(0, "order"), options=DataOptions(workers=2))


class Slow(Dataset[Any]):
    """Real images that take a while to read."""

    def __init__(self) -> None:
        self.images = embedded_subset().test.tensors[0][:32]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        time.sleep(0.01)
        return self.images[index], index


class Hanging(Slow):
    """Images whose fifth hangs in native code that keeps the GIL."""

    reads = 0

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        self.reads += 1
        if self.reads > 4:
            time.sleep(0.2)  # until a thread of the worker has sent the first batch
            ctypes.PyDLL(None).sleep(600)
        return super().__getitem__(index)


def test_workers_that_hang_in_native_code_end_with_the_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python would wait for them when it exits."""
    monkeypatch.setattr("torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL", 0.2)
    others = multiprocessing.active_children()
    batches = make_batches(Hanging(), 4, torch.device("cpu"), make_rng(0, "order"), options=DataOptions(workers=2))
    epoch: Any = batches.epoch()
    next(epoch), next(epoch)  # from each
    workers = [worker for worker in multiprocessing.active_children() if worker not in others]
    epoch.close()
    for worker in workers:
        worker.join(10)
    try:
        assert [worker.exitcode for worker in workers] == [-signal.SIGKILL] * 2
    finally:
        for worker in workers:
            worker.kill()


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP"])
def test_signals_to_all_processes_of_a_job_do_not_end_the_workers(name: str) -> None:
    """By `timeout`, torchrun, a scheduler or a terminal; the run has to go on until its checkpoint is saved."""
    others = multiprocessing.active_children()  # of tests whose error holds them
    epoch = make_batches(Slow(), 4, torch.device("cpu"), make_rng(0, "order"), options=DataOptions(workers=2)).epoch()
    next(epoch), next(epoch)  # from each
    workers = [worker for worker in multiprocessing.active_children() if worker not in others]
    subprocess.run(["kill", f"-{name}", *(str(worker.pid) for worker in workers)], check=True)
    assert len(list(epoch)) == 6
    assert [worker.exitcode for worker in workers] == [0, 0]
