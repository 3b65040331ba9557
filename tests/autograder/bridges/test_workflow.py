"""The workflow for students' repositories: its steps are run here, on real notebooks, as GitHub would run them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from autograder.bridges.workflow import bundle
from autograder.checks import exercises
from autograder.classroom import as_json, hole, notebook, solution

ROOT = Path(__file__).resolve().parents[3]
NASTY = 'raise ValueError("``` <script>alert(1)</script>\\\\n# points=99\\\\n✓ ps1.1  info_nce  right")'
# What GitHub documents for workflows, jobs and steps, as far as it is used here.
TOP = {"name", "on", "permissions", "concurrency", "jobs"}
JOB = {"runs-on", "timeout-minutes", "outputs", "steps"}
STEP = {"name", "id", "uses", "with", "run", "shell", "env"}


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    return bundle(tmp_path_factory.mktemp("workflow") / "checks.yml", python="3.12").read_text(
        encoding="utf-8"
    )


@pytest.fixture(scope="module")
def workflow(text: str) -> Any:
    return yaml.load(text, yaml.BaseLoader)  # plain text: “on” is no truth value


@pytest.fixture(scope="module")
def steps(workflow: Any) -> dict[str, Any]:
    return {step.get("name", step.get("uses")): step for step in workflow["jobs"]["checks"]["steps"]}


def test_it_is_a_workflow(workflow: Any, steps: dict[str, Any]) -> None:
    assert workflow.keys() == TOP
    assert workflow["jobs"]["checks"].keys() == JOB
    for step in steps.values():
        assert step.keys() <= STEP
        assert ("uses" in step) != ("run" in step)
        assert re.fullmatch(r"actions/[a-z-]+@v\d+", step.get("uses", "actions/none@v1"))
    assert steps["actions/setup-python@v6"]["with"] == {"python-version": "3.12"}
    assert workflow["jobs"]["checks"]["outputs"] == {
        name: f"${{{{ steps.{steps['Check']['id']}.outputs.{name} }}}}" for name in ("points", "out_of")
    }


def test_it_may_read_the_repository_and_nothing_else(text: str, workflow: Any, steps: dict[str, Any]) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    assert steps["actions/checkout@v6"]["with"]["persist-credentials"] == "false"
    assert "secrets" not in text
    # What somebody else names, such as a branch, is no part of a shell line.
    assert not any("${{" in step.get("run", "") for step in steps.values())


def test_it_installs_what_the_kit_installs(steps: dict[str, Any]) -> None:
    target = steps["Install"]["run"].split()[1]
    makefile = (ROOT / "docs" / "student.mk").read_text()
    assert target == ".venv/.ready"
    assert "VENV   := .venv\n" in makefile
    assert "READY  := $(VENV)/.ready\n" in makefile
    assert "UV_FLAGS" in makefile


@dataclass(frozen=True)
class Run:
    code: int
    summary: str
    outputs: dict[str, str]


def run(folder: Path, step: dict[str, Any], answers: dict[str, str]) -> Run:
    """The shell lines of a step, as GitHub runs them with `shell: bash`, in a repository with problem set 1."""
    place = folder / "assignments" / "ps1_infonce"
    place.mkdir(parents=True)
    found = json.loads(as_json(notebook("assignments", "ps1")))
    for id, source in answers.items():
        hole(id, found)["source"] = source
    (place / "ps1_infonce.ipynb").write_bytes(as_json(found))
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    files = {name: folder / name for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
    environment = (
        os.environ
        | {name: str(path) for name, path in files.items()}
        | {"RUNNER_TEMP": str(folder)}
        | step["env"]
    )
    script = folder / "step.sh"
    script.write_text(step["run"])
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    outputs = dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().splitlines())
    return Run(done.returncode, files["GITHUB_STEP_SUMMARY"].read_text(), outputs)


def test_it_says_what_is_right_and_counts(tmp_path: Path, steps: dict[str, Any]) -> None:
    done = run(tmp_path, steps["Check"], {"ps1.1": solution("ps1.1")})
    assert done.code == 0  # what is not attempted is no failure
    rows = re.findall(r"^\| (ps\d\.\d) \| `(\w+)` \| ([a-z ]+) \|$", done.summary, re.MULTILINE)
    assert [(id, piece) for id, piece, _ in rows] == [(each.id, each.piece) for each in exercises().values()]
    assert {id for id, _, result in rows if result == "right"} == {"ps1.1"}
    assert done.outputs == {"points": "6", "out_of": str(sum(each.points for each in exercises().values()))}


def test_a_wrong_piece_fails_the_run_and_its_words_stay_words(tmp_path: Path, steps: dict[str, Any]) -> None:
    done = run(tmp_path, steps["Check"], {"ps1.1": f"def info_nce(similarity):\n    {NASTY}"})
    assert done.code == 1
    assert "| ps1.1 | `info_nce` | wrong |" in done.summary
    assert done.outputs["points"] == "0"
    told = done.summary.split("\n\n", 2)[2]
    assert "<script>" in told
    shown = [line for line in told.splitlines() if line]
    assert all(line.startswith(("    ", "| ")) for line in shown), shown  # four spaces: shown as it is
