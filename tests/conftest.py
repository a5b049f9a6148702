"""Shared fixtures: a separate cache, temporary plugin packages, FashionMNIST as files."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest
import stand_in
import torch
from PIL import Image
from torch import Tensor

from ganbench.data.batches import normalize_images
from ganbench.plugin.registry import ONLY_VARIABLE, Registry
from ganbench.runtime.attribution import PluginNames
from ganbench_datasets.fashion_mnist.sources import embedded_subset

if TYPE_CHECKING:
    from brightness import BrightnessScoring

# with more threads than cores, parallel test processes would wait for one another
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)
os.environ.pop("COLUMNS", None)  # pytest-xdist sets it, which changes the width of tables
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup, runs would ignore it, and so would those of tests

# the homework's benchmark on the embedded subset, with narrower networks: it trains in about a second
SMALL = ["dataset.source=embedded", "model.width=2", "metrics.0.num_samples=100"]
UNSCORED = ["dataset.source=embedded", "model.width=2", "metrics=[]"]

# the folders of the cache with what is computed from real images alone
REAL_DATA = ("features", "derived", "real-data-scores")

DEVICES = ["cpu", pytest.param("cuda:0", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA"))]


@pytest.fixture(scope="session")
def real_data_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of statistics and scores of real images; shared, as they take longer than most runs."""
    folder = tmp_path_factory.mktemp("cache") / "ganbench"
    for name in REAL_DATA:
        (folder / name).mkdir(parents=True)
    return folder


@pytest.fixture(scope="session", autouse=True)
def isolated_session(real_data_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Isolate the fixtures of a module or a session as well, and spare what takes long in every run and no test needs.

    That is repeated measurements outside of training, drawing the losses (tests of plots import the function), and
    flushing files to the disk.
    """
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("XDG_CACHE_HOME", str(real_data_cache.parent))
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        monkeypatch.delenv("GANBENCH_DATA", raising=False)
        monkeypatch.delenv(ONLY_VARIABLE, raising=False)
        monkeypatch.setattr(os, "fsync", lambda _: None)
        monkeypatch.setattr("ganbench.reporting.plots.save_losses", save_blank)
        monkeypatch.setattr("ganbench.training.warmup.MEASURED_SECONDS", 0.0)
        monkeypatch.setattr("ganbench.training.warmup.MEASURED_CALLS", 1)
        monkeypatch.setattr("ganbench.training.roofline.MEASURED_SECONDS", 0.0)
        monkeypatch.setattr("ganbench.training.roofline.MATRIX_SIZE", {"cpu": 64, "cuda": 64})
        monkeypatch.setattr("ganbench.training.roofline.COPIED_BYTES", {"cpu": 2**16, "cuda": 2**16})
        yield


def save_blank(history: Any, title: str, path: Path, *_: Any, **__: Any) -> None:
    Image.new("L", (1, 1)).save(path)


@pytest.fixture(autouse=True)
def isolated_environment(tmp_path: Path, real_data_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Isolate tests from the user's caches, data, environment and plugins, and from one another."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "cache" / "ganbench").mkdir(parents=True)
    for name in REAL_DATA:
        (tmp_path / "cache" / "ganbench" / name).symlink_to(real_data_cache / name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("GANBENCH_DATA", raising=False)
    monkeypatch.delenv(ONLY_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)


# the plugin names of steps that tests build themselves
PLUGIN_NAMES = PluginNames("the model", "the loss", {"discriminator": "its optimizer", "generator": "its optimizer"})


@pytest.fixture(scope="session")
def registry() -> Registry:
    """The default plugins, as installed."""
    return Registry.load()


@pytest.fixture(scope="session")
def thumbnails(registry: Registry) -> Registry:
    """The default plugins and those of `thumbnail_metrics`, which keep what they get; see `nothing_seen`."""
    from thumbnail_metrics import with_thumbnails  # which imports this module

    return with_thumbnails(registry)


@pytest.fixture
def scoring(registry: Registry, tmp_path: Path) -> BrightnessScoring:
    """Evaluators of brightness, with all that they are made of."""
    from brightness import BrightnessScoring  # which imports this module

    return BrightnessScoring(registry, tmp_path)


@pytest.fixture
def nothing_seen() -> None:
    """Forget what the metrics on thumbnails got in other tests."""
    from thumbnail_metrics import forget

    forget()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Install a plugin distribution: `install("ganbench-tiny", source, version="1.0", entry_point="tiny")`."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def make(distribution: str, source: str, version: str = "1.0", entry_point: str | None = None) -> Path:
        module = distribution.replace("-", "_")
        (site / f"{module}.py").write_text(dedent(source))
        info = site / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[ganbench]\n{entry_point or distribution} = {module}\n")
        return site

    return make


@pytest.fixture(scope="session")
def images() -> Tensor:
    """The test images of the embedded subset, float32 `(1000, 1, 28, 28)` in [-1, 1]."""
    return normalize_images(embedded_subset().test.tensors[0])


@pytest.fixture
def commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`commit(text)` commits the plugin `own_loss.py` with that text in a repository, the current directory."""
    worker = tmp_path / "stand_in.py"
    worker.write_text(stand_in.SOURCE)
    monkeypatch.setattr("ganbench.gate.side.WORKER", worker)
    repository = tmp_path / "repository"
    repository.mkdir()
    monkeypatch.chdir(repository)
    for name in ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"):
        monkeypatch.setenv(name, "test@example.org")
    subprocess.run(["git", "init", "-q"], check=True)

    def make(text: str) -> Path:
        (repository / "own_loss.py").write_text(text)
        subprocess.run(["git", "add", "."], check=True)
        subprocess.run(["git", "commit", "-q", "-m", "change"], check=True)
        return repository

    return make
