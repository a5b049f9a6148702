"""Which files of the repository a session reports: all that it read, with modules however they were imported."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ganbench import Registry
from ganbench.gate.worker import code_in_use
from ganbench.gate.worker.code_in_use import packages_in_use
from ganbench.plugin.installed import Provider
from ganbench.spec.loading import load_spec
from ganbench.system import source


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    for name in ("lib/networks.py", "lib/weights.bin", "other/__init__.py", ".git/index", "session/run.log"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def files_in_use(repository: Path, *opened: str, **request: Any) -> dict[str, str]:
    """Return the reported files of a session in the repository that has an unused plugin, `other`."""
    return code_in_use.hash_used(source, used_files(repository, *opened, **request))


def used_files(repository: Path, *opened: str, **request: Any) -> dict[Path, tuple[Path, str]]:
    unused = Provider("other", "1", "other", "other.plugin")
    more = {"plugins": [], "files": [], "temporary": [str(repository / "session")], "checkouts": [str(repository)]}
    paths = [str(repository / name) for name in opened]
    registry = SimpleNamespace(providers=[unused])
    return code_in_use.files_in_use(source, paths, {"own": {}}, registry, more | request)


def test_modules_and_data_that_were_opened_count(repository: Path) -> None:
    found = files_in_use(repository, "lib/networks.py", "lib/weights.bin", "lib/gone.py", ".git/index")
    assert found.keys() == {"./lib/networks.py", "./lib/weights.bin"}
    (repository / "lib/networks.py").write_text("edited")
    edited = files_in_use(repository, "lib/networks.py", "lib/weights.bin")
    assert edited["./lib/networks.py"] != found["./lib/networks.py"]
    assert edited["./lib/weights.bin"] == found["./lib/weights.bin"]


def test_a_module_counts_whether_its_source_or_its_bytecode_was_read(repository: Path) -> None:
    bytecode = importlib.util.cache_from_source(str(repository / "lib/networks.py"))
    assert files_in_use(repository, bytecode) == files_in_use(repository, "lib/networks.py")


def test_an_unused_plugin_and_the_session_itself_do_not_count(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(repository))
    assert files_in_use(repository, "other/__init__.py", "session/run.log") == {}


def test_metadata_that_a_build_left_does_not_count(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only head has it, because git ignores it."""
    installed = repository / ".venv/lib/site-packages/dependency-1.dist-info"
    left = repository / "lib/own.egg-info"
    for folder, name in ((installed, "METADATA"), (left, "PKG-INFO")):
        folder.mkdir(parents=True)
        (folder / name).write_text("Name: any\n")
        monkeypatch.syspath_prepend(str(folder.parent))
    assert files_in_use(repository, "lib/own.egg-info/PKG-INFO", "lib/networks.py").keys() == {"./lib/networks.py"}
    found = code_in_use.installed_distributions(source, {"checkouts": [str(repository)]})
    assert str(installed.resolve()) in found
    assert str(left.resolve()) not in found


@pytest.mark.parametrize(("environment", "counts"), [(".", True), ("repository/lib", False)])
def test_an_environment_in_the_repository_does_not_count_but_a_repository_in_an_environment_does(
    environment: str, counts: bool, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(repository.parent / environment))  # "." as in /usr/src/app, for /usr
    assert bool(files_in_use(repository, "lib/networks.py")) == counts


def test_a_base_that_lies_in_the_repository_has_the_same_names(repository: Path) -> None:
    checkout = repository / "tmp" / "checkout"  # of a TMPDIR in the repository
    (checkout / "lib").mkdir(parents=True)
    (checkout / "lib/networks.py").write_text("lib/networks.py")
    sides = [str(checkout), str(repository)]
    base = files_in_use(repository, "tmp/checkout/lib/networks.py", checkouts=sides)
    assert base == files_in_use(repository, "lib/networks.py", checkouts=sides)


def test_code_that_a_side_reads_from_the_other_is_found(repository: Path) -> None:
    checkout = repository / "tmp" / "checkout"
    base_code, head_code = "tmp/checkout/lib/networks.py", "lib/linked.so"
    new_plugin = "lib/focal.py"  # which the checkout of the other side lacks
    shared = ("lib/weights.bin", ".cache/hub.py", "tmp/extensions/compiled.so", new_plugin)
    for name in (base_code, head_code, *shared):
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).touch()
    folders = {"checkouts": [str(checkout), str(repository)], "temporary": [str(checkout.parent)]}
    used = used_files(repository, base_code, head_code, *shared, **folders)
    assert code_in_use.foreign_code(source, used, checkout) == [str(repository / head_code)]
    assert code_in_use.foreign_code(source, used, repository) == [str(repository / base_code)]


def test_the_files_of_the_gate_itself_are_not_code_of_a_side() -> None:
    """A traceback reads them, and a warning."""
    file = Path(code_in_use.__file__)
    used = {file: (file.parents[3], "ganbench/gate/worker/code_in_use.py")}
    assert code_in_use.foreign_code(source, used, Path("/checkout")) == []


def test_every_way_to_read_a_file_is_recorded(repository: Path) -> None:
    script = """
import json, os, sys
from pathlib import Path
from ganbench.gate.worker.code_in_use import record_opened_files, source_of

opened = record_opened_files()
sys.path.insert(0, "lib")
import importlib, ctypes, contextlib

importlib.import_module("net" + "works")
exec(open("lib/executed.py").read())
Path("lib/path.bin").read_bytes()
os.open(b"lib/bytes.bin", os.O_RDONLY)
with contextlib.suppress(OSError):
    ctypes.CDLL("lib/linked.so")  # as torch.ops.load_library does
print(json.dumps(sorted({path.name for path in map(source_of, opened) if path.parent.name == "lib"})))
"""
    names = ("executed.py", "path.bin", "bytes.bin", "linked.so")
    for name in names:
        (repository / "lib" / name).touch()
    (repository / "lib/networks.py").write_text("")
    for _ in range(2):  # without and with cached bytecode
        output = subprocess.run(
            [sys.executable, "-c", script], cwd=repository, capture_output=True, text=True, check=True
        )
        assert json.loads(output.stdout) == sorted([*names, "networks.py"])


def test_a_benchmark_given_by_file_may_have_any_suffix(registry: Registry, tmp_path: Path) -> None:
    spec = load_spec("dcgan-fashion", registry)
    for name in ("own.TOML", "own.cfg"):
        (tmp_path / name).write_text(spec.to_toml())
        request = {"benchmark": str(tmp_path / name), "plugins": [], "repository_packages": []}
        assert "ganbench_homework" not in packages_in_use(source, spec, registry, request)
