"""What a check measures: each side's own code and paths, and nothing if both sides are equal."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from command_line import run_command
from stand_in import FAST, SLOW

from ganbench import load_spec
from ganbench.errors import ExitCode, NotComparableError, UsageError
from ganbench.gate.check import Measurements
from ganbench.gate.measuring import Sessions
from ganbench.gate.probe import Probe, Probes, are_equal, probe_alone, probed
from ganbench.gate.revision.checkout import Revision, checked_out
from ganbench.gate.revision.dependencies import changed_declarations
from ganbench.gate.revision.non_paths import non_path_values
from ganbench.gate.revision.path_mapping import PathMapping, to_inline_toml
from ganbench.gate.revision.under_test import UnderTest, only, roots_of
from ganbench.gate.session import Session
from ganbench.gate.side import Code, SessionConfig, Side
from ganbench.gate.training_runs import go_on_to_training, train
from ganbench.system.source import is_source


def invoke(*arguments: str) -> tuple[int, str]:
    outcome = run_command("check", "dcgan-fashion", *arguments)
    return outcome.exit_code, " ".join(outcome.output.split())


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout


AGAINST = ("-p", "own_loss.py", "--against", "HEAD~1")


def test_equal_sides_are_not_measured(commit: Any) -> None:
    commit(FAST)
    Path("README.md").write_text("docs")
    commit(FAST)
    code, text = invoke(*AGAINST)
    assert code == ExitCode.DONE
    assert "PASS: code, spec, data and environment are the same on both sides, so there is nothing to measure" in text
    assert "block" not in text
    assert "block 1 of at most 1, " in invoke(*AGAINST, "--always-measure", "--no-smoke", "--blocks", "1")[1]


@pytest.mark.parametrize(("file", "measured"), [("csrc/common.cuh", True), ("csrc/notes.md", False)])
def test_an_edit_of_what_only_compilers_read_is_measured(file: str, measured: bool, commit: Any) -> None:
    (commit(FAST) / "csrc").mkdir()
    for content in ("1", "2"):
        Path(file).write_text(content)
        commit(FAST)
    assert ("nothing to measure" not in invoke(*AGAINST, "--no-smoke")[1]) == measured


@pytest.mark.parametrize("always", [(), ("--always-measure",)])
def test_a_side_that_reads_code_of_the_other_is_not_measured(always: tuple[str, ...], commit: Any) -> None:
    commit(FAST + "FOREIGN = ['/head/build/fused.so']\n")
    commit(FAST)
    code, text = invoke(*AGAINST, *always)
    assert code == ExitCode.NOT_COMPARABLE
    assert "HEAD~1 (" in text
    assert "would run code that is not its own: it reads /head/build/fused.so from the other side" in text


PROJECT = '[project]\nname = "own"\nversion = "{}"\ndependencies = ["torch=={}"]\n'
SETUP = "[options]\ninstall_requires =\n    torch=={}\n[tool:pytest]\naddopts = {}\n"


@pytest.mark.parametrize(
    ("file", "before", "after", "found"),
    [
        ("pyproject.toml", PROJECT.format(1, "2.9"), PROJECT.format(1, "2.10"), True),
        ("pyproject.toml", PROJECT.format(1, "2.9"), PROJECT.format(2, "2.9"), False),
        ("pyproject.toml", "invalid", PROJECT.format(1, "2.9"), True),
        ("plugins/own/pyproject.toml", "", '[dependency-groups]\ntest = ["torch"]\n', True),
        ("pyproject.toml", '[build-system]\nrequires = ["torch==2.9"]\n', "", True),
        ("setup.cfg", SETUP.format("2.9", ""), SETUP.format("2.10", ""), True),
        ("setup.cfg", SETUP.format("2.9", ""), SETUP.format("2.9", "-q"), False),
        ("requirements-gpu.txt", "torch==2.9\n", "torch==2.10\n", True),
        ("requirements/gpu.txt", "torch==2.9\n", "torch==2.10\n", True),
        ("constraints.txt", "torch==2.9  # old\n", "\n# comment\ntorch==2.9\n", False),
        ("uv.lock", "2.9", "2.10", True),
        ("environment.yml", "- torch=2.9", "- torch=2.10", True),
        ("setup.py", "setup(install_requires=['torch==2.9'])", "setup(install_requires=['torch==2.10'])", True),
        ("notes.txt", "torch 2.9", "torch 2.10", False),
    ],
)
def test_changed_dependencies_are_found(file: str, before: str, after: str, found: bool, commit: Any) -> None:
    repository = commit(FAST)
    (repository / file).parent.mkdir(parents=True, exist_ok=True)
    (repository / file).write_text(before)
    commit(FAST)
    (repository / file).write_text(after)
    with checked_out("HEAD") as base:
        assert changed_declarations(base) == ([file] if found else [])


def test_a_check_warns_of_dependencies_whose_change_it_cannot_measure(commit: Any) -> None:
    for version in ("2.9", "2.10"):
        Path("requirements.txt").write_text(f"torch=={version}\n")
        commit(FAST)
    code, text = invoke(*AGAINST, "--strict")
    assert code == ExitCode.DONE
    assert "PASS: code, spec, data and environment are the same on both sides" in text
    assert "WARNING: the declared dependencies differ from the revision's: requirements.txt. Both sides ran" in text
    assert "use --against-python" in text
    commit(SLOW)
    assert "requirements.txt" not in invoke(*AGAINST, "--no-smoke")[1]
    assert "requirements.txt" in invoke("-p", "own_loss.py", "--against", "HEAD~2", "--no-smoke")[1]


def revision(folder: Path, files: str = "") -> Revision:
    names = frozenset(files.split())
    return Revision(folder / "repository", folder / "checkout", "0" * 40, names, names)


PACKAGES = "ganbench/cli.py own/__init__.py src/other.py"


@pytest.mark.parametrize(
    ("side", "path", "accepted"),
    [
        ("head", "repository/ganbench", True),
        ("head", "repository/.venv/lib/site-packages/ganbench", False),
        ("head", "checkout/ganbench", False),
        ("base", "checkout/ganbench", True),
        ("base", "repository/.venv/lib/site-packages/ganbench", False),
        ("base", "repository/ganbench", False),
    ],
)
def test_each_side_runs_its_own_code(side: str, path: str, accepted: bool, tmp_path: Path) -> None:
    under_test = UnderTest(revision(tmp_path, PACKAGES), SessionConfig("any"))
    code = {"ganbench": Code(path=str(tmp_path / path), source="0")}
    require = under_test.require_head_code if side == "head" else under_test.require_base_code
    if accepted:
        require(code)
    else:
        with pytest.raises(NotComparableError, match=r"ganbench comes from .*pip install -e"):
            require(code)


def test_code_from_outside_of_the_repository_is_not_under_test(tmp_path: Path) -> None:
    under_test = UnderTest(revision(tmp_path, "README.md"), SessionConfig("any"))
    code = {"foreign": Code(path=str(tmp_path / "repository/.venv/lib/site-packages/foreign"), source="0")}
    under_test.require_base_code(code)
    with pytest.raises(NotComparableError, match="nothing that this benchmark uses comes from"):
        under_test.require_repository_code(code, [])
    under_test.require_repository_code(code, [tmp_path / "repository" / "game.toml"])


def test_packages_installed_inside_the_checkout_are_imported_from_source(tmp_path: Path) -> None:
    under_test = UnderTest(revision(tmp_path, PACKAGES), SessionConfig("any"))
    assert under_test.head[0] == tmp_path / "repository"
    assert under_test.base[0] == tmp_path / "checkout"


def test_a_package_that_only_the_finder_of_an_editable_install_knows_is_that_of_each_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "site-packages" / "own_helper-1.dist-info"
    info.mkdir(parents=True)
    url = {"url": (tmp_path / "repository").as_uri(), "dir_info": {"editable": True}}
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-helper\nVersion: 1\n")
    (info / "direct_url.json").write_text(json.dumps(url))
    (info / "RECORD").write_text("__editable___own_helper_1_finder.py,,\n")
    (info / "top_level.txt").write_text("own_helper\n")
    monkeypatch.syspath_prepend(str(info.parent))
    under_test = UnderTest(revision(tmp_path, "flat/own_helper/__init__.py"), SessionConfig("any"))
    assert tmp_path / "checkout" / "flat" in under_test.base
    assert tmp_path / "repository" / "flat" in under_test.head


def test_an_ambiguous_module_is_not_guessed() -> None:
    assert roots_of("a.b", ["x/a/b.py", "a/b/__init__.py", "b.py", "lib/site-packages/a/b.py"]) == [".", "x"]
    assert only([".", "x"]) is None
    assert only(["x"]) == "x"


def test_a_virtual_environment_in_the_repository_is_not_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "env"))
    assert not is_source(tmp_path / "env" / "bin", tmp_path)
    assert not is_source(tmp_path / "other" / "site-packages" / "x", tmp_path)
    assert is_source(tmp_path / "plugins", tmp_path)


def test_an_edit_during_a_check_is_detected() -> None:
    sessions = [Session.model_construct(code={"own": Code(path="/own", source=text)}) for text in ("0", "1")]
    with pytest.raises(NotComparableError, match="changed during the check: own"):
        Measurements(sessions=Sessions(sessions, [], in_pairs=False)).require_unchanged()


def probe(folder: str, **more: Any) -> Probe:
    values: dict[str, Any] = {"spec": {"weights": f"{folder}/w.pth"}, "files": {}, "data": "0", "environment": {}}
    return Probe(code={}, **{**values, **more})


@pytest.mark.parametrize(
    ("more", "equal"),
    [
        ({}, True),
        ({"spec": {"name": "renamed", "weights": "/one/w.pth"}}, True),
        ({"spec": {"weights": "/one/x.pth"}}, False),
        ({"files": {"own/weights.npz": "1"}}, False),
        ({"data": "1"}, False),
        ({"environment": {"python": "3.13"}}, False),
    ],
)
def test_which_differences_make_sides_unequal(more: dict[str, Any], equal: bool) -> None:
    base, head = (Side(name, checkouts=(Path("/one"), Path("/two"))) for name in ("base", "head"))
    assert are_equal(base, head, Probes(probe("/two"), probe("/one", **more), None)) == equal
    for changed in (replace(head, delay=0.1), replace(head, native_code="1")):
        assert not are_equal(base, changed, Probes(probe("/two"), probe("/two"), None))


@pytest.mark.parametrize("form", ["commit -a", "add"])
def test_a_check_during_a_commit_leaves_the_index_unchanged(
    form: str, commit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = commit(FAST)
    commit(SLOW)
    (repository / "own_loss.py").write_text("RATE = 1\n")
    git("add", "own_loss.py")
    index = repository / ".git" / "index"
    if form == "commit -a":
        index = index.rename(index.with_name("other-index"))
    before = index.read_bytes()
    monkeypatch.setenv("GIT_INDEX_FILE", str(index))
    monkeypatch.setenv("GIT_DIR", str(repository / ".git"))
    with checked_out("HEAD~1") as found:
        assert (found.folder / "own_loss.py").read_text() == FAST
    assert index.read_bytes() == before
    assert not found.folder.parent.exists()
    code, _ = invoke("-p", "own_loss.py", "--against", "HEAD", "--no-smoke")
    assert code == ExitCode.REGRESSION
    assert index.read_bytes() == before


@pytest.mark.parametrize("reference", ["origin/", "", " "])
def test_an_empty_branch_name(reference: str, commit: Any) -> None:
    commit(FAST)
    code, text = invoke("-p", "own_loss.py", "--against", reference)
    assert code == ExitCode.USAGE
    assert "the branch name is missing" in text


def test_tracked_paths_are_mapped_to_each_side(commit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    repository: Path = commit(FAST)
    for name in ("weights.pth", "ignored.pth", "../outside.pth"):
        (repository / name).write_text("")
    git("add", "weights.pth")
    (repository / "folder").mkdir()
    (repository / "own.toml").write_text(
        'name = "folder"\n[model]\nname = "x"\nfile = "../ignored.pth"\nuntouched = 1\n'
    )
    commit(FAST)
    git("rm", "-q", "--cached", "ignored.pth")
    git("commit", "-q", "-m", "ignored")
    monkeypatch.chdir(repository / "folder")
    given = ["a=../weights.pth", f"b={repository}/weights.pth", "c=../ignored.pth", "d=../../outside.pth", "e=plain"]
    with checked_out("HEAD") as found:
        mapping = PathMapping(found, frozenset())
        config = SessionConfig("../own.toml", [*given, "f=['../weights.pth', 1]"], data_dir=Path("../folder"))
        base = mapping.base(config)
        base_root, head_root = found.folder, repository.resolve()
        assert base.benchmark == str(base_root / "own.toml")
        assert base.overrides[1:] == [
            f'a="{base_root}/weights.pth"',
            f'b="{base_root}/weights.pth"',
            f'c="{head_root}/ignored.pth"',
            f'd="{head_root.parent}/outside.pth"',
            "e=plain",
            f'f=["{base_root}/weights.pth", 1]',
        ]
        assert base.overrides[0] == f'model.file="{head_root}/ignored.pth"'
        assert base.data_dir == head_root / "folder"
        monkeypatch.setenv("HOME", str(repository))
        monkeypatch.setenv("GANBENCH_DATA", "~/folder")  # no shell replaces the ~ in the environment of a CI job
        assert mapping.head(replace(config, data_dir=None)).data_dir == repository / "folder"
        monkeypatch.setenv("GANBENCH_DATA", "tpyo")
        with pytest.raises(UsageError, match="GANBENCH_DATA=tpyo: no such folder"):
            mapping.base(replace(config, data_dir=None))
        monkeypatch.delenv("GANBENCH_DATA")
        assert base.files == (base_root / "weights.pth",)
        assert mapping.head(config).files == (head_root / "weights.pth",)
        (repository / "own.toml").rename(repository / "own.cfg")  # a spec with another suffix
        renamed = mapping.base(replace(config, benchmark="../own.cfg"))
        assert renamed.benchmark == str(base_root / "own.cfg")
        monkeypatch.chdir(repository)
        assert PathMapping(found, frozenset()).base(SessionConfig("any", ["a=weights.pth"])).overrides == [
            "a=weights.pth"
        ]


def test_a_data_folder_of_which_git_tracks_a_part_has_the_same_untracked_files_on_both_sides(commit: Any) -> None:
    repository: Path = commit(FAST)
    for name in ("data/.gitkeep", ".gitignore"):
        (repository / name).parent.mkdir(exist_ok=True)
        (repository / name).write_text("images/\nloss.txt\n*.so\n")
    commit(FAST)
    for name in ("data/images/a/1.png", "data/loss.txt", "data/staged.txt", "data/built.so"):
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text("1.5")
    git("add", "data/staged.txt")
    with checked_out("HEAD") as found:
        mapping = PathMapping(found, frozenset())
        for config in (SessionConfig("any", ["dataset.path=data"]), SessionConfig("any", data_dir=Path("data"))):
            mapping.link_untracked_data(config)
            data = found.folder / "data"
            assert {path.relative_to(data).as_posix() for path in data.rglob("*") if path.is_file()} == {
                *(".gitkeep", "images/a/1.png", "loss.txt"),
            }
    assert (repository / "data/images/a/1.png").read_text() == "1.5"
    for comment in ("# before\n", "# after\n"):
        commit(FAST + comment + "LOSS = float(open('data/loss.txt').read())\n")
    code, text = invoke(*AGAINST, "--data-dir", "data", "--no-speed")
    assert "PASS: training results agree" in text
    assert code == ExitCode.DONE


def test_plugin_names_are_not_paths(commit: Any) -> None:
    (commit(FAST) / "dcgan").mkdir()
    with checked_out("HEAD") as found:
        config = SessionConfig("any", ["model=dcgan"])
        assert PathMapping(found, frozenset({"dcgan"})).base(config).overrides == ["model=dcgan"]


def test_values_are_formatted_as_toml() -> None:
    assert to_inline_toml({"a b": [1, 2.5, True, 'x"y']}) == '{"a b" = [1, 2.5, true, "x\\"y"]}'
    value = {"\N{GRINNING FACE}": "fotos \N{GRINNING FACE}/x"}
    assert tomllib.loads(f"value = {to_inline_toml(value)}") == {"value": value}


def test_sessions_do_not_inherit_the_variables_of_git_hooks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    worker = tmp_path / "worker.py"
    worker.write_text("import json, os; print(json.dumps('GIT_DIR' in os.environ))")
    monkeypatch.setattr("ganbench.gate.side.WORKER", worker)
    with Side("base").start("any", SessionConfig("any")) as session:
        assert session.last_answer() is False


def test_values_with_fixed_choices_are_not_paths() -> None:
    found = non_path_values(load_spec("sngan-cifar10", "augmentations=['diffaugment']"))
    assert "photos" not in found
    assert {"test", "train", "eval", "raw", "ema", "tf32", "color", "cutout", "diffaugment", "hinge"} <= found


@pytest.mark.slow
def test_a_real_probe_finds_what_a_metric_reads(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_text("1")
    (tmp_path / "metric.py").write_text(
        dedent(
            """
            from pathlib import Path
            from ganbench import MetricPlugin, hookimpl

            def build(options, context):
                Path(__file__).with_name("weights.bin").read_text()
                return Brightness()

            class Brightness:
                higher_is_better, protocol, label = True, {}, "brightness"

                def fit(self, real): ...
                def update(self, images): ...
                def compute(self): return 1.0

            @hookimpl
            def ganbench_metrics():
                return [MetricPlugin(name="brightness", summary="Mean value", build=build)]
            """
        )
    )
    side = Side("A", import_paths=tuple(map(Path, sys.path)), checkouts=(tmp_path,))
    config = SessionConfig(
        "dcgan-fashion",
        ["metrics=['brightness']", "dataset.source=embedded", "references=[]"],
        [str(tmp_path / "metric.py")],
        device="cpu",
    )
    assert "./weights.bin" in probe_alone(side, config, scores=True).files


@pytest.mark.slow
def test_a_real_probe_reports_what_the_benchmark_uses_and_no_other_plugin(tmp_path: Path) -> None:
    (tmp_path / "unused.py").write_text("import ganbench\n")
    (tmp_path / "helper.py").write_text("")
    (tmp_path / "named.py").write_text("import helper, importlib\nimportlib.import_module('hid' + 'den')\n")
    (tmp_path / "hidden.py").write_text("")
    site = str(tmp_path)
    sides = [Side(name, import_paths=(*map(Path, sys.path), tmp_path), checkouts=(tmp_path,)) for name in "AB"]
    config = SessionConfig("saddle-quadratic", ["training.epochs=5"], ["named"], device="cpu")
    with probed(*sides, config, {}) as probes:
        assert set(probes.base.code) == {"ganbench", "ganbench_games", "ganbench_optimizers", "named", "helper"}
        assert probes.base.code["helper"].path == f"{site}/helper.py"
        assert {"./helper.py", "./hidden.py"} <= probes.base.files.keys()
        assert "./unused.py" not in probes.base.files
        assert are_equal(*sides, probes)


@pytest.mark.slow
def test_real_probes_go_on_to_the_training_run_of_a_fresh_process() -> None:
    side = Side("A")
    overrides = ["dataset.source=embedded", "model.width=4", "training.batch_size=16", "metrics.0.num_samples=100"]
    config = SessionConfig("dcgan-fashion", overrides, device="cpu", window_seconds=0.01)
    length = {"steps": 5, "epochs": None, "seed": 3}
    with probed(side, side, config, length) as probes:
        assert probes.workers is not None
        runs = go_on_to_training(probes.workers)
    fresh = train(side, config, length)
    assert fresh.metrics
    for run in runs:
        assert (run.spec, run.losses, run.metrics) == (fresh.spec, fresh.losses, fresh.metrics)


@pytest.mark.slow
@pytest.mark.parametrize("side", ["base", "head"])
def test_a_real_probe_finds_what_only_a_step_reads(side: str, tmp_path: Path) -> None:
    checkouts = (tmp_path / "base", tmp_path / "head")
    for folder in checkouts:
        folder.mkdir()
        (folder / "kernel.cpp").write_text("// compiled in the first step")
    (checkouts[0] / "own_loss.py").write_text(
        dedent(
            f"""
            from ganbench import LossPlugin, Options, hookimpl

            def build(options, context):
                from ganbench_losses.bce import BinaryCrossEntropy

                class Own(BinaryCrossEntropy):
                    def generator_loss(self, players, batch):
                        open({str(tmp_path / side / "kernel.cpp")!r}).read()
                        return super().generator_loss(players, batch)

                return Own()

            @hookimpl
            def ganbench_losses():
                return [LossPlugin(name="own", summary="BCE that reads a file", options=Options, build=build)]
            """
        )
    )
    base = Side("base", folder=checkouts[0], import_paths=tuple(map(Path, sys.path)), checkouts=checkouts)
    plugin = str(checkouts[0] / "own_loss.py")
    overrides = ["loss=own", "dataset.source=embedded", "model.width=1", "training.batch_size=16"]
    config = SessionConfig("dcgan-fashion", overrides, [plugin], device="cpu", window_seconds=0.01)
    if side == "base":
        assert "./kernel.cpp" in probe_alone(base, config, scores=False).files
    else:
        with pytest.raises(NotComparableError, match=r"it reads .*/head/kernel.cpp from the other side"):
            probe_alone(base, config, scores=False)


def test_a_plugin_in_a_submodule_is_that_of_the_revision(commit: Any, tmp_path: Path) -> None:
    library = tmp_path / "library"
    git("init", "-q", str(library))
    hashes = []
    for text in (FAST, SLOW):
        (library / "sub_loss.py").write_text(text)
        git("-C", str(library), "add", ".")
        git("-C", str(library), "commit", "-q", "-m", "change")
        hashes.append(git("-C", str(library), "rev-parse", "HEAD").strip())
    commit(FAST)
    git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "lib/own")
    for number in hashes:
        git("-C", "lib/own", "checkout", "-q", number)
        commit(FAST)
    assert invoke("-p", "lib/own/sub_loss.py", "--against", "HEAD~1", "--no-smoke")[0] == ExitCode.REGRESSION
    code, text = invoke("-p", "lib/own/sub_loss.py", "--against", "HEAD")
    assert (code, "nothing to measure" in text) == (ExitCode.DONE, True)
    with checked_out("HEAD~1") as found:
        assert "lib/own/sub_loss.py" in found.files & found.tracked
    git("update-index", "--cacheinfo", f"160000,{'1' * 40},lib/own")
    git("commit", "-q", "-m", "a commit that was not fetched")
    code, text = invoke("-p", "lib/own/sub_loss.py", "--against", "HEAD")
    assert code == ExitCode.USAGE
    assert "--against HEAD: submodule lib/own lacks commit 111111111; fetch it there" in text
    git("submodule", "--quiet", "deinit", "--force", "lib/own")
    with checked_out("HEAD") as found:
        assert "lib/own/sub_loss.py" not in found.files | found.tracked


def test_the_revision_gets_modules_that_a_build_generated_and_git_ignores(commit: Any) -> None:
    repository: Path = commit(FAST)
    for name in ("src/own/__init__.py", ".gitignore"):
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text("_version.py\nbuild/\ngenerated/\nenv/\n")
    commit(FAST)
    generated = ("src/own/_version.py", "src/own/generated/__init__.py", "src/own/generated/deep/own.py")
    others = ("src/own/new.py", "build/_version.py", "src/other/_version.py", "src/own/env/site-packages/other.py")
    for name in (*generated, *others):
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text("version = 2")
    with checked_out("HEAD") as found:
        added = {path.relative_to(found.folder).as_posix() for path in found.folder.rglob("*.py")} - found.files
        assert added == set(generated)
        assert (found.folder / "src/own/_version.py").read_text() == "version = 2"


@pytest.mark.parametrize(
    ("built", "accepted"),
    [(f"own/fast{EXTENSION_SUFFIXES[0]}", False), ("own/build/compiled_by_torch.so", True), ("own/kept.abi3.so", True)],
)
def test_a_built_extension_module_that_the_revision_would_lack(built: str, accepted: bool, tmp_path: Path) -> None:
    found = revision(tmp_path, "own/__init__.py own/kept.abi3.so")
    (found.repository / built).parent.mkdir(parents=True)
    (found.repository / built).touch()
    code = {"own": Code(path=str(found.repository / "own"), source="0")}
    under_test = UnderTest(found, SessionConfig("any"))
    if accepted:
        under_test.require_head_code(code)
    else:
        with pytest.raises(NotComparableError, match=rf"{re.escape(built)} is built .*--against-python"):
            under_test.require_head_code(code)


@pytest.mark.parametrize(
    ("tracked", "compiled", "accepted"), [("", "", False), ("own/fast.so", "", True), ("", "own/fast.so", True)]
)
def test_a_library_that_the_revision_lacks_after_it_ran(
    tracked: str, compiled: str, accepted: bool, tmp_path: Path
) -> None:
    found = revision(tmp_path, f"own/__init__.py {tracked}")
    for file in (found.repository / "own/fast.so", found.folder / "own/__init__.py", found.folder / compiled):
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.is_dir():
            file.touch()
    code = {"own": Code(path=str(found.folder / "own"), source="0")}
    under_test = UnderTest(found, SessionConfig("any"))
    if accepted:
        under_test.require_base_code(code)
    else:
        with pytest.raises(NotComparableError, match=r"own/fast.so is built .*--against-python"):
            under_test.require_base_code(code)


@pytest.mark.parametrize("base", [("--against", "HEAD~1"), ("--against-python", sys.executable)])
def test_each_side_compiles_extensions_of_torch_in_its_own_temporary_folder(base: tuple[str, str], commit: Any) -> None:
    record = (
        "import os\nopen({!r}, 'a').write(os.environ.get('TORCH_EXTENSIONS_DIR', '') + '\\n')\n"  # the gate has none
    )
    repository = commit(FAST)
    record = record.format(str(repository.parent / "seen"))
    commit(FAST + record)
    commit(FAST + record + "# changed\n")
    assert invoke("-p", "own_loss.py", *base, "--no-speed", "--always-measure")[0] == ExitCode.DONE
    folders = set((repository.parent / "seen").read_text().split())
    assert len(folders) == 2
    assert not any(Path(folder).parent.exists() for folder in folders)


def test_a_plugin_that_the_revision_lacks(commit: Any) -> None:
    repository = commit(FAST)
    (repository / "new_loss.py").write_text(FAST)
    code, text = invoke("-p", "new_loss.py", "--against", "HEAD")
    assert code == ExitCode.NOT_COMPARABLE
    assert "has no new_loss.py, so there is nothing to compare it with" in text


def test_a_shallow_clone_lacks_the_revision(commit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(FAST)
    repository = commit(SLOW)
    git("clone", "-q", "--depth", "1", f"file://{repository}", str(tmp_path / "clone"))
    monkeypatch.chdir(tmp_path / "clone")
    code, text = invoke(*AGAINST)
    assert code == ExitCode.USAGE
    assert "--against HEAD~1: no such revision in this shallow clone; fetch the whole history" in text


def test_a_commit_is_shown_by_its_short_hash(tmp_path: Path) -> None:
    found = revision(tmp_path)
    assert [found.title(reference) for reference in ("main", "0" * 40)] == ["main (000000000)", "000000000"]
