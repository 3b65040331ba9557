"""Results in nbgrader's gradebook: its own commands go on from there, and what people entered stays."""

from __future__ import annotations

import base64
import csv
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import given, strategies
from nbgrader.api import Gradebook

from autograder.bridges.graded import (
    JOINER,
    graded_notebook,
    harmless,
    harmless_outputs,
    is_harmless,
    key,
    rendered,
)
from autograder.bridges.nbgrader import publish
from autograder.checks import SETS
from autograder.intake import Handin
from autograder.results import ExerciseResult, Outcome, StudentResult
from idc.errors import UserError
from tests.autograder.course import ROOT, TOKEN, Notebook, jupyter_lab, nbgrader, read

PS1, PS6 = SETS["ps1"], SETS["ps6"]
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SHOTS = os.environ.get("IDC_SHOTS")  # a folder for screenshots, to look at
SCRIPT = "<script>alert(1)</script>"
CAME = datetime(2026, 3, 1, 12, 30, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course with two problem sets, as `make assignments` leaves it."""
    root = tmp_path_factory.mktemp("generated")
    shutil.copy(ROOT / "nbgrader_config.py", root)
    for folder in (PS1, PS6):
        (root / "solutions" / folder).mkdir(parents=True)
        shutil.copy(ROOT / "solutions" / folder / f"{folder}.ipynb", root / "solutions" / folder)
    nbgrader(root, *(f"generate_assignment {folder} --create" for folder in (PS1, PS6)))
    return root


@pytest.fixture
def course(generated: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(generated, tmp_path / "course"))


def solved(folder: str) -> Notebook:
    return fill(read(ROOT / "assignments" / folder / f"{folder}.ipynb"), folder)


def fill(notebook: Notebook, folder: str) -> Notebook:
    """The assignment with the solution's answers."""
    answers = {
        cell["id"]: cell["source"] for cell in read(ROOT / "solutions" / folder / f"{folder}.ipynb")["cells"]
    }
    for cell in notebook["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("solution"):
            cell["source"] = answers[cell["id"]]
    return notebook


def cell(notebook: Any, id: str) -> dict[str, Any]:
    return next(each for each in notebook["cells"] if each["id"] == id)


def result(id: str, outcome: Outcome, out_of: float, message: str = "", **more: Any) -> ExerciseResult:
    points = out_of if outcome is Outcome.RIGHT else 0.0
    return ExerciseResult(
        id=id,
        piece="x",
        outcome=outcome,
        points=points,
        out_of=out_of,
        message=message or str(outcome),
        **more,
    )


def graded(student: str, *exercises: ExerciseResult, **more: Any) -> StudentResult:
    return StudentResult(student=student, exercises={each.id: each for each in exercises}, **more)


def hand_in(course: Path, student: str, folder: str, notebook: Notebook | bytes, **files: bytes) -> None:
    home = course / "submitted" / student / folder
    home.mkdir(parents=True)
    content = notebook if isinstance(notebook, bytes) else json.dumps(notebook).encode()
    (home / f"{folder}.ipynb").write_bytes(content)
    for name, data in files.items():
        (home / "report").mkdir(exist_ok=True)
        (home / "report" / name.replace("_", ".")).write_bytes(data)


def published(course: Path, student: str, folder: str) -> Any:
    notebook = nbformat.read(course / "autograded" / student / folder / f"{folder}.ipynb", as_version=4)
    nbformat.validate(notebook)
    return notebook


def rows(course: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """All that the gradebook says, by student and cell."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        for submission in (each for assignment in book.assignments for each in assignment.submissions):
            for notebook in submission.notebooks:
                for each in [*notebook.grades, *notebook.comments]:
                    said = {name: value for name, value in each.to_dict().items() if name != "id"}
                    found.setdefault((submission.student.id, each.name), {}).update(said)
                found[submission.student.id, notebook.name] = {
                    "flagged": notebook.flagged,
                    "came": submission.timestamp,
                }
    return found


def mark(course: Path, student: str, folder: str, name: str, score: float, comment: str) -> None:
    """What formgrader does when a person marks a cell."""
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        grade = book.find_grade(name, folder, folder, student)
        grade.manual_score, grade.needs_manual_grade = score, False
        if comment:
            book.find_comment(name, folder, folder, student).manual_comment = comment
        book.db.commit()


def a_class(course: Path) -> list[StudentResult]:
    """Ada solved all, Bob little, and Eve's notebook is none."""
    ps1, ps6 = solved(PS1), solved(PS6)
    cell(ps6, "ps6-2")["source"] = f"![figure](report/triples.png) {SCRIPT}"
    hand_in(course, "ada", PS1, ps1)
    hand_in(course, "ada", PS6, ps6, triples_png=PIXEL, results_json=b"{}", page_html=SCRIPT.encode())
    (course / "submitted" / "ada" / PS1 / "timestamp.txt").write_text("2026-03-01 12:30:00 UTC")
    hand_in(course, "bob", PS1, read(ROOT / "assignments" / PS1 / f"{PS1}.ipynb"))
    hand_in(course, "eve", PS1, b"\xff no notebook")
    right, wrong = Outcome.RIGHT, Outcome.WRONG
    return [
        graded(
            "ada",
            result("ps1.1", right, 6, "ps1.1 InfoNCE: right."),
            result("ps1.2", right, 4),
            result("ps6.1", right, 4),
            handed_in={"ps1": CAME},
        ),
        graded(
            "bob",
            result(
                "ps1.1",
                wrong,
                6,
                f"the mean, not `sum`. Yours says: {SCRIPT}",
                flags=("the checks disagree",),
            ),
            result("ps1.2", Outcome.NOT_ATTEMPTED, 4),
            notes=(
                f"{PS1}: [a](javascript:alert(2)) was passed over.",
                "ps2_positions: not for this notebook.",
            ),
        ),
        graded(
            "eve",
            result("ps1.1", Outcome.NOT_ATTEMPTED, 6),
            result("ps1.2", Outcome.NOT_ATTEMPTED, 4),
            error="no notebook",
        ),
    ]


def test_feedback_and_export_go_on_from_there(course: Path) -> None:
    publish(a_class(course), course)
    mark(course, "ada", PS6, "ps6-2", 3, "Well said.")
    nbgrader(course, f"generate_feedback {PS1}", f"generate_feedback {PS6}", "export --to grades.csv")

    with (course / "grades.csv").open() as lines:
        table = {(line["student_id"], line["assignment"]): line for line in csv.DictReader(lines)}
    scores = {who: float(line["raw_score"]) for who, line in table.items()}
    assert scores["ada", PS1] == 10 and scores["bob", PS1] == scores["eve", PS1] == scores["eve", PS6] == 0
    assert scores["ada", PS6] == 7
    assert table["ada", PS1]["timestamp"].startswith("2026-03-01 12:30")

    pages = {who: page(course, *who) for who in (("ada", PS1), ("ada", PS6), ("bob", PS1), ("eve", PS1))}
    assert "(Score: 10.0 / 10.0)" in pages["ada", PS1]
    assert "Well said." in pages["ada", PS6] and 'src="report/triples.png"' in pages["ada", PS6]
    assert "the mean, not <code>sum</code>" in pages["bob", PS1]
    assert "was passed over" in pages["bob", PS1] and "not for this notebook" not in pages["bob", PS1]
    assert "is no notebook" in pages["eve", PS1]
    for text in pages.values():
        assert "<script>alert" not in text and 'href="javascript' not in text
    assert (course / "feedback" / "ada" / PS6 / "report" / "triples.png").read_bytes() == PIXEL
    assert not list(course.glob("autograded/**/*.html"))


def page(course: Path, student: str, folder: str) -> str:
    return (course / "feedback" / student / folder / f"{folder}.html").read_text(encoding="utf-8")


def test_it_leaves_what_nbgrader_would(course: Path) -> None:
    publish(a_class(course), course)
    found = rows(course)
    check, words = found["ada", "ps1-1-check"], found["ada", "ps1-q1"]
    assert (check["auto_score"], check["manual_score"], check["needs_manual_grade"]) == (6, None, False)
    assert (words["auto_score"], words["needs_manual_grade"], words["auto_comment"]) == (None, True, None)
    unanswered = found["bob", "ps1-q1"]
    assert (unanswered["auto_score"], unanswered["needs_manual_grade"]) == (0, False)
    assert unanswered["auto_comment"] == "No response."
    assert (
        found["bob", "ps1-1-check"]["failed_tests"]
        and found["bob", PS1]["flagged"]
        and not found["ada", PS1]["flagged"]
    )
    assert found["ada", "ps1-1"]["auto_comment"] == "ps1.1 InfoNCE: right."
    by_hand = {
        name for (student, name), row in found.items() if student == "ada" and row.get("needs_manual_grade")
    }
    assert by_hand == {
        "ps1-q1", "ps1-q2", "ps6-2", "ps6-3", "ps6-3-figure", "ps6-4", "ps6-4-count", "ps6-5", "ps6-5-run"
    }  # fmt: skip
    assert ("bob", PS6) not in found, "what was not handed in has no row"
    stamp = course / "autograded" / "ada" / PS1 / "timestamp.txt"
    assert stamp.read_text() == "2026-03-01 12:30:00 UTC", "else formgrader takes the hand-in for a newer one"


def test_publishing_twice_changes_nothing(course: Path) -> None:
    results = a_class(course)
    publish(results, course)
    mark(course, "ada", PS1, "ps1-q1", 0, "Read it.")
    mark(course, "ada", PS6, "ps6-2", 3.5, "Well said.")
    before = rows(course), files(course)
    publish(results, course)
    assert (rows(course), files(course)) == before


def files(course: Path) -> dict[str, int]:
    return {
        str(path): path.stat().st_mtime_ns
        for path in sorted((course / "autograded").rglob("*"))
        if path.is_file()
    }


def test_a_regrade_moves_only_its_own_scores(course: Path) -> None:
    results = a_class(course)
    publish(results, course)
    mark(course, "ada", PS6, "ps6-2", 3.5, "Well said.")
    mark(course, "ada", PS1, "ps1-1-check", 5, "")
    before = rows(course)
    ada = results[0].exercises | {"ps1.1": result("ps1.1", Outcome.WRONG, 6)}
    publish([results[0].model_copy(update={"exercises": ada})], course)
    after = rows(course)
    moved = {who: row for who, row in after.items() if row != before[who]}
    assert moved.keys() == {("ada", "ps1-1-check"), ("ada", "ps1-1")}
    row = moved["ada", "ps1-1-check"]
    assert (row["auto_score"], row["manual_score"], row["needs_manual_grade"]) == (0, 5, True), (
        "a person looks again"
    )


def test_a_new_answer_waits_for_its_marker_again(course: Path) -> None:
    results = a_class(course)
    publish(results, course)
    mark(course, "ada", PS6, "ps6-2", 3.5, "Well said.")
    ps6 = solved(PS6)
    cell(ps6, "ps6-2")["source"] = "I thought again."
    (course / "submitted" / "ada" / PS6 / f"{PS6}.ipynb").write_text(json.dumps(ps6))
    publish(results, course)
    row = rows(course)["ada", "ps6-2"]
    assert row["needs_manual_grade"] and row["manual_score"] == 3.5 and row["manual_comment"] == "Well said."


def test_what_could_not_be_graded_waits_for_a_person(course: Path) -> None:
    hand_in(course, "ada", PS1, solved(PS1))
    publish(
        [graded("ada", result("ps1.1", Outcome.NOT_GRADED, 6), result("ps1.2", Outcome.RIGHT, 4))], course
    )
    row = rows(course)["ada", "ps1-1-check"]
    assert row["auto_score"] is None and row["needs_manual_grade"]


def test_a_checks_points_are_those_of_the_gradebook(course: Path) -> None:
    hand_in(course, "ada", PS1, solved(PS1))
    publish([graded("ada", result("ps1.1", Outcome.RIGHT, 3))], course)
    assert rows(course)["ada", "ps1-1-check"]["auto_score"] == 6


def test_hand_ins_may_be_given(course: Path) -> None:
    content = json.dumps(solved(PS1)).encode()
    handin = Handin("ada", {f"{PS1}/{PS1}.ipynb": content, f"{PS1}/helpers.py": b"x = 1\n"})
    publish([graded("ada", result("ps1.1", Outcome.RIGHT, 6))], course, {"ada": handin})
    assert "logsumexp" in cell(published(course, "ada", PS1), "ps1-1")["source"]
    assert (course / "autograded" / "ada" / PS1 / "helpers.py").read_bytes() == b"x = 1\n"


# Notebooks that came back damaged. Each takes a solved one; in the published one every part stands once, with its answer.


def twice(notebook: Notebook) -> None:
    for id in ("ps1-1", "ps1-1-check", "ps1-q1"):
        copy = deepcopy(cell(notebook, id))
        stub = cell(read(ROOT / "assignments" / PS1 / f"{PS1}.ipynb"), id)["source"]
        notebook["cells"].append({**copy, "source": stub})


def retyped(notebook: Notebook) -> None:
    for id in ("ps1-1", "ps1-1-check"):
        each = cell(notebook, id)
        each["cell_type"] = "markdown"
        del each["outputs"], each["execution_count"]


def without_checks(notebook: Notebook) -> None:
    notebook["cells"] = [each for each in notebook["cells"] if not each["id"].endswith("-check")]


def without_names(notebook: Notebook) -> None:
    for each in notebook["cells"]:
        del each["id"]
        each["metadata"] = {}
    notebook["nbformat_minor"] = 4


def backwards(notebook: Notebook) -> None:
    notebook["cells"].reverse()


def of_format_3(notebook: Notebook) -> None:
    for each in notebook["cells"]:
        if each["cell_type"] == "code":
            each["input"] = each.pop("source")
    notebook["worksheets"] = [{"cells": notebook.pop("cells")}]
    notebook["nbformat"] = 3


def lying(notebook: Notebook) -> None:
    """Metadata that would give points, or make nbgrader stop."""
    cell(notebook, "ps1-1-check")["metadata"]["nbgrader"] |= {"points": 600, "solution": True}
    cell(notebook, "ps1-1-check")["source"] = "6.0"
    cell(notebook, "ps1-1")["metadata"]["nbgrader"] |= {"grade": True, "points": 100, "grade_id": ["ps1-1"]}
    cell(notebook, "ps1-title")["metadata"]["nbgrader"] = {
        "grade": True,
        "grade_id": "unheard-of",
        "points": 7,
    }
    notebook["metadata"] = {
        "kernelspec": {"name": "bash", "display_name": SCRIPT},
        "widgets": {SCRIPT: SCRIPT},
    }


DAMAGED: list[Callable[[Notebook], None]] = [
    twice, retyped, without_checks, without_names, backwards, of_format_3, lying
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGED, ids=lambda each: each.__name__)
def test_damaged_notebooks_are_whole_again(course: Path, damage: Callable[[Notebook], None]) -> None:
    notebook = solved(PS1)
    damage(notebook)
    hand_in(course, "ada", PS1, notebook)
    publish([graded("ada", result("ps1.1", Outcome.RIGHT, 6, "ps1.1 is right."))], course)
    shown = published(course, "ada", PS1)
    released = read(ROOT / "assignments" / PS1 / f"{PS1}.ipynb")
    names = [key(each) for each in shown.cells if "nbgrader" in each.metadata]
    assert sorted(names) == ["ps1-1", "ps1-1-check", "ps1-2", "ps1-2-check", "ps1-q1", "ps1-q2"]
    for name in names:
        assert cell(shown, name)["metadata"] == cell(released, name)["metadata"]
        assert cell(shown, name)["cell_type"] == cell(released, name)["cell_type"]
    answers = {id: "".join(cell(solved(PS1), id)["source"]) for id in ("ps1-1", "ps1-2", "ps1-q1", "ps1-q2")}
    assert {id: cell(shown, id)["source"] for id in answers} == answers
    assert cell(shown, "ps1-1-check")["source"] == 'check("ps1.1", info_nce)'
    assert "ps1.1 is right." in cell(shown, "ps1-1-check")["outputs"][0]["data"]["text/plain"]
    assert shown.metadata == released["metadata"]


def test_the_cell_that_counted_bears_the_name() -> None:
    released = read(ROOT / "assignments" / PS1 / f"{PS1}.ipynb")
    own = deepcopy(released)
    own["cells"].append(
        {"cell_type": "code", "id": "x", "metadata": {}, "outputs": [], "source": "info_nce = lambda s: 0"}
    )
    found = result("ps1.1", Outcome.WRONG, 6, where=f"{PS1}/{PS1}.ipynb, cell {len(own['cells'])}")
    shown = graded_notebook(released, json.dumps(own).encode(), f"{PS1}/{PS1}.ipynb", {"ps1-1": found})
    answer = next(each for each in shown["cells"] if key(each) == "ps1-1")
    assert answer["source"] == "info_nce = lambda s: 0"


def test_very_many_cells_are_cut_short(course: Path) -> None:
    notebook = solved(PS1)
    notebook["cells"] += [{"cell_type": "code", "source": "x"}] * 20_000
    hand_in(course, "ada", PS1, notebook)
    publish([graded("ada", result("ps1.1", Outcome.RIGHT, 6))], course)
    shown = published(course, "ada", PS1)
    assert len(shown.cells) == 1001 and "20030 cells" in shown.cells[0].source


def test_what_a_cell_put_out_is_text_and_pictures() -> None:
    picture = base64.b64encode(PIXEL).decode()
    outputs: list[Any] = [
        {"output_type": "display_data", "data": {"text/html": SCRIPT, "application/javascript": "alert(1)"}},
        {
            "output_type": "display_data",
            "data": {"image/svg+xml": SCRIPT, "text/plain": ["a", "b"]},
            "metadata": {"x": SCRIPT},
        },
        {
            "output_type": "display_data",
            "data": {"image/png": f'x" onerror="alert(1)" {picture}', "text/plain": "none"},
        },
        {"output_type": "execute_result", "data": {"image/png": picture + "\n"}},
        {"output_type": "stream", "name": SCRIPT, "text": ["one", "\ud800\0"]},
        {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["line"]},
        "nothing",
        None,
    ]
    shown = harmless_outputs(outputs)
    assert [each.get("data", each.get("text")) for each in shown] == [
        {"text/plain": "ab"},
        {"text/plain": "none"},
        {"image/png": picture},
        "one?",
        "line",
    ]
    assert SCRIPT not in json.dumps(shown)
    assert len(harmless_outputs([{"output_type": "stream", "text": "x"}] * 10_000)) == 21


DANGEROUS = [
    SCRIPT,
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "[click](java&#115;cript:alert(1))",
    "[click][a]\n\n[a]: javascript:alert(1)",
    "[click](data:text/html;base64,PHNjcmlwdD4=)",
    "![x](//elsewhere.org/x.png)",
    "![x](http://elsewhere.org/x.png)",
    "![x](/logout)",
    "![x](..%2f..%2flogout)",
    "![x](attachment:nowhere.png)",
    "```mermaid\ngraph TD; A[<img src=x onerror=alert(1)>]\n```",
    "$$\n<script>alert(1)</script>\n$$",
    "\\begin{x}<script>alert(1)</script>\\end{x}",
    "<!-- x -->",
    "<a href='javascript:alert(1)'>x</a>",
    "## ps1-1-check",
    "```\n</code></pre><script>alert(1)</script>\n```",
    "``` x\n```\n[click](javascript:alert(1))",
]


@pytest.mark.parametrize("text", DANGEROUS)
def test_texts_do_nothing_when_they_are_shown(text: str) -> None:
    shown = harmless(text, taken={"ps1-1-check"})
    assert is_harmless(rendered(shown, {}), {"ps1-1-check"})
    assert text in shown.replace(JOINER, ""), "all of it can be read"


@given(
    strategies.lists(
        strategies.sampled_from([*DANGEROUS, "`", "$", "\n", "[", "](", "<", "&lt;", "\\", "|", " "]),
        max_size=8,
    )
)
def test_no_mixture_of_them_does(parts: list[str]) -> None:
    assert is_harmless(rendered(harmless("".join(parts), taken={"ps1-1-check"}), {}), {"ps1-1-check"})


@pytest.mark.parametrize(
    "text",
    [
        "# Results\n\n| a | b |\n|:-|-:|\n| 1 | 2 |\n\n* [x] done\n1. *one*\n\n```python\nx = 1\n```\n\n> $a < b$",
        "![figure](report/triples.png) and [a page](https://example.org/a?b=c), 1 < 2",
    ],
)
def test_ordinary_texts_stay_as_they_are(text: str) -> None:
    assert harmless(text) == text


def test_pasted_pictures_are_shown_if_they_are_pictures(course: Path) -> None:
    notebook = solved(PS6)
    answer = cell(notebook, "ps6-3")
    answer["source"] = "![mine](attachment:a.png)"
    answer["attachments"] = {
        "a.png": {"image/png": base64.b64encode(PIXEL).decode(), "text/html": SCRIPT},
        "b.svg": {"image/svg+xml": SCRIPT},
    }
    hand_in(course, "ada", PS6, notebook)
    publish([graded("ada", result("ps6.1", Outcome.RIGHT, 4))], course)
    shown = cell(published(course, "ada", PS6), "ps6-3")
    assert shown["source"] == "![mine](attachment:a.png)"
    assert shown["attachments"] == {"a.png": {"image/png": base64.b64encode(PIXEL).decode()}}


def test_a_course_that_cannot_be_entered_says_why(course: Path, tmp_path: Path) -> None:
    hand_in(course, "ada", PS1, solved(PS1))
    results = [graded("ada", result("ps1.1", Outcome.RIGHT, 6))]
    with pytest.raises(UserError, match="no nbgrader course"):
        publish(results, tmp_path)
    with pytest.raises(UserError, match="cannot be a student's id"):
        publish([graded("../ada", result("ps1.1", Outcome.RIGHT, 6))], course)
    with pytest.raises(UserError, match="No such assignment: ps2_positions"):
        publish([graded("ada", result("ps2.1", Outcome.RIGHT, 5))], course)
    (course / "gradebook.db").rename(course / "elsewhere.db")
    with pytest.raises(UserError, match="there is no gradebook"):
        publish(results, course)
    assert not (course / "gradebook.db").exists()
    (course / "gradebook.db").write_bytes(b"no database" * 1000)
    with pytest.raises(UserError, match="not a database"):
        publish(results, course)


def test_a_locked_gradebook_says_so(course: Path) -> None:
    hand_in(course, "ada", PS1, solved(PS1))
    with (course / "nbgrader_config.py").open("a") as config:
        config.write(f"c.CourseDirectory.db_url = 'sqlite:///{course}/gradebook.db?timeout=0.1'")
    other = sqlite3.connect(course / "gradebook.db")
    other.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(UserError, match="locked"):
            publish([graded("ada", result("ps1.1", Outcome.RIGHT, 6))], course)
    finally:
        other.close()
    assert not (course / "autograded").exists() and not rows(course)


@pytest.fixture
def lab(course: Path) -> Iterator[str]:
    """The address of a JupyterLab in the course's folder, as `make lab` starts it."""
    publish(a_class(course), course)
    with jupyter_lab(course) as address:
        yield address


@pytest.mark.browser
@pytest.mark.timeout(400)
def test_formgrader_shows_the_grades_and_a_person_marks_on(browser: Any, lab: str, course: Path) -> None:
    context = browser.new_context(viewport={"width": 1100, "height": 900})
    page = context.new_page()
    page.set_default_timeout(90_000)
    alerts: list[str] = []

    def alerted(dialog: Any) -> None:
        alerts.append(dialog.message)
        dialog.dismiss()

    def shot(name: str) -> None:
        if SHOTS:
            page.screenshot(path=str(Path(SHOTS) / f"{name}.png"))

    page.on("dialog", alerted)
    page.goto(f"{lab}/lab?token={TOKEN}")
    page.goto(f"{lab}/formgrader/manage_submissions/{PS1}")
    page.wait_for_selector("text=graded")
    table = {each.split("\t")[1]: each for each in page.locator("tbody tr").all_inner_texts()}
    assert "needs manual grading\t10 / 10" in table["ada"]
    assert "graded\t0 / 10" in table["bob"] and "graded\t0 / 10" in table["eve"]
    shot("submissions")

    page.goto(f"{lab}/formgrader/gradebook/{PS6}/{PS6}")
    page.wait_for_selector("text=Submission #1")
    shot("manual_grading")
    page.click("text=Submission #1")
    score = page.locator("#ps6-2")
    score.wait_for()
    score.scroll_into_view_if_needed()
    # A field is emptied when what was saved arrives, scores and comments each in an answer of their own.
    page.wait_for_function("formgrader.grades?.loaded && formgrader.comments?.loaded")
    page.wait_for_function("document.querySelector('img[src$=\"report/triples.png\"]').naturalWidth > 0")
    score.fill("3")
    page.locator("#ps6-2-comment").fill("Well said.")
    page.locator("#ps6-3").focus()
    for _ in range(120):
        if rows(course)["ada", "ps6-2"]["manual_comment"]:
            break
        page.wait_for_timeout(250)
    shot("marking")
    row = rows(course)["ada", "ps6-2"]
    assert (row["manual_score"], row["manual_comment"], row["needs_manual_grade"]) == (3, "Well said.", False)

    found = set()
    for number in (1, 2, 3):
        page.goto(f"{lab}/formgrader/gradebook/{PS1}/{PS1}")
        page.click(f"text=Submission #{number}")
        page.locator("#ps1-1-comment").wait_for()
        words = "document.querySelector('#ps1-1-comment').placeholder"
        page.wait_for_function(f"{words} && !{words}.startsWith('Type')")
        found.add((page.get_attribute("#ps1-1-comment", "placeholder") or "").replace(JOINER, ""))
        page.locator("#ps1-1-check").scroll_into_view_if_needed()
        shot(f"submission_{number}")
    assert "ps1.1 InfoNCE: right." in found and f"the mean, not `sum`. Yours says: {SCRIPT}" in found
    assert alerts == []
    context.close()
