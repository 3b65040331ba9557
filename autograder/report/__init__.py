"""What people read about a graded class: tables, a page for every student, a page for the instructor, a regrade preview.

    remarks = write_reports(results, Path("reports"), due=read_due(["ps1=2026-10-01T23:59+02:00"]), late="slip_days=4")

Writes grades.csv, canvas.csv, class.html and feedback/<student>.html. All of it is made from `StudentResult`s and the
exercises alone; the same results give the same files, byte by byte. For instructors: the student kit goes without.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from autograder.report.class_page import class_page
from autograder.report.course import Course, Person, of_class
from autograder.report.feedback import feedback_page
from autograder.report.late import Policy, policy, read_due
from autograder.report.preview import preview_page, preview_text
from autograder.report.tables import canvas as canvas_table
from autograder.report.tables import grades, read_roster
from autograder.report.text import file_names
from autograder.results import StudentResult
from idc.files import atomic_write

__all__ = [
    "Course",
    "Person",
    "class_page",
    "feedback_page",
    "file_names",
    "of_class",
    "policy",
    "preview_page",
    "preview_text",
    "read_due",
    "read_roster",
    "write_reports",
]


def write_reports(
    results: Sequence[StudentResult],
    folder: Path,
    *,
    due: Mapping[str, datetime] | None = None,
    late: Policy | str | None = None,
    roster: Path | None = None,
    canvas: Path | None = None,
) -> tuple[str, ...]:
    """Write all reports of a class into a folder. Gives what the instructor must be told, e.g. who is not in Canvas.

    due: deadlines by set ("ps1"). late: a policy or its name (autograder.report.late). roster: the class list, a table with
    id, last_name, first_name, email. canvas: a gradebook that Canvas exported, to be filled in. Raises UserError for a
    deadline, policy, class list or gradebook that cannot be used; then nothing is written.
    """
    people = read_roster(roster) if roster else {}
    course = of_class(results, due, policy(late), people)
    table, remarks = canvas_table(course, canvas)
    pages = {
        f"feedback/{name}.html": feedback_page(course.results[student], course)
        for student, name in file_names(course.results).items()
    }
    pages |= {"grades.csv": grades(course), "canvas.csv": table, "class.html": class_page(course, remarks)}
    for name, text in pages.items():
        write_text(folder / name, text)
    return tuple(remarks)


def write_text(path: Path, text: str) -> None:
    """Write a text whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(text.encode("utf-8"))
