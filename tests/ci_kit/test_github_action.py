"""The GitHub action: its steps run in a repository that has only a plugin, and what they pass on."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from github_runner import ACTION, Runner, Step
from plugin_repository import INSTALL, git, job_environment, make_repository, pasted

from ganbench import Registry
from ganbench.authoring.new import TEMPLATES, Package, write_package
from ganbench.plugin.kinds import Kind
from ganbench.spec.loading import load_spec

WORKFLOW = ".github/workflows/ganbench.yml"


def action_step(workflow: Any) -> dict[str, Any]:
    """Return the step of a workflow that uses the action."""
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    (step,) = (step for step in steps if step.get("uses", "").partition("@")[0].endswith("/.github/actions/check"))
    return step


def commands(steps: list[Step]) -> list[list[str]]:
    """Return the arguments of each `ganbench` that the stand-in printed."""
    lines = [line for step in steps for line in step.output.splitlines()]
    return [json.loads(line) for line in lines if line.startswith("[")]


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """A job with a stand-in for ganbench, in an empty checkout."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    return Runner(checkout, tmp_path / "runner", job_environment(checkout, tmp_path / "bin"))


@pytest.mark.slow
def test_the_steps_run_in_a_repository_that_has_only_a_plugin(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    base = make_repository(checkout)
    inputs = {
        **action_step(pasted(WORKFLOW))["with"],
        "install": INSTALL,
        "python-version": "",
        "run-options": "--steps 2",
        "check-options": "--no-speed",
    }
    inputs["options"] += " --device cpu -o model.width=4 -o training.batch_size=8 -o metrics=[]"
    runner = Runner(checkout, tmp_path / "runner", job_environment(checkout))
    steps = runner.run(inputs)

    assert [step.code for step in steps] == [0] * len(steps), "\n".join(step.output for step in steps)
    assert [step.name for step in steps] == [
        *("Find the folder of datasets", "Cache datasets", "Install ganbench", "Train for the report", "Check"),
        *("Comment on the pull request", "Keep the report"),
    ]
    assert f"✅ pass: dcgan-fashion, the working tree against {base[:9]}\n" in runner.summary
    for file in steps[-1].arguments["path"].split():
        assert (checkout / file).stat().st_size > 100, file
    assert "huber" in (checkout / "ganbench-ci/ganbench/run/report.html").read_text(encoding="utf-8")
    assert Path(steps[-2].environment["SUMMARY"]) == Path("ganbench-ci/ganbench/summary.md")


def test_ganbench_gets_the_inputs_as_words_of_a_shell_that_runs_nothing(runner: Runner) -> None:
    steps = runner.run(
        {
            "benchmark": "my benchmark.toml",
            "install": "true",
            "options": """-o 'metrics=[{name="kid", features="raw"}]' $(touch pwned) `touch pwned`""",
            "check-options": "--strict; touch pwned",
        }
    )
    trained, checked = commands(steps)
    options = ["-o", 'metrics=[{name="kid", features="raw"}]', "$(touch", "pwned)", "`touch", "pwned`"]
    assert trained == [
        *("run", "my benchmark.toml", "--out", "ganbench-ci/ganbench/run", "--report", *options),
        *("--steps", "200"),
    ]
    outputs = ["--summary", "ganbench-ci/ganbench/summary.md", "--junit", "ganbench-ci/ganbench/junit.xml"]
    assert checked == [
        *("check", "my benchmark.toml", "--against", "origin/main", *outputs, *options),
        *("--strict;", "touch", "pwned"),
    ]
    assert not (runner.checkout / "pwned").exists()


@pytest.mark.parametrize(
    ("given", "base", "expected"), [("", "release", "origin/release"), ("", "", "HEAD~1"), ("v1", "release", "v1")]
)
def test_the_base_is_the_target_branch_or_the_commit_before(
    given: str, base: str, expected: str, runner: Runner
) -> None:
    runner.base = base
    steps = runner.run({"benchmark": "x", "install": "true", "run-options": "", "against": given})
    ((_, _, _, against, *_),) = commands(steps)
    assert against == expected


@pytest.mark.parametrize(
    ("payload", "found"),
    [
        ({"before": "BASE"}, True),
        ({"merge_group": {"base_sha": "BASE"}}, True),
        ({"before": "0" * 40}, False),  # of a new branch
        ({"before": "1" * 40}, False),  # after a forced push
    ],
)
def test_a_push_of_several_commits_is_compared_with_the_one_before_them(
    payload: dict[str, Any], found: bool, runner: Runner
) -> None:
    base = make_repository(runner.checkout)
    git(runner.checkout, "commit", "--quiet", "--allow-empty", "-m", "Hide the last commit")
    runner.base, runner.payload = "", json.loads(json.dumps(payload).replace("BASE", base))
    steps = runner.run({"benchmark": "x", "install": "true", "run-options": ""})
    ((_, _, _, against, *_),) = commands(steps)
    assert against == (base if found else "HEAD~1")


def test_the_base_may_be_the_python_of_another_environment(runner: Runner) -> None:
    given = action_step(pasted(".github/workflows/dependencies.yml"))["with"]
    (command,) = commands(runner.run({**given, "install": "true", "run-options": ""}))
    assert command[2:5] == ["--against-python", ".old/bin/python", "--summary"]


def test_the_base_is_checked_out_again_on_a_runner_that_keeps_its_clone(runner: Runner) -> None:
    base = make_repository(runner.checkout)
    given = action_step(pasted(".github/workflows/dependencies.yml"))["with"]
    inputs = {**given, "install": given["install"].splitlines()[0], "run-options": ""}
    for _ in range(2):
        steps = runner.run(inputs)
        assert [step.code for step in steps] == [0] * len(steps), "\n".join(step.output for step in steps)
        assert git(runner.checkout / ".base", "rev-parse", "HEAD") == base
        git(runner.checkout, "clean", "--quiet", "-ffdx")  # as actions/checkout does; .git still lists the worktree
        runner.steps.clear()


def test_newer_commits_of_the_target_branch_are_not_held_against_a_pull_request(runner: Runner) -> None:
    base = make_repository(runner.checkout)
    tree = git(runner.checkout, "rev-parse", f"{base}^{{tree}}")
    newer = git(runner.checkout, "commit-tree", tree, "-p", base, "-m", "Make it faster")
    git(runner.checkout, "update-ref", "refs/remotes/origin/main", newer)
    steps = runner.run({"benchmark": "x", "install": "true", "run-options": ""})
    ((_, _, _, against, *_),) = commands(steps)
    assert against == base


@pytest.mark.parametrize("code", [1, 3])
def test_a_failed_check_fails_the_job_after_its_comment_and_artifact(code: int, runner: Runner) -> None:
    runner.environment["CODE"] = str(code)
    steps = runner.run({"benchmark": "x", "install": "true"})
    assert [step.code for step in steps[-3:]] == [code, 0, 0]
    assert [step.name for step in steps[-2:]] == ["Comment on the pull request", "Keep the report"]


def test_an_artifact_that_cannot_be_kept_changes_no_verdict() -> None:
    steps = yaml.safe_load(ACTION.read_text(encoding="utf-8"))["runs"]["steps"]
    assert [step["name"] for step in steps if step.get("continue-on-error")] == ["Keep the report"]


def test_nothing_is_trained_if_the_install_fails(runner: Runner) -> None:
    steps = runner.run({"benchmark": "x", "install": "echo no such package; false; true"})
    assert [step.name for step in steps if step.code] == ["Install ganbench"]
    assert not commands(steps)


def test_the_default_install_is_of_the_ganbench_that_has_the_action(runner: Runner) -> None:
    (runner.checkout.parent / "bin" / "python").write_text('#!/bin/sh\n[ "$1" = -m ] && printf "%s\\n" "$@"; exit 0')
    (runner.checkout.parent / "bin" / "python").chmod(0o755)
    steps = runner.run({"benchmark": "x"})
    (install,) = (step for step in steps if step.name == "Install ganbench")
    assert install.output.split("\n")[:-1] == ["-m", "pip", "install", str(ACTION.parents[3]), "-e", "."]


def test_own_datasets_are_used_and_not_cached(runner: Runner) -> None:
    names = [step.name for step in runner.run({"benchmark": "x", "install": "true"})]
    assert "Cache datasets" in names
    runner.steps.clear()
    runner.environment["GANBENCH_DATA"] = "/data"
    names = [step.name for step in runner.run({"benchmark": "x", "install": "true"})]
    assert "Cache datasets" not in names


def test_a_push_has_no_comment_and_a_job_may_have_none(runner: Runner) -> None:
    for event, comment in (("push", "true"), ("pull_request", "false")):
        runner.event = event
        runner.steps.clear()
        steps = runner.run({"benchmark": "x", "install": "true", "comment": comment})
        assert "Comment on the pull request" not in [step.name for step in steps]


@pytest.mark.parametrize("kind", [kind for kind, template in TEMPLATES.items() if template.compares_speed])
def test_the_workflow_of_a_new_plugin_uses_the_action_with_a_spec_that_is_valid(kind: Kind, tmp_path: Path) -> None:
    package = Package("my-own", kind)
    write_package(package, tmp_path / "new")
    workflow = yaml.safe_load((tmp_path / "new/.github/workflows/ci.yml").read_text())
    inputs = action_step(workflow)["with"]
    declared = yaml.safe_load(ACTION.read_text(encoding="utf-8"))["inputs"]
    assert inputs.keys() <= declared.keys()
    words = shlex.split(inputs["options"])
    assert words[::2] == ["-o"] * (len(words) // 2)
    registry = Registry.load([str(tmp_path / "new" / f"{package.module}.py")])
    spec = load_spec(inputs["benchmark"], registry, words[1::2])
    assert "my-own" in str(spec.to_dict())


# the comment

COMMENTS = """
const [script, state] = process.argv.slice(1)
const fs = require('fs')
const comments = JSON.parse(fs.readFileSync(state))
const done = []
const issues = {
  listComments: async () => comments,
  createComment: async call => done.push({ created: call }),
  updateComment: async call => done.push({ updated: call }),
}
const status = Number(process.env.DENIED)
if (status) issues.createComment = async () => { throw Object.assign(new Error('denied'), { status }) }
const github = { paginate: (list, parameters) => list(parameters), rest: { issues } }
const context = {
  repo: { owner: 'someone', repo: 'plugin' }, issue: { number: 7 }, serverUrl: 'https://github.com', runId: 5,
}
const core = { warning: text => done.push({ warning: text }) }
const run = Object.getPrototypeOf(async () => {}).constructor
new run('github', 'context', 'core', 'require', fs.readFileSync(script, 'utf8'))(github, context, core, require)
  .then(() => console.log(JSON.stringify(done)))
"""
OWN = {"id": 1, "user": {"type": "Bot"}, "body": "<!-- ganbench check: ganbench -->\nold"}
OTHERS = [
    {"id": 2, "user": {"type": "User"}, "body": OWN["body"]},
    {"id": 3, "user": {"type": "Bot"}, "body": "<!-- ganbench check: another -->\nold"},
]


@pytest.fixture
def comment(runner: Runner, tmp_path: Path) -> Any:
    """`comment(comments)` runs the script of the comment on a pull request with these comments."""
    if shutil.which("node") is None:
        pytest.skip("node, which runs the script of the comment, is not installed")

    def run(comments: list[dict[str, Any]], denied: str = "") -> subprocess.CompletedProcess[str]:
        runner.steps.clear()
        steps = runner.run({"benchmark": "x", "install": "true", "run-options": ""})
        (step,) = (step for step in steps if step.uses and step.uses.startswith("actions/github-script@"))
        (tmp_path / "script.js").write_text(step.arguments["script"], encoding="utf-8")
        (tmp_path / "comments.json").write_text(json.dumps(comments))
        return subprocess.run(
            ["node", "-e", COMMENTS, str(tmp_path / "script.js"), str(tmp_path / "comments.json")],
            cwd=runner.checkout,
            env={**runner.environment, **step.environment, "DENIED": denied},
            capture_output=True,
            text=True,
        )

    return run


def test_the_summary_is_commented(comment: Any) -> None:
    (call,) = json.loads(comment(OTHERS).stdout)
    created = call["created"]
    assert (created["owner"], created["repo"], created["issue_number"]) == ("someone", "plugin", 7)
    assert created["body"].startswith("<!-- ganbench check: ganbench -->\n### a summary\n")
    assert "https://github.com/someone/plugin/actions/runs/5" in created["body"]


def test_the_comment_of_an_earlier_push_is_updated_and_no_other(comment: Any) -> None:
    (call,) = json.loads(comment([*OTHERS, OWN]).stdout)
    assert call["updated"]["comment_id"] == 1
    assert "### a summary" in call["updated"]["body"]


def test_a_check_without_a_verdict_replaces_the_earlier_one(comment: Any, runner: Runner) -> None:
    (runner.checkout.parent / "bin" / "ganbench").write_text("#!/bin/sh\nexit 3\n")
    (call,) = json.loads(comment([OWN]).stdout)
    assert "ganbench check ended without a verdict" in call["updated"]["body"]


def test_a_token_that_cannot_comment_is_a_warning_and_other_errors_fail(comment: Any) -> None:
    (call,) = json.loads(comment([], denied="403").stdout)
    assert "the job needs the permission `pull-requests: write`" in call["warning"]
    assert comment([], denied="500").returncode != 0
