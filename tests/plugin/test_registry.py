"""Plugins are found; a broken one is reported and does not affect others."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

import pytest
from torch import nn

from ganbench import GanbenchWarning, MetricPlugin, PluginError, UsageError
from ganbench.api.spec import resolve_spec
from ganbench.errors import NotComparableError
from ganbench.plugin.installed import Provider
from ganbench.plugin.interfaces import FeatureMetric, Interface, Metric
from ganbench.plugin.kinds import Kind
from ganbench.plugin.registrations import REGISTRATIONS, Buildable
from ganbench.plugin.registry import ONLY_VARIABLE, Registered, Registry
from ganbench.spec.configs import CONFIGS
from ganbench.spec.loading import load_spec, resolve
from ganbench.version import PLUGIN_API

Install = Callable[..., Path]

MODELS_HOOK = """
from ganbench import LossPlugin, ModelPlugin, UsageError, hookimpl

def build(options, context):
    raise RuntimeError("no weights")

@hookimpl
def ganbench_models():
    """


def offering(*models: str) -> str:
    """Return the source of a plugin module that provides models with these names."""
    plugins = ", ".join(f"ModelPlugin(name='{name}', summary='For tests', build=build)" for name in models)
    return f"{MODELS_HOOK}return [{plugins}]"


def names(registry: Registry, kind: Kind = Kind.MODEL) -> list[str]:
    return [registered.plugin.name for registered in registry.of_kind(kind)]


class Fault(NamedTuple):
    source: str
    stage: str
    cause: str


FAULTS = {  # by the distribution that has it; they all load before the shipped plugins
    "broken-import": Fault("import no_such_package", "import", "No module named 'no_such_package'"),
    "broken-syntax": Fault("def ganbench_models(:", "import", "SyntaxError"),
    "broken-exit": Fault("raise SystemExit(3)", "import", "SystemExit: 3"),
    "broken-hook": Fault(
        MODELS_HOOK + "raise OSError('disk gone')", "hook", "ganbench_models raised OSError: disk gone"
    ),
    "broken-hook-exit": Fault(MODELS_HOOK + "raise SystemExit(3)", "hook", "ganbench_models raised SystemExit: 3"),
    "broken-return": Fault(MODELS_HOOK + "return None", "hook", "ganbench_models must return a list, got None"),
    "broken-generator": Fault(MODELS_HOOK + "yield", "hook", "must return a list"),
    "broken-item": Fault(
        MODELS_HOOK + "return ['tiny']", "hook", "ganbench_models must return only ModelPlugin objects, got 'tiny'"
    ),
    "broken-kind": Fault(
        MODELS_HOOK + "return [LossPlugin(name='tiny', summary='For tests', build=build)]",
        "hook",
        "must return only ModelPlugin objects",
    ),
    "broken-name": Fault(offering("Not A Name"), "hook", "name"),
    "broken-spelling": Fault(
        offering("tiny").replace("ganbench_models", "ganbench_modles"),
        "register",
        "unknown hook ganbench_modles; did you mean 'ganbench_models'?",
    ),
    "broken-mark": Fault(
        offering("tiny").replace("@hookimpl", ""), "register", "ganbench_models is not marked with @ganbench.hookimpl"
    ),
    "broken-argument": Fault(offering("tiny").replace("models()", "models(config)"), "register", "config"),
    "broken-twice": Fault(offering("tiny", "tiny"), "name", "model 'tiny' is registered twice"),
}


@pytest.mark.parametrize("distribution", FAULTS)
def test_a_broken_plugin_is_reported_and_leaves_the_others_working(distribution: str, install: Install) -> None:
    fault = FAULTS[distribution]
    install(distribution, fault.source, version="1.2", entry_point="models")

    registry = Registry.load()

    (failure,) = registry.failures
    provider = failure.provider
    assert (provider.distribution, provider.version, provider.entry_point) == (distribution, "1.2", "models")
    assert failure.stage == fault.stage
    assert fault.cause in failure.cause
    assert str(failure).startswith(f"{distribution} 1.2, entry point 'models', {fault.stage}: ")
    assert "dcgan" in names(registry)


def test_several_broken_plugins_are_each_reported(install: Install) -> None:
    install("first-broken", "1 / 0")
    install("second-broken", MODELS_HOOK + "return 5")

    failures = Registry.load().failures

    assert [failure.provider.distribution for failure in failures] == ["first-broken", "second-broken"]


def test_the_valid_part_of_a_broken_plugin_loads(install: Install) -> None:
    broken_hook = "\n\n@hookimpl\ndef ganbench_losses():\n    return None\n"
    install("half-sound", offering("tiny").replace("]", ", 'junk']") + broken_hook)

    registry = Registry.load()

    assert len(registry.failures) == 2
    assert "tiny" in names(registry)


def test_a_name_registered_twice_by_one_distribution_still_works(install: Install) -> None:
    install("twice-given", offering("tiny", "tiny"))

    registry = Registry.load()

    assert names(registry).count("tiny") == 1
    assert registry.find(Kind.MODEL, "tiny").provider.distribution == "twice-given"


def test_a_name_provided_by_two_distributions_is_ambiguous_and_other_names_work(install: Install) -> None:
    install("claim-one", offering("tiny", "mine"), version="1.0")
    install("claim-two", offering("tiny", "yours"), version="2.0")

    registry = Registry.load()

    with pytest.raises(UsageError, match=r"'tiny' is provided by claim-one 1\.0 and claim-two 2\.0"):
        registry.find(Kind.MODEL, "tiny")
    for name, distribution in {"mine": "claim-one", "yours": "claim-two", "dcgan": "ganbench"}.items():
        assert registry.find(Kind.MODEL, name).provider.distribution == distribution


def test_an_ambiguous_name_is_resolved_by_its_distribution(install: Install) -> None:
    install("claim-one", offering("tiny"), version="1.0")
    install("claim-two", offering("tiny"), version="2.0")

    registry = Registry.load()

    with pytest.raises(UsageError, match="select one as tiny@claim-one"):
        registry.find(Kind.MODEL, "tiny")
    for distribution in ("claim-one", "claim-two"):
        assert registry.find(Kind.MODEL, f"tiny@{distribution}").provider.distribution == distribution
        (shown,) = registry.named(f"tiny@{distribution}")
        assert shown.provider.distribution == distribution
    with pytest.raises(UsageError, match="'tiny' is provided by claim-one, claim-two, not by 'claim-three'"):
        registry.find(Kind.MODEL, "tiny@claim-three")


def test_the_distribution_of_a_name_stays_in_the_spec(install: Install) -> None:
    registry = Registry.load()
    spec = load_spec("dcgan-fashion", registry, ["loss=bce@ganbench"])
    assert spec.to_dict()["loss"] == {"name": "bce@ganbench"}
    assert resolve(spec.to_dict(), registry, origin="itself") == spec


def test_a_plugin_for_another_version_of_the_api_is_refused_naming_both_versions(install: Install) -> None:
    install("from-tomorrow", offering("tiny") + f"\nPLUGIN_API = {PLUGIN_API + 1}\n")

    registry = Registry.load()

    (failure,) = registry.failures
    assert failure.provider.distribution == "from-tomorrow"
    assert f"requires plugin API version {PLUGIN_API + 1}, but ganbench" in failure.cause
    assert f"has version {PLUGIN_API};" in failure.cause
    assert "tiny" not in names(registry)


def test_a_plugin_for_this_version_of_the_api_loads(install: Install) -> None:
    install("of-today", offering("tiny") + f"\nPLUGIN_API = {PLUGIN_API}\n")
    assert "tiny" in names(Registry.load())


def test_an_ambiguous_name_is_resolved_by_limiting_the_distributions(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("rival-one", offering("tiny"))
    install("rival-two", offering("tiny"))
    monkeypatch.setenv(ONLY_VARIABLE, "ganbench,rival-two")

    registry = Registry.load()

    assert registry.find(Kind.MODEL, "tiny").provider.distribution == "rival-two"
    assert not registry.failures


def test_plugins_of_different_kinds_may_share_a_name(install: Install) -> None:
    install("shares-a-name", offering("adam"))

    registry = Registry.load()

    assert {found.plugin.kind for found in registry.named("adam")} == {Kind.MODEL, Kind.OPTIMIZER}
    assert not registry.failures


def test_an_unknown_name_suggests_the_nearest(registry: Registry) -> None:
    with pytest.raises(UsageError, match=r"unknown model 'dcgna'; did you mean 'dcgan'\?$"):
        registry.find(Kind.MODEL, "dcgna")
    with pytest.raises(UsageError, match=r"unknown plugin 'rmspop'; did you mean 'rmsprop'\?$"):
        registry.named("rmspop")


def test_an_unknown_name_without_a_close_match_lists_the_available_ones(registry: Registry) -> None:
    with pytest.raises(UsageError, match=r"available: adam, .*, sgd"):
        registry.find(Kind.OPTIMIZER, "quantum")


@pytest.mark.parametrize("name", ["quantum", "dcgna"])
def test_the_error_for_an_unknown_name_lists_plugins_that_failed_to_load(name: str, install: Install) -> None:
    install("quantum-gan", "import no_qubits", version="0.3", entry_point="quantum")

    with pytest.raises(UsageError) as caught:
        Registry.load().find(Kind.MODEL, name)

    message = str(caught.value)
    assert "Some plugins failed to load: quantum-gan 0.3, entry point 'quantum', import" in message
    assert "No module named 'no_qubits'" in message
    assert "?." not in message


@pytest.mark.parametrize("only", ["only-this", "Only_This", " only-this ", "only-this,"])
def test_the_variable_limits_loading_to_the_distributions_it_names(
    only: str, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("only-this", offering("tiny"))
    install("not-that", "raise RuntimeError('must not be imported')")
    monkeypatch.setenv(ONLY_VARIABLE, only)

    registry = Registry.load()

    assert names(registry) == ["tiny"]
    assert not registry.failures


@pytest.mark.parametrize("only", ["", " ", ","])
def test_a_variable_that_names_nothing_limits_nothing(only: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ONLY_VARIABLE, only)
    assert "dcgan" in names(Registry.load())


def test_the_variable_may_not_name_an_unknown_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ONLY_VARIABLE, "ganbench,ganbnech")
    with pytest.raises(UsageError, match=f"{ONLY_VARIABLE}: no ganbench plugins are installed from: ganbnech"):
        Registry.load()


def test_the_version_of_an_extra_file_is_its_hash(tmp_path: Path) -> None:
    path = tmp_path / "my.plugin.py"
    versions = set()
    for name in ("tiny", "small"):
        path.write_text(offering(name))
        provider = Registry.load([str(path)]).find(Kind.MODEL, name).provider
        assert provider.distribution == path.name
        versions.add(provider.version)
    assert len(versions) == 2


@pytest.mark.parametrize("given", [str, Path, lambda path: [path], lambda path: iter([str(path)])])
def test_extra_plugins_are_one_or_several(given: Callable[[Path], Any], tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(offering("tiny"))
    assert Registry.load(given(path)).find(Kind.MODEL, "tiny").provider.given == str(path)


def test_an_extra_module_is_a_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "extra_package").mkdir()
    (tmp_path / "extra_package" / "gans.py").write_text(offering("tiny"))
    monkeypatch.syspath_prepend(str(tmp_path))

    registered = Registry.load(["extra_package.gans"]).find(Kind.MODEL, "tiny")

    assert registered.provider.distribution == "extra_package.gans"


def test_a_plugin_whose_code_was_edited_after_its_import_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a notebook. Otherwise, what the old code computes would be stored under the hash of the new code."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "imported_early.py"
    path.write_text(offering("tiny"))
    importlib.import_module("imported_early")
    path.write_text(offering("tiny") + "# edited")
    registered = Registry.load(["imported_early"]).find(Kind.MODEL, "tiny")
    with pytest.raises(
        NotComparableError, match=r"imported_early\.py was edited after this process imported .* restarting Python"
    ):
        registered.record()


def test_a_plugin_that_was_edited_between_two_runs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "edited_between.py"
    path.write_text(offering("tiny"))
    registered = Registry.load(["edited_between"]).find(Kind.MODEL, "tiny")
    before = registered.record()
    path.write_text(offering("tiny") + "# edited")
    assert registered.record() == before  # in the run that has begun
    with pytest.raises(NotComparableError, match=r"edited_between\.py was edited"):
        Registry.load(["edited_between"]).find(Kind.MODEL, "tiny").record()


@pytest.mark.parametrize("missing", ["nowhere.py", "folder/nowhere.py", "nowhere", "nowhere.gans", "json.nowhere"])
def test_a_missing_extra_plugin_is_a_usage_error(missing: str) -> None:
    with pytest.raises(UsageError, match=f"-p {missing}: no such (file|module)"):
        Registry.load([missing])


@pytest.mark.parametrize("distribution", FAULTS)
def test_an_extra_plugin_that_is_broken_is_an_error_with_its_cause(distribution: str, tmp_path: Path) -> None:
    fault = FAULTS[distribution]
    path = tmp_path / f"{distribution}.py"
    path.write_text(fault.source)

    with pytest.raises(PluginError) as caught:
        Registry.load([str(path)])

    assert f"-p {path}: " in str(caught.value)
    assert fault.cause in str(caught.value)


def test_an_optional_plugin_that_is_broken_leaves_no_part(tmp_path: Path) -> None:
    path = tmp_path / "half.py"
    path.write_text(offering("tiny").replace("]", ", 'junk']"))
    with pytest.warns(GanbenchWarning, match="must return only ModelPlugin objects.*continuing without this plugin"):
        registry = Registry.load([], [str(path)])
    assert "tiny" not in names(registry)
    assert not registry.failures
    assert "half" not in {provider.module for provider in registry.providers}


def test_a_file_given_by_several_paths_is_loaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own.py").write_text(offering("tiny"))
    (tmp_path / "link.py").symlink_to("own.py")
    monkeypatch.chdir(tmp_path)
    registry = Registry.load(["own.py", "./own.py", str(tmp_path / "own.py"), "link.py"])
    assert names(registry).count("tiny") == 1
    spec = resolve_spec("dcgan-fashion", ["model=tiny"], "own.py").spec
    assert resolve_spec(spec, [], "own.py").spec.to_dict() == spec.to_dict()


def test_a_plugin_that_is_already_loaded_is_an_error_in_words(tmp_path: Path) -> None:
    one, other = tmp_path / "one" / "own.py", tmp_path / "other" / "own.py"
    for file in (one, other):
        file.parent.mkdir()
        file.write_text(offering("tiny"))
    with pytest.raises(PluginError) as caught:
        Registry.load([one, other])
    assert str(caught.value) == f"-p {other}: the same plugin is already loaded, from {one}; leave one of them out"
    with pytest.raises(PluginError, match=r"-p ganbench_models: the same plugin is already loaded, from ganbench \d"):
        Registry.load(["ganbench_models"])


def test_an_extra_plugin_cannot_use_an_installed_name(tmp_path: Path) -> None:
    path = tmp_path / "usurper.py"
    path.write_text(offering("dcgan"))
    with pytest.raises(PluginError, match=r"'dcgan' is registered twice, here and by ganbench \d"):
        Registry.load([str(path)])


def test_the_error_of_a_build_names_plugin_distribution_and_version(install: Install) -> None:
    install("raising-build", offering("tiny"), version="1.2")

    with pytest.raises(
        PluginError, match=r"model 'tiny' \(from raising-build 1\.2\) raised in build: RuntimeError: no weights"
    ):
        Registry.load().find(Kind.MODEL, "tiny").build(None, None)


class OfModules(nn.Module):
    """A metric whose extractor is a submodule, which only `__getattr__` finds."""

    label, higher_is_better, protocol = "own", True, {}  # type: ignore[var-annotated]

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Flatten()

    def score(self, real: object, generated: object) -> float:
        return 0.0


def test_a_module_is_a_metric_if_its_submodules_and_methods_complete_it() -> None:
    """Python 3.12 and later look for the members of a protocol without calling `__getattr__`."""
    assert type(FeatureMetric).__instancecheck__ is Interface.__instancecheck__
    assert isinstance(OfModules(), FeatureMetric)
    assert not isinstance(OfModules(), Metric)

    class Unscored(OfModules):
        score = property()  # type: ignore[assignment]

    provider = Provider("mine.py", "1", "mine", "mine")
    plugin = MetricPlugin(name="mine", summary="For tests", build=lambda *_: Unscored())
    with pytest.raises(PluginError, match=r"got Unscored, which lacks score of a FeatureMetric$"):
        Registered(plugin, provider).build(None, None)


def test_a_build_may_raise_a_ganbench_error(install: Install) -> None:
    install("refusing-build", offering("tiny").replace("RuntimeError", "UsageError"))

    with pytest.raises(UsageError, match=r"^no weights$"):
        Registry.load().find(Kind.MODEL, "tiny").build(None, None)


def test_a_metric_cannot_have_options_with_reserved_names(tmp_path: Path) -> None:
    plugin = tmp_path / "greedy.py"
    plugin.write_text(
        dedent(
            """
            from ganbench import MetricPlugin, Options, hookimpl

            class Greedy(Options):
                num_samples: int = 7

            @hookimpl
            def ganbench_metrics():
                return [MetricPlugin(name="greedy", summary="Greedy", options=Greedy, build=print)]
            """
        )
    )
    with pytest.raises(PluginError, match="metric 'greedy': option names reserved by ganbench: num_samples") as error:
        Registry.load([str(plugin)])
    assert "pydantic" not in str(error.value)
    assert "input_value" not in str(error.value)


@pytest.mark.parametrize("kind", CONFIGS)
def test_reserved_names_are_the_keys_of_the_engine(kind: Kind) -> None:
    registration = REGISTRATIONS[kind]
    assert issubclass(registration, Buildable)
    assert registration.reserved == CONFIGS[kind].engine_keys() | {"name"}


def broken_distribution(site: Path, files: dict[str, bytes]) -> Path:
    folder = site / "ganbench_left-1.0.dist-info"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


NAMED = b"Metadata-Version: 2.1\nName: ganbench-left\nVersion: 1.0\n"
OURS = b"[ganbench]\nleft = ganbench_left\n"


@pytest.mark.parametrize(
    ("files", "cause"),
    [
        ({"entry_points.txt": OURS}, "METADATA with a name and a version not found"),
        ({"entry_points.txt": OURS, "METADATA": b""}, "METADATA with a name and a version not found"),
        ({"entry_points.txt": OURS, "METADATA": b"Name: left\n"}, "METADATA with a name and a version not found"),
        ({"entry_points.txt": OURS, "METADATA": b"Name: \xff\xfe\n"}, "METADATA with a name and a version not found"),
        ({"entry_points.txt": b"[ganbench]\nleft", "METADATA": NAMED}, "cannot read entry_points.txt"),
        ({"entry_points.txt": b"\xff\xfe[ganbench]", "METADATA": NAMED}, "cannot read entry_points.txt"),
        ({"entry_points.txt": b"[ganbench]\nleft = 1 2", "METADATA": NAMED}, "'1 2' is not MODULE or MODULE:OBJECT"),
        ({"entry_points.txt": OURS, "METADATA": NAMED}, "No module named 'ganbench_left'"),
        ({"entry_points.txt": OURS.replace(b"left\n", b"left:x\n"), "METADATA": NAMED}, "No module named"),
    ],
    ids=[
        "no METADATA", "empty METADATA", "no version", "METADATA is not UTF-8", "no value", "not UTF-8",
        "no module name", "no module", "no module of an object",
    ],
)  # fmt: skip
def test_a_broken_distribution_is_reported_and_does_not_affect_others(
    files: dict[str, bytes], cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_distribution(tmp_path, files)
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = Registry.load()
    (failure,) = registry.failures
    assert failure.provider.distribution in ("ganbench_left", "ganbench-left")
    assert cause in str(failure)
    assert "dcgan" in names(registry)
    monkeypatch.setenv(ONLY_VARIABLE, "ganbench")
    assert not Registry.load().failures


def test_a_broken_distribution_without_plugins_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken_distribution(tmp_path, {"entry_points.txt": b"[console_scripts]\nleft"})
    monkeypatch.syspath_prepend(str(tmp_path))
    assert not Registry.load().failures


def test_a_distribution_further_along_the_path_is_shadowed(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("Ganbench-Twice", offering("tiny"), version="2.0")
    (tmp_path / "later" / "ganbench_twice-1.0.dist-info").mkdir(parents=True)
    monkeypatch.setattr("sys.path", [*sys.path, str(tmp_path / "later")])
    (tmp_path / "later" / "ganbench_twice-1.0.dist-info" / "entry_points.txt").write_bytes(OURS)
    assert not Registry.load().failures
