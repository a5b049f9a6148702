"""Create a plugin package from the templates: a plugin that works, a test by its contract, and a build for GitHub."""

from __future__ import annotations

import importlib.util
import keyword
import re
from dataclasses import dataclass, field
from pathlib import Path

import ganbench
from ganbench.errors import UsageError, suggestion
from ganbench.plugin.kinds import Kind
from ganbench.plugin.registry import Registry
from ganbench.system.files import exists, explained_write, is_dir
from ganbench.version import __version__


@dataclass(frozen=True)
class Template:
    """What differs between kinds of plugins, apart from the plugin itself; `{name}` is the plugin's name."""

    usage: str  # arguments of `command` that select the plugin
    options: dict[str, str | float] = field(default_factory=dict)  # values of options that have no default
    command: str = "run dcgan-fashion"  # uses the plugin
    compares_speed: bool = True  # in its workflow, with `ganbench check`


TEMPLATES = {
    Kind.MODEL: Template("-o model={name}"),
    Kind.LOSS: Template("-o loss={name}"),
    Kind.DATASET: Template("-o dataset={name}"),
    Kind.METRIC: Template("""-o 'metrics=[{{name="{name}",features="raw"}}]'""", {"features": "raw"}),
    Kind.FEATURE_EXTRACTOR: Template("""-o 'metrics=[{{name="fid",features="{name}"}}]'"""),
    Kind.OPTIMIZER: Template("-o optimizer.generator={name}"),
    Kind.PENALTY: Template("""-o 'penalties=[{{name="{name}",weight=1.0}}]'"""),
    Kind.AUGMENTATION: Template("""-o 'augmentations=["{name}"]'"""),
    Kind.SCHEDULE: Template("""-o 'optimizer.generator.lr={{name="{name}",start=2e-4}}'""", {"start": 1.0}),
    Kind.TRACKER: Template("--track {name}", compares_speed=False),
    Kind.EXECUTOR: Template("--executor {name}", command="suite my-suite.toml", compares_speed=False),
    Kind.BENCHMARK: Template("{name}", command="run", compares_speed=False),
}


@dataclass(frozen=True)
class Package:
    """A new plugin package."""

    name: str  # of the plugin
    kind: Kind

    @property
    def distribution(self) -> str:
        return f"ganbench-{self.name}"

    @property
    def module(self) -> str:
        return self.distribution.replace("-", "_")

    @property
    def class_name(self) -> str:
        """A class name in the plugin's module: no keyword, and no name that it imports from ganbench."""
        name = "".join(part.capitalize() for part in self.name.split("-"))
        return f"My{name}" if keyword.iskeyword(name) or name in ganbench.__all__ else name

    def files(self) -> dict[str, str]:
        """Return the text of each file, by its path in the package."""
        from jinja2 import Environment, PackageLoader, StrictUndefined

        environment = Environment(
            loader=PackageLoader(__package__),
            autoescape=False,  # Python and Markdown, not HTML
            undefined=StrictUndefined,
            keep_trailing_newline=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        template = TEMPLATES[self.kind]
        values = {
            "name": self.name,
            "kind": self.kind.value,
            "distribution": self.distribution,
            "module": self.module,
            "hook": self.kind.hook,
            "class_name": self.class_name,
            "contract": "".join(part.capitalize() for part in self.kind.split("-")) + "Contract",
            "options": template.options,
            "usage": template.usage.format(name=self.name),
            "command": template.command,
            "compares_speed": template.compares_speed,
            "version": __version__,
        }
        templates = {
            "pyproject.toml": "pyproject.toml.j2",
            "README.md": "README.md.j2",
            f"{self.module}.py": f"plugins/{self.kind}.py.j2",
            f"tests/test_{self.module}.py": "test.py.j2",
            ".github/workflows/ci.yml": "ci.yml.j2",
        }
        return {path: environment.get_template(source).render(values) for path, source in templates.items()}


def new_package(name: str, kind: str, registry: Registry) -> Package:
    """Return the package of a plugin that does not exist yet.

    Raises `UsageError` if the name is invalid or taken, or if there is no such kind.
    """
    package = Package(name, parse_template_kind(kind))
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise UsageError(
            f"plugin name '{name}': use lowercase letters, digits and single hyphens, beginning with a letter, such as "
            "my-plugin"
        )
    for registered in registry.of_kind(package.kind):
        if registered.plugin.name == name:
            raise UsageError(f"plugin name '{name}': already taken by {registered}; choose another")
    if importlib.util.find_spec(package.module) is not None:
        raise UsageError(f"plugin name '{name}': a module {package.module} already exists; choose another name")
    return package


def parse_template_kind(text: str) -> Kind:
    """Return the kind called `text`, which may be in the plural. Raises `UsageError` for anything else."""
    kind = Kind.named(text)
    if kind in TEMPLATES:
        return kind
    hint = suggestion(text, [kind.value for kind in TEMPLATES])
    raise UsageError(f"--kind {text}: no such kind of plugin; {hint}")


def write_package(package: Package, folder: Path) -> list[Path]:
    """Write the files to a folder, which is new or empty, and return their paths. Raises `UsageError` otherwise."""
    if exists(folder) and (not is_dir(folder) or any(folder.iterdir())):
        raise UsageError(f"{folder}: already exists and is not an empty folder; choose another with --out")
    written = []
    for name, text in package.files().items():
        path = folder / name
        with explained_write(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        written.append(path)
    return written
