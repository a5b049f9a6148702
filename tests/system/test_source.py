"""The source hash changes with edits of the plugin's code, and with nothing else."""

from __future__ import annotations

import importlib
import os
import py_compile
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ganbench.system.source import EXAMINED, IMPORTED, edited_file, examine_anew, hash_files, source_hash, source_roots


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package in development that imports a neighboring module and a package from site-packages."""
    folder = tmp_path / "project" / "own_plugin"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("def build():\n    from own_helper import scale\n    import numpy\n")
    (folder / "networks.py").write_text("WIDTH = 64\n")
    (folder.parent / "own_helper.py").write_text("scale = 2\n")
    monkeypatch.syspath_prepend(str(folder.parent))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    EXAMINED.clear()
    IMPORTED.clear()
    yield folder
    for name in ("own_plugin", "own_plugin.networks", "own_helper"):
        sys.modules.pop(name, None)


def fresh_hash() -> str:
    EXAMINED.clear()
    return source_hash("own_plugin")


def edit(file: Path) -> None:
    file.write_text(file.read_text() + "# edited\n")


@pytest.mark.parametrize("file", ["__init__.py", "networks.py", "../own_helper.py"])
def test_editing_any_file_of_the_plugin_changes_its_hash(package: Path, file: str) -> None:
    before = fresh_hash()
    edit(package / file)
    assert fresh_hash() != before


@pytest.mark.parametrize(
    ("file", "is_loaded"), [("__init__.py", True), ("../own_helper.py", True), ("networks.py", False)]
)
def test_an_edit_between_the_import_and_the_first_hash_is_found(package: Path, file: str, is_loaded: bool) -> None:
    for name in ("own_plugin", "own_helper"):
        importlib.import_module(name)
    edit(package / file)
    assert edited_file("own_plugin") == ((package / file).resolve() if is_loaded else None)


def test_a_later_edit_changes_the_hash_once_the_code_is_reloaded(package: Path) -> None:
    importlib.import_module("own_plugin")
    helper = importlib.import_module("own_helper")
    before = source_hash("own_plugin")
    edit(package.parent / "own_helper.py")
    assert source_hash("own_plugin") == before
    importlib.reload(helper)
    assert source_hash("own_plugin") != before
    assert edited_file("own_plugin") is None


@pytest.mark.parametrize("compiled", [False, True], ids=["edited", "edited and compiled by another process"])
def test_an_edit_between_two_runs_is_found_in_all_later_ones(compiled: bool, package: Path) -> None:
    for name in ("own_plugin", "own_helper"):
        importlib.import_module(name)
    source_hash("own_plugin")
    examine_anew()
    assert edited_file("own_plugin") is None
    helper = package.parent / "own_helper.py"
    edit(helper)
    assert edited_file("own_plugin") is None  # during a run
    if compiled:
        py_compile.compile(str(helper))
    for _ in range(2):
        examine_anew()
        assert edited_file("own_plugin") == helper.resolve()


def test_an_edit_of_a_module_is_found_by_another_plugin_that_imports_it(package: Path) -> None:
    """A plugin given as a file is imported again, under another name, after an edit of its own."""
    (package.parent / "other_plugin.py").write_text("import own_helper\n")
    for name in ("own_plugin", "own_helper", "other_plugin"):
        importlib.import_module(name)
    source_hash("own_plugin")
    helper = package.parent / "own_helper.py"
    edit(helper)
    py_compile.compile(str(helper))
    examine_anew()
    assert edited_file("other_plugin") == helper.resolve()


def test_names_that_are_not_utf_8_are_part_of_a_hash(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("1")
    names = [os.fsdecode(name) for name in (b"caf\xe9", b"caf\xea", "caf\xe9".encode())]
    assert len({hash_files({name: file}) for name in names}) == 3


def test_the_hash_depends_on_nothing_else(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fresh_hash()
    (package / "notes.md").write_text("notes")
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "networks.cpython-311.pyc").write_bytes(b"compiled")
    (package.parent / "unrelated.py").write_text("x = 1\n")
    assert fresh_hash() == before
    moved = tmp_path / "elsewhere"
    package.parent.rename(moved)
    monkeypatch.syspath_prepend(str(moved))
    assert fresh_hash() == before


def test_only_code_in_development_is_followed(package: Path) -> None:
    assert source_roots("own_plugin").keys() == {"own_plugin", "own_helper"}


@pytest.mark.parametrize(
    "statement",
    [
        "import sys, own_helper as helper",
        "import own_helper.inner",
        "if True: import own_helper",
        "x = 1; from own_helper import scale",
        "from own_helper import (\n    scale,\n)",
        "import \\\n    own_helper",
    ],
)
def test_every_form_of_import_is_followed(package: Path, statement: str) -> None:
    (package / "__init__.py").write_text(f"def build():\n    return 0\n\n\n{statement}\n")
    assert source_roots("own_plugin").keys() == {"own_plugin", "own_helper"}


def test_a_name_in_a_text_is_no_import(package: Path) -> None:
    (package / "__init__.py").write_text('"""As\nimport own_helper\ndoes."""\n')
    assert source_roots("own_plugin").keys() == {"own_plugin"}


def test_code_that_cannot_be_parsed_is_still_hashed(package: Path) -> None:
    before = fresh_hash()
    (package / "broken.py").write_text("def (:\n")
    assert fresh_hash() != before


def test_built_in_modules_have_no_source() -> None:
    assert source_roots(next(iter(sys.builtin_module_names))) == {}
