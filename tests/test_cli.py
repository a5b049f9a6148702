"""The command line: the output of each command, and the errors for invalid input."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import run_command
from typer.testing import Result

from ganbench.errors import ExitCode
from ganbench.plugin.kinds import Kind
from ganbench.plugin.registry import Registry
from ganbench.reporting.console import out
from ganbench.spec.loading import load_spec
from ganbench_datasets.fashion_mnist.sources import embedded_subset
from ganbench_models.dcgan import DCGANOptions

Install = Callable[..., Path]

DONE, USAGE, FAILED = 0, 2, 5
UNSCORED = "-o dataset.source=embedded -o metrics=[]"  # reads only data shipped with ganbench
SHORT = f"run dcgan-fashion {UNSCORED} -o model.width=2 --steps 1"  # short, in case the expected error does not occur

BREAKING = """
import sys
from ganbench import ModelPlugin, OptimizerPlugin, hookimpl

def raising(options, context):
    raise RuntimeError("no [bold]weights[/]")

def leaving(options, context):
    sys.exit(0)

def empty(options, context):
    return None

def choosy(options, context):
    return lambda parameters: 1 / 0

@hookimpl
def ganbench_models():
    return [ModelPlugin(name=build.__name__, summary="Breaks", build=build) for build in (raising, leaving, empty)]

@hookimpl
def ganbench_optimizers():
    return [OptimizerPlugin(name="choosy", summary="Breaks", build=choosy)]
"""


def ganbench(command: str) -> Result:
    return run_command(*shlex.split(command), columns=300)


def printed(command: str) -> str:
    """Run a command that must succeed and return its standard output."""
    result = ganbench(command)
    assert result.exit_code == DONE, result.stderr
    return result.stdout


def files_in(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if not {"cache", "__pycache__"} & set(path.parts)}


# list


def test_list_shows_every_plugin_with_its_summary_and_package(registry: Registry) -> None:
    table = printed("list")
    for registered in registry.all_plugins():
        for text in (registered.plugin.name, registered.plugin.summary, str(registered.provider)):
            assert text in table


@pytest.mark.parametrize("kind", Kind)
def test_list_of_a_kind_in_singular_or_plural_shows_that_kind_only(kind: Kind, registry: Registry) -> None:
    listed = json.loads(printed(f"list {kind.plural} --json"))
    assert [plugin["name"] for plugin in listed] == [registered.plugin.name for registered in registry.of_kind(kind)]
    assert all(plugin["kind"] == kind for plugin in listed)  # some kinds have no shipped plugin
    assert printed(f"list {kind}") == printed(f"list {kind.plural}")


def test_list_as_json_has_kind_name_summary_and_distribution(registry: Registry) -> None:
    listed = json.loads(printed("list --json"))
    assert len(listed) == len(registry.all_plugins())
    dcgan = registry.find(Kind.MODEL, "dcgan")
    assert {**dcgan.record(), "summary": dcgan.plugin.summary} in listed


def test_list_of_an_unknown_kind_names_the_kinds() -> None:
    result = ganbench("list nonsense")
    assert result.exit_code == USAGE
    assert "unknown kind 'nonsense'; available: benchmarks, models, losses, datasets, metrics" in result.stderr


def test_an_extra_plugin_is_listed(tmp_path: Path) -> None:
    (tmp_path / "breaking.py").write_text(BREAKING)
    assert "breaking.py sha256:" in printed("list models -p breaking.py")


# show


def test_show_prints_a_benchmark_as_toml_that_runs_the_same(registry: Registry, tmp_path: Path) -> None:
    spec = load_spec("dcgan-fashion", registry)
    toml = printed("show dcgan-fashion")
    (tmp_path / "shown.toml").write_text(toml)
    assert tomllib.loads(toml) == spec.to_dict()
    assert printed("show shown.toml") == toml


def test_show_prints_a_benchmark_as_json(registry: Registry) -> None:
    spec = load_spec("dcgan-fashion", registry)
    assert json.loads(printed("show dcgan-fashion --json")) == spec.to_dict()


def test_show_applies_overrides() -> None:
    shown = tomllib.loads(printed("show dcgan-fashion -o model.width=8 -o training.steps=5"))
    assert shown["model"]["width"] == 8
    assert shown["training"]["steps"] == 5
    assert "epochs" not in shown["training"]


def test_show_prints_each_option_of_a_plugin_with_default_and_description() -> None:
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed("show dcgan").splitlines()]
    options = {row[0]: (row[2], row[3]) for row in rows if row}
    assert options == {
        name: (str(field.default), field.description) for name, field in DCGANOptions.model_fields.items()
    }


def test_show_works_for_every_plugin(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Registry, "load", lambda *_: registry)  # once instead of for each plugin
    one_of_each_kind = {found.plugin.kind: found.plugin.name for found in registry.all_plugins()}
    for registered in registry.all_plugins():
        assert printed(f"show {registered.plugin.name}")
    for name in one_of_each_kind.values():
        assert json.loads(printed(f"show {name} --json"))


@pytest.mark.parametrize(
    ("command", "cause"),
    [
        ("show losses", "'losses' is a kind of plugin; list its plugins with `ganbench list losses`"),
        ("show xyzzy", "unknown plugin 'xyzzy'; available: "),
        ("show dcgna", "did you mean 'dcgan'?"),
        ("show nowhere.toml", "benchmark nowhere.toml: cannot read the file: No such file"),
        ("show dcgan-fashion -o model.widht=8", "model.widht: unknown key; did you mean 'width'?"),
    ],
)
def test_show_of_an_unknown_name_is_a_usage_error(command: str, cause: str) -> None:
    result = ganbench(command)
    assert result.exit_code == USAGE
    assert cause in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("section", ["training", "engine", "sample_images", "checkpoint", "gate"])
def test_show_prints_the_fields_of_a_spec_section(section: str) -> None:
    table = printed(f"show {section}")
    keys = json.loads(printed(f"show {section} --json"))["properties"]
    assert set(keys) == set(type(getattr(load_spec("dcgan-fashion", Registry.load()), section)).model_fields)
    assert all(key in table for key in keys)


def test_show_of_a_metric_lists_the_keys_of_the_engine_as_well() -> None:
    table = printed("show fid")
    assert all(key in table for key in ("features", "num_samples", "at_epochs", "generator_mode", "split"))


@pytest.mark.parametrize("file", ["mine.TOML", "mine.txt", "mine"])
def test_a_file_is_a_benchmark_whatever_its_suffix(file: str, tmp_path: Path) -> None:
    toml = printed("show dcgan-fashion")
    (tmp_path / file).write_text(toml)
    assert printed(f"show {file}") == toml
    assert printed(f"show ./{file}") == toml


def test_the_version_is_printed_and_exported() -> None:
    import ganbench as package

    assert printed("--version") == f"ganbench {package.__version__}\n"
    assert re.fullmatch(r"\d+\.\d+\.\d+", package.__version__)


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("command", ["list", "show training", "show fid", "plugins"])
def test_no_word_in_a_table_is_truncated_on_a_narrow_terminal(command: str, width: int) -> None:
    outcome = run_command(*shlex.split(command), columns=width)
    assert outcome.exit_code == DONE
    assert "…" not in outcome.stdout
    assert max(map(len, outcome.stdout.splitlines())) <= width
    names = {"list": "quadratic-saddle", "show training": "budget_seconds", "show fid": "generator_mode"}
    assert names.get(command, "fashion-mnist") in outcome.stdout


def test_a_spec_on_a_narrow_terminal_is_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, plain = printed("show dcgan-fashion").partition("\n")  # the schema is for files only
    monkeypatch.setattr(out, "_force_terminal", True)
    outcome = run_command("show", "dcgan-fashion", columns=30, env={"NO_COLOR": "1"})
    assert outcome.exit_code == DONE
    assert re.sub(r"\x1b\[[\d;]*m", "", outcome.stdout) == plain


# plugins


def test_plugins_lists_plugins_by_package_and_failures(install: Install) -> None:
    install("broken-plugin", "import no_such_package", version="1.2", entry_point="models")
    shown = printed("plugins")
    assert "Package" in shown
    assert "model dcgan" in shown
    assert "failed: broken-plugin 1.2, entry point 'models', import: ModuleNotFoundError: No module named" in shown


def test_plugins_as_json_has_plugins_and_failures(registry: Registry, install: Install) -> None:
    install("broken-in-json", "import no_such_package", version="1.2", entry_point="models")
    shown = json.loads(printed("plugins --json"))
    assert shown["plugins"] == [registered.record() for registered in registry.all_plugins()]
    (failure,) = shown["failures"]
    assert failure["provider"] == {
        "distribution": "broken-in-json",
        "version": "1.2",
        "entry_point": "models",
        "module": "broken_in_json",
        "given": None,
    }
    assert failure["stage"] == "import"
    assert "no_such_package" in failure["cause"]


@pytest.mark.parametrize("command", ["plugins --strict", "plugins --strict --json"])
def test_strict_plugins_fails_only_if_a_plugin_is_broken(command: str, install: Install) -> None:
    assert ganbench(command).exit_code == DONE
    install("broken-strictly", "import no_such_package")
    assert ganbench(command).exit_code == FAILED


# bad input


@pytest.mark.parametrize(
    ("command", "cause"),
    [
        ("run nonsense", "unknown benchmark 'nonsense'; available: cgan-emoji, cgan-fashion, dcgan-cifar10"),
        ("run dcgan-fashon", "did you mean 'dcgan-fashion'?"),
        ("run nowhere.toml", "benchmark nowhere.toml: cannot read the file: No such file"),
        ("run folder.toml", "benchmark folder.toml: cannot read the file"),
        ("run broken.toml", "benchmark broken.toml: not valid TOML"),
        ("run dcgan-fashion -o model=dcgna", "model: unknown model 'dcgna'; did you mean 'dcgan'?"),
        ("run dcgan-fashion -o model.dropout=1.5", "model.dropout: must be less than 1 (got 1.5)"),
        ("run dcgan-fashion -o model.widht=8", "model.widht: unknown key; did you mean 'width'?"),
        ("run dcgan-fashion -o nonsense", "-o nonsense: expected PATH=VALUE"),
        ("run dcgan-fashion --epochs -1", "training.epochs: must be at least 1 (got -1)"),
        ("run dcgan-fashion --steps 0", "training.steps: must be at least 1 (got 0)"),
        ("run dcgan-fashion --epochs 1 --steps 1", "give exactly one of 'epochs' and 'steps'"),
        ("run dcgan-fashion --seed -1", "training.seed: must be at least 0 (got -1)"),
        ("run dcgan-fashion --precision fp8", "training.precision: must be 'fp32', 'tf32' or 'bf16'"),
        ("run dcgan-fashion --budget soon", "--budget soon: give a number and a unit, such as 90s, 5m or 2h"),
        ("run dcgan-fashion --budget -5s", "--budget -5s: give a number and a unit, such as 90s, 5m or 2h"),
        ("run dcgan-fashion --budget 4", "--budget 4: give a number and a unit, such as 90s, 5m or 2h"),
        ("run dcgan-fashion --budget 0s", "training.budget_seconds: must be greater than 0"),
        ("run dcgan-fashion -p nowhere.py", "-p nowhere.py: no such file"),
        ("run dcgan-fashion -p nowhere", "-p nowhere: no such module"),
        ("run dcgan-fashion -p full", "-p full: this is a folder; give a path ending in .py, or the name of a module"),
        (
            "run dcgan-fashion -p ./full",
            "-p ./full: this is a folder; give a path ending in .py, or the name of a module",
        ),
        ("run dcgan-fashion --data-dir nowhere", "--data-dir nowhere: no such folder"),
        ("run dcgan-fashion --data-dir full/file", "--data-dir full/file: no such folder"),
        *(
            (command, "expected a path, got an empty string")
            for command in (
                f"{SHORT} --data-dir ''",
                "run --resume ''",
                "compare '' ''",
                "leaderboard ''",
                "report ''",
                "eval '' --against mnist",
                "suite status ''",
                "baseline record dcgan-fashion --out ''",
                "check dcgan-fashion --against HEAD --junit ''",
            )
        ),
        (f"run {'x' * 300}", "unknown benchmark 'xxx"),
        (f"{SHORT} --device tpu", "--device tpu: choose auto, cpu, cuda or cuda:N"),
        (f"{SHORT} --device meta", "--device meta: choose auto, cpu, cuda or cuda:N"),
        (f"{SHORT} --device cuda:99", "--device cuda:99: this machine has"),
        (
            f"{SHORT} -o training.batch_size=6000",
            "training.batch_size: 6000 is more than the 5000 images of the train split",
        ),
        (f"{SHORT} --out full", "run directory full: not empty; choose another"),
        (f"{SHORT} --out full/file", "run directory full/file: cannot write to"),
        (f"{SHORT} --out full/file/x", "run directory full/file/x: cannot write to"),
        (f"{SHORT} --out {'x' * 256}/y", "/y: cannot write to it: File name too long"),
    ],
)
def test_invalid_input_is_a_usage_error_and_leaves_no_files(command: str, cause: str, tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("name = ")
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    before = files_in(tmp_path)

    result = ganbench(command)

    assert result.exit_code == USAGE
    assert cause in result.stderr
    assert "Traceback" not in result.output
    assert files_in(tmp_path) == before


def test_a_path_after_an_equals_sign_may_be_below_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There, bash does not replace the ~."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "mine.toml").write_text('benchmark = "dcgan-fashion"')
    assert f"{tmp_path}/home/suite" in printed("suite mine.toml --dry-run --out=~/suite").replace("\n", "")
    printed("schema result --out=~/result.json")
    printed("plugin new my-loss --kind loss --out=~/my-loss")
    printed("sweep saddle-bilinear -o training.steps=1 -o training.seed=1:2:2 --device cpu --out=~/sweep")
    assert {path.name for path in (tmp_path / "home").iterdir()} >= {"result.json", "my-loss", "sweep"}
    assert not (tmp_path / "~").exists()


def test_cuda_without_a_cuda_device_is_a_usage_error(tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    result = ganbench(f"{SHORT} --device cuda")
    assert result.exit_code == USAGE
    assert "--device cuda: this machine has no CUDA device; use --device cpu" in result.stderr
    assert files_in(tmp_path) == set()


@pytest.mark.parametrize(
    ("override", "culprit"),
    [
        ("model=raising", "model 'raising' (from breaking.py sha256:"),
        ("model=leaving", "model 'leaving' (from breaking.py sha256:"),
        ("model=empty", "model 'empty' (from breaking.py sha256:"),
        ("optimizer.generator=choosy", "optimizer 'choosy' (from breaking.py sha256:"),
    ],
    ids=["build raises", "build exits", "build returns nothing", "what build returned raises"],
)
def test_a_failing_plugin_is_named_and_the_run_leaves_no_files(override: str, culprit: str, tmp_path: Path) -> None:
    (tmp_path / "breaking.py").write_text(BREAKING)
    before = files_in(tmp_path)

    result = ganbench(f"run dcgan-fashion -p breaking.py {UNSCORED} --steps 1 -o {override}")

    assert result.exit_code == FAILED
    assert culprit in result.stderr
    assert "Traceback" not in result.output
    assert files_in(tmp_path) == before


def test_the_cause_of_a_plugins_error_is_quoted_verbatim(tmp_path: Path) -> None:
    (tmp_path / "breaking.py").write_text(BREAKING)
    result = ganbench(f"run dcgan-fashion -p breaking.py {UNSCORED} -o model=raising")
    assert "raised in build: RuntimeError: no [bold]weights[/]\n" in result.stderr


@pytest.mark.parametrize("command", ["run nonsense --json", "show nonsense --json", "list nonsense --json"])
def test_an_error_leaves_stdout_empty_with_json(command: str) -> None:
    result = ganbench(command)
    assert result.stdout == ""
    assert result.stderr.startswith("error: unknown ")


@pytest.mark.parametrize(
    "command",
    ["nonsense", "show", "run dcgan-fashion --nonsense", "run dcgan-fashion --epochs many", "list models losses"],
)
def test_an_invalid_command_line_is_a_usage_error(command: str) -> None:
    result = ganbench(command)
    assert result.exit_code == USAGE
    assert "Usage: " in result.stderr


def test_a_file_without_access_is_an_error_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/root/file")

    monkeypatch.setattr("ganbench.reporting.plugin_commands.load_registry", fail)
    result = ganbench("list")
    assert result.exit_code == FAILED
    expected = "error: cannot access /root/file: Permission denied; run `ganbench --traceback ...` for details"
    assert " ".join(result.stderr.split()) == expected


def test_an_error_shows_its_traceback_on_request() -> None:
    result = ganbench("--traceback run nonsense")
    assert result.exit_code == USAGE
    assert "Traceback" in result.stderr
    assert "registry.py" in result.stderr


# start-up


@pytest.mark.parametrize(
    ("command", "absent"),
    [
        *(("--help", module) for module in ("torch", "pydantic", "numpy")),  # pydantic takes half of its time
        *((command, "torch") for command in ("list", "show dcgan-fashion", "show training", "plugins", "run nonsense")),
    ],
)
def test_a_command_does_not_import_what_it_does_not_need(command: str, absent: str) -> None:
    probe = f"import sys; from ganbench.cli import app\ntry: app()\nfinally: sys.exit('{absent}' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", probe, *command.split()], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_control_sequences_in_a_name_are_escaped() -> None:
    result = ganbench("run '\x1b[2J\x1b]0;ownednonsense'")
    assert result.exit_code == USAGE
    assert r"unknown benchmark '\x1b[2J\x1b]0;ownednonsense'" in result.stderr
    assert "\x1b" not in result.stderr


COMMANDS = [
    "eval images.npy --against fashion-mnist",
    "sample . --out x.png",
    "audit fid --on fashion-mnist --features fashion-cnn",
]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_writes_temporary_files_is_interrupted_in_order_by_any_signal(
    command: str, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By `timeout` or a closed terminal, which would otherwise end the process without removing its files."""

    def interrupt(*_: object) -> None:
        os.kill(os.getpid(), number)

    np.save("images.npy", embedded_subset().test.tensors[0][:4, 0].numpy())
    monkeypatch.setattr("ganbench.runtime.device.resolve_device", interrupt)
    outcome = ganbench(command)
    assert (outcome.exit_code, outcome.output.strip()) == (ExitCode.INTERRUPTED, "interrupted")
