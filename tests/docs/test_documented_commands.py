"""Every command in README and docs works: those that only print are run, the others are parsed to the last option."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer.main
from documented_commands import ELLIPSES, DocumentedCommand, commands_in
from PIL import Image

from ganbench import BuildContext, DatasetContext, Registry, load_spec
from ganbench.cli import app
from ganbench.plugin.kinds import Kind
from ganbench.scoring.eval.request import Request
from ganbench.spec.benchmark import BenchmarkSpec
from ganbench.suite.sweep.axis import split_overrides
from ganbench_docs.pages import generated_pages

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
WRITTEN = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "ganbench" / "llms.txt", *sorted(DOCS.glob("*.md"))]
PAGES = {
    **{str(file.relative_to(ROOT)): file.read_text(encoding="utf-8") for file in WRITTEN},
    **{f"the generated page {path}": text for path, text in generated_pages(DOCS).items()},
}
COMMANDS = [command for page, text in PAGES.items() for command in commands_in(page, text)]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8") + PAGES["README.md"]
PRINTING = ("list", "show", "plugins")  # commands that are run
# plugins that a page writes and its commands name: the comment above the code, and the name of the file
OWN_PLUGINS = {
    "README.md": ("plugin", "my_hinge.py"),
    "docs/own-loss.md": ("file: softplus.py", "softplus.py"),
    "docs/tutorial.md": ("file: ganbench_huber.py", "ganbench_huber.py"),
}


@pytest.fixture(scope="module")
def cli() -> Any:
    """The command line; all but the commands that print only return what they would be called with."""
    root: Any = typer.main.get_command(app)

    def replace(group: Any) -> None:
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                replace(command)
            elif group is not root or name not in PRINTING:
                command.callback = lambda **given: given

    replace(root)
    return root


@pytest.fixture
def check(cli: Any, tmp_path: Path) -> Callable[[DocumentedCommand], None]:
    """Check a command: `check(command)` fails if it would not work."""

    def check_ganbench(command: DocumentedCommand, words: tuple[str, ...]) -> None:
        if not command.complete and words[0] in PRINTING:
            words = (*words, "--help")
        try:
            given = cli.main([word for word in words if word not in ELLIPSES], standalone_mode=False)
        except Exception as error:
            # a command that is not complete may lack an argument, or an option its value
            if command.complete or type(error).__name__ not in ("MissingParameter", "BadOptionUsage"):
                raise
            return
        if isinstance(given, dict):
            if command.complete and given.get("overrides"):
                check_overrides(words[0], given, write_own_plugin(command.page))
            if command.complete and words[0] in ("audit", "eval"):
                check_reference(given)
        else:
            assert not given, f"exit code {given}"

    def write_own_plugin(page: str) -> list[str]:
        if page not in OWN_PLUGINS:
            return []
        marker, name = OWN_PLUGINS[page]
        match = re.search(rf"<!-- {marker} -->\n```python\n(.*?)```", PAGES[page], re.DOTALL)
        assert match
        (tmp_path / name).write_text(match[1], encoding="utf-8")
        return [str(tmp_path / name)]

    def check_overrides(name: str, given: dict[str, Any], plugins: list[str]) -> None:
        registered = {found.plugin.name for found in Registry.load(plugins).of_kind(Kind.BENCHMARK)}
        if given.get("benchmark") in registered:
            overrides = list(given["overrides"])
            if name == "sweep":
                overrides, axes = split_overrides(overrides)
                overrides += [axis.override(axis.values[0]) for axis in axes]
            spec = load_spec(given["benchmark"], *overrides, plugins=plugins)
            if any(override.startswith("dataset=") for override in overrides):
                check_data(spec)

    def check_data(spec: BenchmarkSpec) -> None:
        """Fail if the model or a metric does not support the data, which the benchmark's own do for its own data."""
        for number in range(10):
            Path("photos").mkdir(exist_ok=True)
            Image.new("RGB", (50, 40), (number, 0, 0)).save(f"photos/{number}.png")
        data = spec.dataset.build(DatasetContext(Path("data"), Path("cache"), seed=0))
        context = BuildContext(data.data_shape, data.num_classes, "cpu", Path("cache"), seed=0)
        for config in (spec.model, *spec.metrics):
            config.build(context)

    def check_reference(given: dict[str, Any]) -> None:
        registry = Registry.load()
        registered = {found.plugin.name for kind in (Kind.BENCHMARK, Kind.DATASET) for found in registry.of_kind(kind)}
        against = given.get("dataset") or given["against"]
        if against in registered:  # else, it is a file or folder of the reader
            metrics = [given["metric"]] if "metric" in given else (given["metrics"] or "").split(",")
            names = [name for name in metrics if name]
            options = {name: given[name] for name in ("features", "overrides", "count")}
            request = Request(against=against, metrics=names, **options)
            request.spec(registry, None, given["count"])

    def check_command(command: DocumentedCommand) -> None:
        program, *arguments = command.words
        name = Path(program).name  # without the folder of an environment
        if name == "torchrun":
            assert arguments[arguments.index("-m") + 1] == "ganbench"
            check_ganbench(command, tuple(arguments[arguments.index("-m") + 2 :]))
        elif name == "ganbench":
            check_ganbench(command, tuple(arguments))
        elif name in ("python", "python3"):
            assert arguments[0] == "-m"
            check_module(arguments[1], arguments[2:])
        elif name == "pip":
            for extra in re.findall(r"\[(\w+)\]", " ".join(arguments)):
                assert extra in {*PROJECT["optional-dependencies"], "test"}, f"no extra {extra}"
        elif name in ("pytest", "ruff", "mypy", "mkdocs"):
            assert f".venv/bin/{name}" in CI
        elif program not in ("cd", "."):
            assert (ROOT / program).is_file(), f"no test knows {program}; mark the block <!-- not run: REASON -->"

    return check_command


def check_module(module: str, arguments: list[str]) -> None:
    found = importlib.util.find_spec(module)
    assert found, f"no module {module}"
    if found.submodule_search_locations:
        found = importlib.util.find_spec(f"{module}.__main__")
        assert found, f"the package {module} is no program"
    assert found.origin
    source = Path(found.origin).read_text(encoding="utf-8")
    for option in (argument for argument in arguments if argument.startswith("--")):
        parameter = option.removeprefix("--").replace("-", "_")  # of a function, by typer
        assert re.search(rf'"{option}"|\b{parameter}: ', source), f"{module} has no option {option}"


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_documented_command_works(
    command: DocumentedCommand, check: Callable[[DocumentedCommand], None], capsys: pytest.CaptureFixture[str]
) -> None:
    check(command)


def test_commands_are_found_in_every_form() -> None:
    text = """
Text with `ganbench show dcgan`, `ganbench.run` and `pip install -e .`.

<!-- a marker -->
```sh
ganbench run a -o 'b={c = "d"}' \\
  --json > out.json   # a comment
cd x && A=1 ganbench list ...
```

<!-- not run: it takes a cluster -->
```sh
sbatch job.sh
```
"""
    found = {command.words: command.complete for command in commands_in("page", text)}
    assert found == {
        ("ganbench", "run", "a", "-o", 'b={c = "d"}', "--json"): True,
        ("cd", "x"): True,
        ("ganbench", "list", "..."): False,
        ("ganbench", "show", "dcgan"): False,
        ("pip", "install", "-e", "."): False,
    }


@pytest.mark.parametrize(
    "words",
    [
        "ganbench trian dcgan-fashion",
        "ganbench run dcgan-fashion --epoch 3",
        "ganbench run dcgan-fashion -o model.widht=8",
        "ganbench run dcgan-fashion -o loss=hinges",
        "ganbench run dcgan-fashion -o dataset=image-folder -o dataset.path=photos -o dataset.size=32",
        "ganbench run mlp-ring -o dataset=gaussian-grid -o model=dcgan",
        "ganbench sweep dirac-gan -o loss.r2_gamma=0:2:21",
        "ganbench audit fid --on fashion-mnist",
        "ganbench eval FOLDER --against fashion-mnist",
        "ganbench show dcgann",
        "ganbench check",
        "python -m benchmarks.loop",
        "python -m benchmarks.loops --bussy 1",
        "pip install 'ganbench[slrum]'",
        "sbatch job.sh",
    ],
)
def test_a_wrong_command_is_found(words: str, check: Callable[[DocumentedCommand], None]) -> None:
    (command,) = commands_in("page", f"```sh\n{words}\n```")
    with pytest.raises((Exception, SystemExit)):
        check(command)
