"""docs/quickstart.ipynb runs in a real kernel, and shows pictures and progress without flooding the notebook."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parent.parent / "docs" / "quickstart.ipynb"
SHORTER = {"model.width=16": "model.width=4", "num_samples=1000": "num_samples=20", "steps=500": "steps=20"}
MAX_OUTPUT = 200_000  # characters, of a cell


def test_the_notebook_is_stored_without_outputs() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert text.count('"outputs": []') == text.count('"cell_type": "code"') > 5


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat", reason="requires nbformat, which nbclient installs")
    nbclient = pytest.importorskip("nbclient", reason="requires nbclient")
    pytest.importorskip("ipykernel", reason="requires ipykernel")
    text = NOTEBOOK.read_text(encoding="utf-8")
    for full, shorter in SHORTER.items():
        assert full in text
        text = text.replace(full, shorter)
    notebook: Any = nbformat.reads(text, as_version=4)
    nbclient.NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}, timeout=300).execute()
    cells = {cell.source: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}
    shown = {source: [output.data for output in outputs if "data" in output] for source, outputs in cells.items()}
    (progress,) = next(data for source, data in shown.items() if source.startswith("import ganbench"))
    assert "completed" in progress["text/html"]
    (result,) = shown["run"]
    assert "FID (fashion-cnn)" in result["text/html"]
    assert "data:image/png" in result["text/html"]
    (samples,) = shown["run.sample(16)"]
    assert "data:image/png" in samples["text/html"]
    *_, compared = list(shown.values())[-1]
    assert "loss.name" in compared["text/html"]
    assert all(len(str(outputs)) < MAX_OUTPUT for outputs in cells.values())
