"""The house: each wing imports only wings beneath it, and only some of them import torch."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest

import ganbench

ROOT = Path(ganbench.__file__).parent
# from the ground up: a wing imports itself and what is before it, and nothing else of ganbench
WINGS = (
    *("version", "errors", "system", "results", "plugin", "spec", "reporting"),
    *("runtime", "data", "scoring", "training", "api", "suite", "gate", "testing", "authoring", "cli"),
)
TORCH_WINGS = {"runtime", "data", "scoring", "training", "testing"}
TORCH = {"torch", "torchvision", "torchmetrics", "torch_fidelity"}
FILES = [file for file in sorted(ROOT.rglob("*.py")) if file.name not in ("__main__.py",) and file.parent != ROOT] + [
    ROOT / f"{name}.py" for name in ("version", "errors", "cli")
]


def wing_of(file: Path) -> str:
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


def module_of(file: Path) -> str:
    parts = file.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(file: Path, top_level_only: bool = False) -> Iterator[str]:
    """The absolute names of the modules that a file imports, also under TYPE_CHECKING and within functions."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    package = module_of(file) if file.name == "__init__.py" else module_of(file).rpartition(".")[0]
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: package.count(".") + 2 - node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            yield from (f"{module}.{alias.name}" for alias in node.names)


def test_every_wing_has_its_place() -> None:
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders <= set(WINGS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_wing_imports_only_what_is_beneath_it(file: Path) -> None:
    beneath = {*takewhile(lambda wing: wing != wing_of(file), WINGS), wing_of(file)}
    used = {name.split(".")[1] for name in imports(file) if name.startswith("ganbench.")}
    assert used <= beneath


def test_modules_import_one_another_in_no_circle() -> None:
    modules = {module_of(file): file for file in FILES}
    graph = {
        module: {name if name in modules else name.rpartition(".")[0] for name in imports(file, top_level_only=True)}
        & modules.keys()
        for module, file in modules.items()
    }
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path, module))
        if module not in done:
            for imported in sorted(graph[module]):
                visit(imported, (*path, module))
            done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("wing", [wing for wing in WINGS if wing not in TORCH_WINGS])
def test_torch_is_imported_in_some_wings_alone(wing: str) -> None:
    for file in FILES:
        if wing_of(file) == wing:
            found = {name.split(".")[0] for name in imports(file, top_level_only=True)} & TORCH
            assert not found, file


def test_the_core_names_no_plugin() -> None:
    """No model, loss, dataset, metric or game; the examples in hookspecs.py are plugins of their own."""
    names = {"dcgan", "bce", "fashion", "mnist", "saddle", "bandit", "dirac", "fid"}
    for file in FILES:
        if file.name == "hookspecs.py":
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        words = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        words |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        words |= {
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " not in node.value
        }
        assert not {word for word in words if word.lower() in names}, file
