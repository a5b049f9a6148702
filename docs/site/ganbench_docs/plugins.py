"""One page for each kind of plugin: every shipped plugin with its options, from the registry."""

from __future__ import annotations

import inspect

from ganbench.plugin import hookspecs
from ganbench.plugin.kinds import Kind
from ganbench.plugin.registrations import Buildable
from ganbench.plugin.registry import Registered, Registry
from ganbench.spec.configs import CONFIGS, engine_options
from ganbench.spec.loading import load_spec

from .fields import options_table
from .markdown import code, collapsed, page, sentence, table, text

# how each kind is selected on the command line, and where its options are set
SELECTED = {
    Kind.BENCHMARK: "`ganbench run NAME`",
    Kind.MODEL: "`-o model=NAME`, options with `-o model.OPTION=VALUE`",
    Kind.LOSS: "`-o loss=NAME`, options with `-o loss.OPTION=VALUE`",
    Kind.DATASET: "`-o dataset=NAME`, options with `-o dataset.OPTION=VALUE`",
    Kind.METRIC: "`-o metrics.0=NAME`, options with `-o metrics.0.OPTION=VALUE`; `metrics.1` adds a second one",
    Kind.FEATURE_EXTRACTOR: "`-o metrics.0.features=NAME`, options with `-o metrics.0.features.OPTION=VALUE`",
    Kind.OPTIMIZER: "`-o optimizer.generator=NAME`, options with `-o optimizer.generator.OPTION=VALUE`; the same "
    "for `optimizer.discriminator`",
    Kind.PENALTY: "`-o 'penalties=[{name = \"NAME\", weight = 10.0}]'`",
    Kind.AUGMENTATION: "`-o 'augmentations=[\"NAME\"]'`",
    Kind.SCHEDULE: "a table in place of a number: `-o 'optimizer.generator.lr={name = \"NAME\", start = 1e-4}'`",
    Kind.TRACKER: "`--track NAME`, or `trackers` in the user's configuration",
    Kind.EXECUTOR: "`ganbench suite FILE.toml --executor NAME`, options with `-x OPTION=VALUE`",
}


def title_of(kind: Kind) -> str:
    return kind.plural.replace("-", " ").capitalize()


def purpose_of(kind: Kind) -> str:
    """Return what a hook says of its plugins, without their name."""
    said = sentence(inspect.getdoc(getattr(hookspecs, kind.hook)) or "").removeprefix(f"{title_of(kind)}: ")
    return said[0].upper() + said[1:]


def kind_links(folder: str = "") -> dict[str, str]:
    """Return links to the pages of kinds, by the names of the models that configure them."""
    return {config.__name__: f"[{kind}]({folder}{kind.plural}.md)" for kind, config in CONFIGS.items()}


def plugins_index(registry: Registry) -> str:
    """Return the page that lists every shipped plugin by kind."""
    rows = [
        [
            f"[{title_of(kind)}]({kind.plural}.md)",
            ", ".join(
                f"[`{found.plugin.name}`]({kind.plural}.md#{found.plugin.name})" for found in shipped(registry, kind)
            ),
        ]
        for kind in Kind
    ]
    return page(
        "Plugins",
        "Every plugin that comes with ganbench, with its options, by kind. `ganbench list` prints this list, with the "
        "plugins that you have installed.",
        table(["Kind", "Plugins"], rows),
    )


def plugins_page(kind: Kind, registry: Registry) -> str:
    """Return the page of one kind."""
    plugins = shipped(registry, kind)
    registrations = [found.plugin for found in plugins]
    blocks = [
        text(purpose_of(kind)),
        f"Selected by {SELECTED[kind]}. Plugins of your own are registered with the hook "
        f"[`{kind.hook}`](../hooks.md#{kind.hook}).",
        table(["Name", "Summary"], [[f"[`{each.name}`](#{each.name})", text(each.summary)] for each in registrations]),
    ]
    if kind in CONFIGS and CONFIGS[kind].engine_keys():
        blocks += [f"## Options of every {kind}", options_table(engine_options(CONFIGS[kind]), kind_links())]
    for found in plugins:
        blocks += [f"## {found.plugin.name}", f"{text(found.plugin.summary)}.", details(found, registry)]
    return page(title_of(kind), *blocks)


def details(found: Registered, registry: Registry) -> str:
    """Return a plugin's options, or a benchmark's spec."""
    if isinstance(found.plugin, Buildable):
        return options_table(found.plugin.options, kind_links())
    spec = load_spec(found.plugin.name, registry)
    return collapsed("Spec", code(spec.to_toml(), "toml"))


def shipped(registry: Registry, kind: Kind) -> list[Registered]:
    """Return the plugins of ganbench itself, without others that are installed where the site is built."""
    return [found for found in registry.of_kind(kind) if found.provider.distribution == "ganbench"]
