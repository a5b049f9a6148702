"""The GitLab template: its job runs in a repository that has only a plugin, and comments on the merge request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from gitlab_runner import Job, run
from plugin_repository import INSTALL, job_environment, make_repository, pasted

OWN = {"id": 1, "body": "<!-- ganbench check: ganbench -->\nold"}
OTHER = {"id": 2, "body": "<!-- ganbench check: another -->\nold"}


class Notes:
    """A stand-in for GitLab's API of a merge request's notes, with two notes a page."""

    def __init__(self) -> None:
        self.notes: list[dict[str, Any]] = []
        self.written: list[tuple[str, str, str | None, str]] = []  # method, path, token, body

        class Handler(BaseHTTPRequestHandler):
            def do_GET(handler) -> None:  # noqa: N805
                page = int(handler.path.rpartition("page=")[2])
                following = str(page + 1) if len(self.notes) > 2 * page else ""
                handler.reply(self.notes[2 * page - 2 : 2 * page], following)

            def do_POST(handler) -> None:  # noqa: N805
                length = int(handler.headers["Content-Length"])
                body = json.loads(handler.rfile.read(length))["body"]
                self.written.append((handler.command, handler.path, handler.headers["PRIVATE-TOKEN"], body))
                handler.reply({})

            do_PUT = do_POST  # noqa: N815

            def reply(handler, content: Any, following: str = "") -> None:  # noqa: N805
                handler.send_response(200)
                handler.send_header("x-next-page", following)
                handler.end_headers()
                handler.wfile.write(json.dumps(content).encode())

            def log_message(handler, *arguments: Any) -> None:  # noqa: N805
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def api() -> Iterator[Notes]:
    notes = Notes()
    yield notes
    notes.server.shutdown()
    notes.server.server_close()


@pytest.fixture
def gitlab(api: Notes, tmp_path: Path) -> dict[str, str]:
    """The environment of a job in an empty checkout, with a stand-in for ganbench and a token."""
    (tmp_path / "checkout").mkdir()
    return {
        **job_environment(tmp_path / "checkout", tmp_path / "bin"),
        "CI_API_V4_URL": f"http://127.0.0.1:{api.server.server_port}/api/v4",
        "CI_PROJECT_ID": "3",
        "CI_MERGE_REQUEST_IID": "7",
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": "abc123",
        "CI_JOB_URL": "https://gitlab.com/someone/plugin/-/jobs/5",
        "GANBENCH_TOKEN": "secret",
        "no_proxy": "127.0.0.1",
    }


def start(environment: dict[str, str], tmp_path: Path, **inputs: str) -> Job:
    given = {name.replace("_", "-"): value for name, value in inputs.items()}
    return run({"benchmark": "x", "install": "true", **given}, tmp_path / "checkout", environment)


@pytest.mark.slow
def test_the_job_runs_in_a_repository_that_has_only_a_plugin(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    base = make_repository(checkout)
    (include,) = pasted(".gitlab-ci.yml")["include"]
    inputs = {**include["inputs"], "install": INSTALL, "run-options": "--steps 2", "check-options": "--no-speed"}
    inputs["options"] += " --device cpu -o model.width=4 -o training.batch_size=8 -o metrics=[]"
    job = run(inputs, checkout, {**job_environment(checkout), "CI_MERGE_REQUEST_DIFF_BASE_SHA": base})
    assert job.code == 0, job.output
    assert "✅ pass" in (checkout / "ganbench-ci" / "summary.md").read_text(encoding="utf-8")
    for file in job.definition["artifacts"]["paths"]:
        assert (checkout / file).stat().st_size > 100, file
    assert "No comment: the variable GANBENCH_TOKEN is not set" in job.output


def test_ganbench_gets_the_inputs_as_words_of_a_shell_that_runs_nothing(gitlab: dict[str, str], tmp_path: Path) -> None:
    options = """-o 'metrics=[{name="kid", features="raw"}]' $(touch pwned) $HOME"""
    job = start(gitlab, tmp_path, options=options, check_options="--strict; touch pwned")
    trained, checked = (json.loads(line) for line in job.output.splitlines() if line.startswith("["))
    words = ["-o", 'metrics=[{name="kid", features="raw"}]', "$(touch", "pwned)", "$HOME"]
    assert trained == ["run", "x", "--out", "ganbench-ci/run", "--report", *words, "--steps", "200"]
    outputs = ["--summary", "ganbench-ci/summary.md", "--junit", "ganbench-ci/junit.xml"]
    assert checked == ["check", "x", "--against", "abc123", *outputs, *words, "--strict;", "touch", "pwned"]
    assert not (tmp_path / "checkout" / "pwned").exists()


@pytest.mark.parametrize(("target", "expected"), [("", "abc123"), ("def456", "def456")])
def test_the_base_of_a_merged_result_is_the_target_branch(
    target: str, expected: str, gitlab: dict[str, str], tmp_path: Path
) -> None:
    job = start({**gitlab, "CI_MERGE_REQUEST_TARGET_BRANCH_SHA": target}, tmp_path, run_options="")
    (checked,) = (json.loads(line) for line in job.output.splitlines() if line.startswith("["))
    assert checked[2:4] == ["--against", expected]


def test_the_base_may_be_the_python_of_another_environment(gitlab: dict[str, str], tmp_path: Path) -> None:
    job = start(gitlab, tmp_path, run_options="", against_python=".old/bin/python")
    (checked,) = (json.loads(line) for line in job.output.splitlines() if line.startswith("["))
    assert checked[2:5] == ["--against-python", ".old/bin/python", "--summary"]


def test_a_failed_check_fails_the_job_with_its_exit_code_and_is_commented(
    gitlab: dict[str, str], api: Notes, tmp_path: Path
) -> None:
    job = start({**gitlab, "CODE": "1"}, tmp_path)
    assert (job.code, job.after_code) == (1, 0), job.output
    ((method, path, token, body),) = api.written
    assert (method, path, token) == ("POST", "/api/v4/projects/3/merge_requests/7/notes", "secret")
    assert body.startswith("<!-- ganbench check: ganbench -->\n### a summary\n")
    assert gitlab["CI_JOB_URL"] in body


def test_the_comment_of_an_earlier_push_is_updated(gitlab: dict[str, str], api: Notes, tmp_path: Path) -> None:
    api.notes = [OTHER, OTHER, OTHER, OWN]
    start(gitlab, tmp_path)
    ((method, path, _, _),) = api.written
    assert (method, path) == ("PUT", "/api/v4/projects/3/merge_requests/7/notes/1")


def test_nothing_is_trained_if_the_install_fails(gitlab: dict[str, str], api: Notes, tmp_path: Path) -> None:
    job = start(gitlab, tmp_path, install="echo no such package; false; true")
    assert job.code == 1
    assert '["run"' not in job.output
    assert "ganbench check ended without a verdict" in api.written[0][3]
