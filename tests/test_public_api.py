"""What is public: the names that `ganbench` exports, each importable, documented, and listed in docs/plugins.md."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import ganbench

DOCS = (Path(__file__).parents[1] / "docs" / "plugins.md").read_text(encoding="utf-8")


def test_the_public_names_are_those_listed_in_the_docs() -> None:
    _, _, rest = DOCS.partition("<!-- public names -->")
    listed, _, _ = rest.partition("<!-- end of public names -->")
    names = {word.strip("`,. \n") for word in listed.split("`")[1::2]}
    assert names == set(ganbench.__all__)


@pytest.mark.parametrize("name", ganbench.__all__)
def test_a_public_name_can_be_imported_and_says_what_it_is(name: str) -> None:
    found = getattr(ganbench, name)
    if isinstance(found, type) or callable(found):
        assert found.__doc__ or not isinstance(found, type), name


def test_importing_ganbench_imports_neither_torch_nor_pydantic() -> None:
    check = "import sys, ganbench; sys.exit(bool({'torch', 'pydantic', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check]).returncode == 0


def test_importing_a_public_name_draws_no_random_numbers() -> None:
    check = "import ganbench, random; before = random.getstate(); ganbench.run; assert random.getstate() == before"
    assert subprocess.run([sys.executable, "-c", check]).returncode == 0
