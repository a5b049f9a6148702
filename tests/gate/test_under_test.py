"""What a check measures: code of either side, proven; nothing where nothing differs; paths as each side has them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from stand_in import FAST, SLOW
from typer.testing import CliRunner

from ganbench.cli import app
from ganbench.errors import ExitCode, NotComparableError
from ganbench.gate.check import Evidence
from ganbench.gate.path_mapping import Localized, inline
from ganbench.gate.probe import Probe, are_equal, probe_sides
from ganbench.gate.revision import Revision, checked_out
from ganbench.gate.session import Session
from ganbench.gate.side import Arm, Code, Measurement
from ganbench.gate.speed import Sessions
from ganbench.gate.under_test import (
    UnderTest,
    is_source,
    only,
    roots_of,
)


def invoke(*arguments: str) -> tuple[int, str]:
    outcome = CliRunner().invoke(app, ["check", "dcgan-fashion", *arguments])
    assert outcome.exception is None or isinstance(outcome.exception, SystemExit)
    return outcome.exit_code, " ".join(outcome.output.split())


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout


AGAINST = ("-p", "own_loss.py", "--against", "HEAD~1")


def test_where_nothing_differs_there_is_nothing_to_measure(commit: Any) -> None:
    commit(FAST)
    Path("README.md").write_text("docs")
    commit(FAST)
    code, text = invoke(*AGAINST)
    assert code == ExitCode.DONE
    assert "PASS: code, spec, data and environment are the same on both sides, so there is nothing to measure" in text
    assert "quad" not in text
    assert "quad 1/1" in invoke(*AGAINST, "--always-measure", "--no-smoke", "--quads", "1")[1]


def revision(folder: Path, files: str = "") -> Revision:
    names = frozenset(files.split())
    return Revision(folder / "repository", folder / "checkout", "0" * 40, names, names)


HELD = "ganbench/cli.py own/__init__.py src/other.py"


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
    under_test = UnderTest(revision(tmp_path, HELD), Measurement("any"))
    code = {"ganbench": Code(path=str(tmp_path / path), source="0")}
    need = under_test.need_of_head if side == "head" else under_test.need_of_base
    if accepted:
        need(code)
    else:
        with pytest.raises(NotComparableError, match=r"ganbench comes from .*pip install -e"):
            need(code)


def test_what_the_repository_does_not_hold_may_come_from_anywhere_and_is_not_under_test(tmp_path: Path) -> None:
    under_test = UnderTest(revision(tmp_path, "README.md"), Measurement("any"))
    code = {"foreign": Code(path=str(tmp_path / "repository/.venv/lib/site-packages/foreign"), source="0")}
    under_test.need_of_base(code)
    with pytest.raises(NotComparableError, match="nothing that this benchmark uses comes from"):
        under_test.need_something(code, [])
    under_test.need_something(code, [tmp_path / "repository" / "game.toml"])


def test_what_is_installed_inside_the_checkout_is_imported_from_its_source(tmp_path: Path) -> None:
    under_test = UnderTest(revision(tmp_path, HELD), Measurement("any"))
    assert under_test.head[0] == tmp_path / "repository"
    assert under_test.base[0] == tmp_path / "checkout"


def test_a_module_that_a_repository_has_twice_is_not_guessed() -> None:
    assert roots_of("a.b", ["x/a/b.py", "a/b/__init__.py", "b.py", "lib/site-packages/a/b.py"]) == [".", "x"]
    assert only([".", "x"]) is None
    assert only(["x"]) == "x"


def test_a_virtual_environment_in_the_repository_is_none_of_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "env"))
    assert not is_source(tmp_path / "env" / "bin", tmp_path)
    assert not is_source(tmp_path / "other" / "site-packages" / "x", tmp_path)
    assert is_source(tmp_path / "plugins", tmp_path)


def test_an_edit_in_the_middle_of_a_check_is_seen() -> None:
    sessions = [Session.model_construct(code={"own": Code(path="/own", source=text)}) for text in ("0", "1")]
    with pytest.raises(NotComparableError, match="changed while it was measured: own"):
        Evidence(sessions=Sessions(sessions, [], in_pairs=False)).need_unchanged()


def probe(folder: str, **more: Any) -> Probe:
    told: dict[str, Any] = {"spec": {"weights": f"{folder}/w.pth"}, "files": {}, "data": "0", "environment": {}}
    return Probe(code={}, **{**told, **more})


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
def test_what_makes_two_sides_differ(more: dict[str, Any], equal: bool) -> None:
    base, head = (Arm(name, checkouts=(Path("/one"), Path("/two"))) for name in ("base", "head"))
    assert are_equal(base, head, (probe("/two"), probe("/one", **more))) == equal
    slowed = Arm("head", delay=0.1)
    assert not are_equal(base, slowed, (probe("/two"), probe("/two")))


@pytest.mark.parametrize("form", ["commit -a", "add"])
def test_in_the_midst_of_a_commit_git_finds_its_index_as_it_was(
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
def test_an_empty_branch_name_says_so(reference: str, commit: Any) -> None:
    commit(FAST)
    code, text = invoke("-p", "own_loss.py", "--against", reference)
    assert code == ExitCode.USAGE
    assert "the name of a branch is missing" in text


def test_paths_are_each_sides_own_where_git_tracks_them(commit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
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
        localized = Localized(found, frozenset())
        measurement = Measurement("../own.toml", [*given, "f=['../weights.pth', 1]"], data_dir=Path("../folder"))
        base = localized.base(measurement)
        of_base, of_head = found.folder, repository.resolve()
        assert base.benchmark == str(of_base / "own.toml")
        assert base.overrides[1:] == [
            f'a="{of_base}/weights.pth"',
            f'b="{of_base}/weights.pth"',
            f'c="{of_head}/ignored.pth"',
            f'd="{of_head.parent}/outside.pth"',
            "e=plain",
            f'f=["{of_base}/weights.pth", 1]',
        ]
        assert base.overrides[0] == f'model.file="{of_head}/ignored.pth"'
        assert base.data_dir == of_head / "folder"
        assert base.files == (of_base / "weights.pth",)
        assert localized.head(measurement).files == (of_head / "weights.pth",)
        monkeypatch.chdir(repository)
        assert Localized(found, frozenset()).base(Measurement("any", ["a=weights.pth"])).overrides == ["a=weights.pth"]


def test_words_are_no_paths(commit: Any) -> None:
    (commit(FAST) / "dcgan").mkdir()
    with checked_out("HEAD") as found:
        measurement = Measurement("any", ["model=dcgan"])
        assert Localized(found, frozenset({"dcgan"})).base(measurement).overrides == ["model=dcgan"]


def test_values_are_written_as_toml() -> None:
    assert inline({"a b": [1, 2.5, True, 'x"y']}) == '{"a b" = [1, 2.5, true, "x\\"y"]}'


def test_sessions_do_not_inherit_what_git_hands_to_its_hooks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    worker = tmp_path / "worker.py"
    worker.write_text("import json, os; print(json.dumps('GIT_DIR' in os.environ))")
    monkeypatch.setattr("ganbench.gate.side.WORKER", worker)
    with Arm("base").start("any", Measurement("any")) as session:
        assert session.last_answer() is False


def test_a_real_probe_reports_what_the_benchmark_uses_and_no_other_plugin(tmp_path: Path) -> None:
    (tmp_path / "unused.py").write_text("import ganbench\n")
    (tmp_path / "helper.py").write_text("")
    (tmp_path / "named.py").write_text("import helper\n")
    site = str(tmp_path)
    arms = [Arm(name, import_paths=(*map(Path, sys.path), tmp_path), checkouts=(tmp_path,)) for name in "AB"]
    probes = probe_sides(*arms, Measurement("saddle-quadratic", ["training.epochs=5"], ["named"], device="cpu"))
    assert set(probes[0].code) == {"ganbench", "ganbench_games", "ganbench_optimizers", "named", "helper"}
    assert probes[0].code["helper"].path == f"{site}/helper.py"
    assert are_equal(*arms, probes)
