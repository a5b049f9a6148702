"""The source hash changes with edits of the plugin's code, and with nothing else."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from ganbench.system.source import hash_files, source_hash, source_roots


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package in development that imports a neighboring module and a package from site-packages."""
    folder = tmp_path / "project" / "own_plugin"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("def build():\n    from own_helper import scale\n    import numpy\n")
    (folder / "networks.py").write_text("WIDTH = 64\n")
    (folder.parent / "own_helper.py").write_text("scale = 2\n")
    monkeypatch.syspath_prepend(str(folder.parent))
    return folder


def fresh_hash() -> str:
    source_hash.cache_clear()
    return source_hash("own_plugin")


@pytest.mark.parametrize("file", ["__init__.py", "networks.py", "../own_helper.py"])
def test_editing_any_file_of_the_plugin_changes_its_hash(package: Path, file: str) -> None:
    before = fresh_hash()
    edited = package / file
    edited.write_text(edited.read_text() + "# edited\n")
    assert fresh_hash() != before


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
