"""Workflows, the action and the template keep the schemas of GitHub and GitLab, as SchemaStore has them."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
from github_runner import ACTION
from gitlab_runner import TEMPLATE
from plugin_repository import pasted_text

from ganbench.authoring.new import Package
from ganbench.plugin.kinds import Kind

ROOT = Path(__file__).parents[2]
ACTIONS, WORKFLOWS, GITLAB = "vendor.github-actions", "vendor.github-workflows", "vendor.gitlab-ci"
DOCUMENTS = {
    ".github/actions/check/action.yml": (ACTIONS, ACTION.read_text(encoding="utf-8")),
    **{
        str(file.relative_to(ROOT)): (WORKFLOWS, file.read_text(encoding="utf-8"))
        for file in sorted((ROOT / ".github" / "workflows").iterdir())
    },
    "the workflow in docs/ci.md": (WORKFLOWS, pasted_text(".github/workflows/ganbench.yml")),
    "the workflow for dependencies in docs/ci.md": (WORKFLOWS, pasted_text(".github/workflows/dependencies.yml")),
    **{
        f"the workflow of a new {kind}": (WORKFLOWS, Package("own", kind).files()[".github/workflows/ci.yml"])
        for kind in (Kind.METRIC, Kind.TRACKER)
    },
    **{
        f".gitlab/check.yml, part {part}": (GITLAB, text)
        for part, text in enumerate(TEMPLATE.read_text(encoding="utf-8").split("\n---\n"), start=1)
    },
    "the file for GitLab in docs/ci.md": (GITLAB, pasted_text(".gitlab-ci.yml")),
}


def check(schema: str, text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    if importlib.util.find_spec("check_jsonschema") is None:
        pytest.skip("check-jsonschema, which has the schemas, is not installed")
    (folder / "document.yml").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, "document.yml"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_file_keeps_its_schema(document: str, tmp_path: Path) -> None:
    process = check(*DOCUMENTS[document], tmp_path)
    assert process.returncode == 0, process.stdout + process.stderr


@pytest.mark.parametrize(
    ("document", "pattern", "wrong"),
    [
        (".github/actions/check/action.yml", r"(Install ganbench\n)      shell: bash\n", r"\1"),
        ("the workflow in docs/ci.md", r"pull-requests: write", "pull-requests: comment"),
        (".gitlab/check.yml, part 2", r"when: always", "when: sometimes"),
    ],
)
def test_a_mistake_breaks_the_schema(document: str, pattern: str, wrong: str, tmp_path: Path) -> None:
    schema, text = DOCUMENTS[document]
    broken, replaced = re.subn(pattern, wrong, text)
    assert replaced == 1
    assert "document.yml" in check(schema, broken, tmp_path).stdout


def test_actions_are_pinned_to_one_major_version_each() -> None:
    uses = {found for _, text in DOCUMENTS.values() for found in re.findall(r"uses: (actions/\S+)", text)}
    names = [name.partition("@")[0] for name in uses]
    assert len(names) == len(set(names)), uses
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", name) for name in uses), uses
