"""Tables that other programs read: grades.csv as nbgrader exports it, canvas.csv as Canvas imports it.

A cell that a spreadsheet would take for a formula gets an apostrophe in front; autograder.report.text.defused says when.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

from autograder.checks import SETS
from autograder.report.course import Course, Person, listed_as
from autograder.report.text import aware, defused, number
from idc.errors import UserError

# The columns of `nbgrader export`, in its order.
COLUMNS = (
    "assignment",
    "duedate",
    "timestamp",
    "student_id",
    "last_name",
    "first_name",
    "email",
    "raw_score",
    "late_submission_penalty",
    "score",
    "max_score",
)
# What Canvas expects before the assignments.
CANVAS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
POSSIBLE = "    Points Possible"
KEPT = ("EX", "N/A")  # Canvas: excused, not assigned to this student


def read_roster(path: Path) -> dict[str, Person]:
    """The class list by id, from a table as `nbgrader db student import` reads it: id, last_name, first_name, email.

    Raises UserError for a file that is none.
    """
    rows, _ = read_table(path, "a class list")
    header = [name.strip() for name in rows[0]]
    if "id" not in header:
        raise UserError(
            f"{path} has no column “id”, but {', '.join(header)}; a class list has id, last_name, first_name, email."
        )
    found: dict[str, Person] = {}
    for row in rows[1:]:
        cells = {name: cell.strip() for name, cell in zip(header, row, strict=False)}
        if cells.get("id"):
            known = ("id", "last_name", "first_name", "email")
            found[cells["id"]] = Person(*(cells.get(name, "") for name in known))
    return found


def read_table(path: Path, what: str) -> tuple[list[list[str]], str]:
    """The rows of a table and what stands between its cells. Raises UserError for what cannot be read or is empty."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path} cannot be read as {what} ({error}); it should be a table in UTF-8."
        ) from error
    first = text.partition("\n")[0]
    between = ";" if first.count(";") > first.count(",") else ","
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=between) if any(row)]
    except csv.Error as error:
        raise UserError(f"{path} cannot be read as {what} ({error}); export it again.") from error
    if not rows:
        raise UserError(f"{path} is empty; expected was {what}.")
    return rows, between


def written(rows: Sequence[Sequence[str]], between: str = ",") -> str:
    """Rows as text, every cell defused."""
    stream = io.StringIO()
    table = csv.writer(stream, delimiter=between, lineterminator="\n")
    table.writerows([defused(cell) for cell in row] for row in rows)
    return stream.getvalue()


def grades(course: Course) -> str:
    """grades.csv: one row for every set and student, also for those of the roster who handed nothing in."""
    rows: list[Sequence[str]] = [COLUMNS]
    for set in course.sets:
        due = course.due.get(set)
        for student in course.students:
            person = course.person(student)
            raw, penalty, came = 0.0, 0.0, None
            if result := course.results.get(student):
                raw, penalty = result.score(set), course.late[student][set].penalty
                came = result.handed_in.get(set)
            rows.append(
                (
                    SETS.get(set, set),
                    plain_time(due),
                    plain_time(came),
                    student,
                    person.last_name,
                    person.first_name,
                    person.email,
                    points(raw),
                    points(penalty),
                    points(max(0.0, raw - penalty)),
                    points(course.most[set]),
                )
            )
    return written(rows)


def plain_time(time: datetime | None) -> str:
    """A time as nbgrader writes it: in UTC, without saying so."""
    return "" if time is None else str(aware(time).astimezone(timezone.utc).replace(tzinfo=None))


def points(value: float) -> str:
    return str(round(float(value), 6))


def canvas(course: Course, exported: Path | None) -> tuple[str, list[str]]:
    """canvas.csv, and what the instructor must hear about it.

    exported: the gradebook as Canvas exported it. Its rows and columns stay as they are; only the columns of the problem
    sets change, those named “ps1 …”, “ps1_infonce …” or “Problem set 1 …”, and are added where there are none. Without it
    a table is made in which Canvas knows the students by their SIS Login ID.
    """
    if exported is None:
        return new_canvas(course), []
    rows, between = read_table(exported, "a gradebook from Canvas")
    header = rows[0]
    places = columns(header, exported)
    remarks: list[str] = []
    students = match(course, rows[1:], places, remarks)
    width = len(header)
    for row in rows:
        row.extend([""] * (width - len(row)))
    for set in course.sets:
        place = next((number for number, title in enumerate(header) if names_set(title, set)), None)
        if place is None:
            place = len(header)
            for row in rows:
                row.append("")
            header[place] = SETS.get(set, set)
            remarks.append(
                f"Canvas has no column for {set}; “{header[place]}” was added, and Canvas will offer to make an "
                "assignment of it."
            )
        fill(course, set, rows[1:], place, students, remarks)
    return written(rows, between), remarks


def new_canvas(course: Course) -> str:
    rows = [
        [*CANVAS, *(SETS.get(set, set) for set in course.sets)],
        [POSSIBLE, *[""] * (len(CANVAS) - 1), *(number(course.most[set]) for set in course.sets)],
    ]
    for student in course.students:
        scores = [number(course.final(student, set)) for set in course.sets]
        rows.append([course.person(student).sortable, "", "", student, "", *scores])
    return written(rows)


def columns(header: Sequence[str], path: Path) -> dict[str, int]:
    """Where the columns that tell students apart stand. Raises UserError for a table that is not from Canvas."""
    places = {title.strip(): place for place, title in reversed(list(enumerate(header)))}
    named = "Student" in places or {"LastName", "FirstName"} <= places.keys()
    if not (named and "ID" in places and "Section" in places):
        raise UserError(
            f"{path} does not look like a gradebook from Canvas: its columns are {', '.join(header[:6])}; expected were "
            f"{', '.join(CANVAS)}. In Canvas open Grades and export the gradebook."
        )
    return places


def match(
    course: Course, rows: Sequence[list[str]], places: Mapping[str, int], remarks: list[str]
) -> dict[int, str]:
    """The student of every row, by the row's number: by SIS Login ID, the part of it before @, SIS User ID, or ID."""
    owners: dict[str, list[int]] = {}
    people = [place for place, row in enumerate(rows) if cell(row, places["ID"]) or login(row, places)]
    for place in people:
        names = {
            login(rows[place], places),
            *(cell(rows[place], places.get(key)) for key in ("SIS User ID", "ID")),
        }
        names |= {login(rows[place], places).partition("@")[0]}
        for name in {id.casefold() for each in names for id in (each, listed_as(each))}:
            owners.setdefault(name, []).append(place)
    found: dict[int, str] = {}
    for student in course.students:
        rivals = owners.get(student.casefold(), []) if student else []
        if len(rivals) == 1 and rivals[0] not in found:
            found[rivals[0]] = student
        elif student in course.results:
            why = "more than one row of Canvas fits" if rivals else "no row of Canvas has this login or ID"
            remarks.append(f"NOT IN canvas.csv: {student} ({why}). Enter these points by hand.")
    without = len(people) - sum(student in course.results for student in found.values())
    if without:
        remarks.append(
            f"Canvas has {without} row(s) of students without a hand-in here; they stay as they were."
        )
    return found


def login(row: Sequence[str], places: Mapping[str, int]) -> str:
    return cell(row, places.get("SIS Login ID"))


def cell(row: Sequence[str], place: int | None) -> str:
    return row[place].strip() if place is not None and place < len(row) else ""


def names_set(title: str, set: str) -> bool:
    """Whether a column of Canvas belongs to a problem set; Canvas adds the assignment's number in brackets."""
    digits = set.removeprefix("ps")
    names = [re.escape(set), re.escape(SETS.get(set, set)), rf"problem set {re.escape(digits)}"]
    return re.match(rf"({'|'.join(names)})(?![\w.])", title.strip(), re.IGNORECASE) is not None


def fill(
    course: Course,
    set: str,
    rows: Sequence[list[str]],
    place: int,
    students: Mapping[int, str],
    remarks: list[str],
) -> None:
    """Write a set's scores into its column."""
    for row in rows:
        if "Points Possible" in row[0]:
            row[place] = row[place] or number(course.most[set])
            if as_number(row[place]) != round(course.most[set], 2):
                remarks.append(
                    f"Canvas gives {set} {row[place]} points, here it has {number(course.most[set])}; the scores are "
                    "written as they are. Change the points of the assignment in Canvas."
                )
    for line, student in students.items():
        if student not in course.results:
            continue
        if rows[line][place].strip() in KEPT:
            remarks.append(f"{student} has “{rows[line][place].strip()}” for {set} in Canvas, which stays.")
        else:
            rows[line][place] = number(course.final(student, set))


def as_number(text: str) -> float | None:
    try:
        return round(float(text.replace(",", ".")), 2)
    except ValueError:
        return None
