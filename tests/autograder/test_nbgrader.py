"""Plain nbgrader on the whole course: assignments are fresh, solutions earn everything, stubs nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from autograder.checks import SETS, exercises
from tests.autograder.course import ROOT, Notebook, environment, errors, nbgrader, read, shown, sources

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


@pytest.mark.timeout(1500)
def test_the_course_is_generated_and_graded(course: Path, trained: Path) -> None:
    nbgrader(course, *(f"generate_assignment {folder} --create" for folder in FOLDERS))
    for folder in FOLDERS:
        made = course / "assignments" / folder / f"{folder}.ipynb"
        committed = ROOT / "assignments" / folder / f"{folder}.ipynb"
        assert read(made) == read(committed), f"assignments/{folder} is stale: type `make assignments`"

    for student, source in (("solver", "solutions"), ("sleeper", "assignments")):
        for folder in FOLDERS:
            shutil.copytree(course / source / folder, course / "submitted" / student / folder)
    shutil.copytree(trained / "report", course / "submitted" / "solver" / "ps6_train" / "report")

    nbgrader(course, *(f"autograde {folder}" for folder in FOLDERS))
    scores = read_scores(course)
    points = dict.fromkeys(FOLDERS, 0.0)
    for each in exercises().values():
        points[SETS[each.set]] += each.points
    points["ps6_train"] += HAND_IN
    for folder in FOLDERS:
        assert scores["sleeper", folder] == 0
        assert scores["solver", folder] == points[folder], folder
        assert errors(graded(course, "solver", folder)) == []
    for each in exercises().values():
        said = shown(graded(course, "sleeper", SETS[each.set]), f"{each.id.replace('.', '-')}-check")
        assert "not attempted" in said and "0.0" in said, each.id


def graded(course: Path, student: str, folder: str) -> Notebook:
    return read(course / "autograded" / student / folder / f"{folder}.ipynb")


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


def test_validate_tells_a_solution_from_a_stub(course: Path, tmp_path: Path) -> None:
    """As a student types it."""
    said = {}
    for source in ("solutions", "assignments"):
        path = shutil.copy(ROOT / source / "ps1_infonce" / "ps1_infonce.ipynb", tmp_path)
        done = subprocess.run(
            ["nbgrader", "validate", path],
            cwd=course,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=900,
            check=True,
        )
        said[source] = done.stdout
    assert "Success" in said["solutions"] and "failed" in said["assignments"]


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
