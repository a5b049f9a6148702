"""`ganbench plugin new` creates packages that pass their own tests, and refuses what it cannot create."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from command_line import run_command
from run_spec import run
from typer.testing import Result

from ganbench import Registry
from ganbench.authoring.check import Conditions, check
from ganbench.authoring.new import TEMPLATES, Package, write_package
from ganbench.plugin.kinds import Kind
from ganbench.spec.loading import load_spec
from ganbench.testing import CONTRACTS

ROOT = Path(__file__).parents[2]


def new(*arguments: str) -> Result:
    return run_command("plugin", "new", *arguments)


def installed(name: str, kind: Kind, folder: Path) -> Any:
    """Create a package and return its plugin, and a registry with it."""
    package = Package(name, kind)
    write_package(package, folder)
    registry = Registry.load([str(folder / f"{package.module}.py")])
    return registry.find(kind, name), registry


def test_every_kind_has_a_template() -> None:
    assert TEMPLATES.keys() == set(Kind)


@pytest.mark.parametrize("kind", TEMPLATES)
def test_a_new_plugin_has_options_and_keeps_every_rule_of_its_contract(kind: Kind, tmp_path: Path) -> None:
    registered, registry = installed("my-own", kind, tmp_path / "new")
    if kind is not Kind.BENCHMARK:
        assert registered.plugin.options.model_fields
    verdicts = list(check(registered, Conditions(TEMPLATES[kind].options, (1, 28, 28), tmp_path, {}), registry))
    assert len(verdicts) > 5
    assert not [verdict for verdict in verdicts if verdict.failure]


@pytest.mark.parametrize("kind", TEMPLATES)
def test_the_contract_is_tested_in_the_package(kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"tested-{kind}"
    installed(name, kind, tmp_path / "new")
    monkeypatch.syspath_prepend(tmp_path / "new")
    (test,) = (tmp_path / "new" / "tests").iterdir()
    names: dict[str, Any] = {}
    exec(compile(test.read_text(), test, "exec"), names)
    (contract,) = (value for name, value in names.items() if name.startswith("Test"))
    assert contract.plugin.name == name
    assert contract.__mro__[1] is CONTRACTS[kind]


def test_a_benchmark_of_new_plugins_trains(tmp_path: Path) -> None:
    for kind in TEMPLATES:
        write_package(Package(f"new-{kind}", kind), tmp_path / kind)
    registry = Registry.load([str(file) for file in sorted(tmp_path.glob("*/ganbench_*.py"))])
    overrides = [
        *("model=new-model", "loss=new-loss", "dataset=new-dataset", "optimizer.discriminator=new-optimizer"),
        'optimizer.generator={name="adam",lr={name="new-schedule",start=1e-3}}',
        'penalties=[{name="new-penalty",weight=1.0}]',
        'augmentations=["new-augmentation"]',
        'metrics=[{name="new-metric",features="new-feature-extractor",num_samples=100}]',
        "training.steps=3",
    ]
    spec = load_spec("new-benchmark", registry, overrides)
    result, _ = run(spec, device="cpu", out=tmp_path / "run")
    assert result.status == "completed"
    assert result.metrics[0].label == "new-metric (new-feature-extractor)"
    assert result.metrics[0].value is not None


@pytest.mark.parametrize("kind", TEMPLATES)
def test_the_readme_shows_a_run_with_the_plugin(kind: Kind) -> None:
    package = Package("my-own", kind)
    readme = package.files()["README.md"]
    program = "ganbench suite " if kind is Kind.EXECUTOR else "ganbench run "
    (command,) = (line for line in readme.splitlines() if line.startswith(program))
    assert "my-own" in command
    registered_options = [f"-o {key}={value}" for key, value in TEMPLATES[kind].options.items()]
    assert all(option in readme for option in registered_options)


def test_the_package_declares_its_hooks_and_ganbench(tmp_path: Path) -> None:
    outcome = new("my-own", "--kind", "loss", "--out", "somewhere/new")
    assert outcome.exit_code == 0, outcome.output
    project = tomllib.loads((tmp_path / "somewhere/new/pyproject.toml").read_text())["project"]
    assert project["name"] == "ganbench-my-own"
    assert project["entry-points"]["ganbench"] == {"my-own": "ganbench_my_own"}
    assert project["dependencies"][0].startswith("ganbench>=")
    workflow = (tmp_path / "somewhere/new/.github/workflows/ci.yml").read_text()
    assert "/ganbench/.github/actions/check@" in workflow
    assert "-o loss=my-own" in workflow


def test_the_default_folder_is_named_after_the_plugin_and_is_never_overwritten(tmp_path: Path) -> None:
    assert new("my-own", "--kind", "losses").exit_code == 0
    module = tmp_path / "ganbench-my-own" / "ganbench_my_own.py"
    module.write_text("edited")
    again = new("my-own", "--kind", "loss")
    assert again.exit_code == 2
    assert "ganbench-my-own: already exists and is not an empty folder" in again.output
    assert module.read_text() == "edited"


def test_a_class_does_not_shadow_a_name_of_ganbench(tmp_path: Path) -> None:
    registered, _ = installed("loss-plugin", Kind.LOSS, tmp_path / "new")
    assert registered.plugin.name == "loss-plugin"
    registered, _ = installed("none", Kind.LOSS, tmp_path / "keyword")
    assert registered.plugin.name == "none"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("My_Loss", "--kind", "loss"), "plugin name 'My_Loss': use lowercase letters, digits and single hyphens"),
        (("2fast", "--kind", "loss"), "beginning with a letter"),
        (("bce", "--kind", "loss"), "plugin name 'bce': already taken by loss 'bce' (from ganbench"),
        (("models", "--kind", "model"), "a module ganbench_models already exists"),
        (("x", "--kind", "los"), "--kind los: no such kind of plugin; did you mean 'loss'?"),
        (("x", "--kind", "zebra"), "available: model, loss, dataset, metric"),
    ],
)
def test_what_cannot_be_created_is_refused_with_a_reason(arguments: tuple[str, ...], message: str) -> None:
    outcome = new(*arguments)
    assert outcome.exit_code == 2
    assert message in " ".join(outcome.output.split())


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Kind.LOSS, Kind.SCHEDULE])
def test_pytest_passes_in_a_new_package(kind: Kind, tmp_path: Path) -> None:
    write_package(Package("my-own", kind), tmp_path / "new")
    process = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"],
        cwd=tmp_path / "new",
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "plugins")])},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stdout
    assert " passed" in process.stdout
