"""Plain nbgrader on the whole course: assignments are fresh, solutions earn everything, stubs nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from autograder.checks import SETS, exercises
from tests.autograder.course import ROOT, environment, errors, execute, read, sources

FOLDERS = list(SETS.values())
HAND_IN = 4  # points of ps6.1


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course folder of its own, with the solutions as its source."""
    root = tmp_path_factory.mktemp("course")
    shutil.copy(ROOT / "nbgrader_config.py", root)
    for folder in FOLDERS:
        shutil.copytree(
            ROOT / "solutions" / folder,
            root / "solutions" / folder,
            ignore=shutil.ignore_patterns("report", ".ipynb_checkpoints"),
        )
    return root


def nbgrader(course: Path, *words: str) -> str:
    done = subprocess.run(
        ["nbgrader", *words],
        cwd=course,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.mark.timeout(1500)
def test_the_course_is_generated_and_graded(course: Path) -> None:
    for folder in FOLDERS:
        nbgrader(course, "generate_assignment", folder, "--create")
        made = course / "assignments" / folder / f"{folder}.ipynb"
        committed = ROOT / "assignments" / folder / f"{folder}.ipynb"
        assert read(made) == read(committed), f"assignments/{folder} is stale: type `make assignments`"

    for student, source in (("solver", "solutions"), ("sleeper", "assignments")):
        for folder in FOLDERS:
            shutil.copytree(course / source / folder, course / "submitted" / student / folder)
    trained = execute(course / "submitted" / "solver" / "ps6_train" / "ps6_train.ipynb")
    assert errors(trained) == []

    for folder in FOLDERS:
        solved = course / "submitted" / "solver" / folder / f"{folder}.ipynb"
        assert "Success" in nbgrader(course, "validate", str(solved))
        nbgrader(course, "autograde", folder)
    scores = read_scores(course)
    points = dict.fromkeys(FOLDERS, 0.0)
    for each in exercises().values():
        points[SETS[each.set]] += each.points
    points["ps6_train"] += HAND_IN
    for folder in FOLDERS:
        assert scores["sleeper", folder] == 0
        assert scores["solver", folder] == points[folder], folder


def read_scores(course: Path) -> dict[tuple[str, str], float]:
    """What the machine gave, by student and assignment."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        return {
            (submission.student.id, submission.assignment.name): sum(
                grade.auto_score or 0 for notebook in submission.notebooks for grade in notebook.grades
            )
            for folder in FOLDERS
            for submission in book.assignment_submissions(folder)
        }


def test_validate_fails_a_stub(course: Path, tmp_path: Path) -> None:
    stub = tmp_path / "stub.ipynb"
    shutil.copy(ROOT / "assignments" / "ps1_infonce" / "ps1_infonce.ipynb", stub)
    assert "failed" in nbgrader(course, "validate", str(stub))


@pytest.mark.parametrize("folder", FOLDERS)
def test_solutions_are_stored_clean(folder: str) -> None:
    for source in ("solutions", "assignments"):
        notebook = read(ROOT / source / folder / f"{folder}.ipynb")
        assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in notebook["cells"])
        ids = [id for id, _ in sources(notebook)]
        assert len(set(ids)) == len(ids)
    text = "\n".join(source for _, source in sources(read(ROOT / "assignments" / folder / f"{folder}.ipynb")))
    assert "BEGIN SOLUTION" not in text
    assert os.sep + "work" not in text
