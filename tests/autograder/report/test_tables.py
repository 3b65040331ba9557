"""grades.csv and canvas.csv."""

from __future__ import annotations

import ast
import csv
import importlib.util
import io
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from autograder.report import Person, of_class, policy
from autograder.report.course import listed_as
from autograder.report.tables import COLUMNS, canvas, grades, read_roster
from autograder.results import ExerciseResult, Outcome, StudentResult
from idc.errors import UserError
from tests.autograder.report.sample import DUE, sample_class

EXPORT = '''\
Student,ID,SIS User ID,SIS Login ID,Section,Notes,ps1_infonce (4711),Essay (12),Problem set 2 (4712),Current Score
,,,,,,Manual Posting,,,
    Points Possible,,,,,,10,20,100,(read only)
"Lovelace, Ada",101,S1,ada@uni.edu,A,"say ""hi""",3,15,,50
"Student, Test",999,,f00d,A,,,,,
"Doe, Ben",102,S2,BEN,A,,EX,7,N/A,
"Roe, Cleo",103,cleo,x7,A,,2,,1,
"Tomáš",106,,tomáš,A,,,,,
"Twin, One",104,S4,twin@a.edu,A,,,,,
"Twin, Two",105,S5,twin@b.edu,A,,,,,
'''


def one(student: str, **points: float) -> StudentResult:
    """A student with one exercise of ten points a set."""
    exercises = {
        f"{set}.1": ExerciseResult(
            id=f"{set}.1", piece="f", outcome=Outcome.RIGHT, points=value, out_of=10, message=""
        )
        for set, value in points.items()
    }
    return StudentResult(
        student=student, exercises=exercises, handed_in={"ps1": DUE + timedelta(days=1, hours=1)}
    )


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


def test_the_columns_are_those_of_nbgrader() -> None:
    """As its exporter lists them; it is read, not imported, for that takes many seconds."""
    found = importlib.util.find_spec("nbgrader")
    assert found is not None and found.origin is not None
    source = (Path(found.origin).parent / "plugins" / "export.py").read_text(encoding="utf-8")
    lists = [
        ast.literal_eval(node.value)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "keys"
    ]
    assert lists == [list(COLUMNS)]


def test_every_student_has_a_row_for_every_set() -> None:
    results = sample_class()
    course = of_class(results, roster={"absent": Person("absent", "Sent", "Abe", "abe@x.org")})
    header, *rows = rows_of(grades(course))
    assert header == list(COLUMNS)
    assert len(rows) == 5 * (len(results) + 1)
    assert {row[0] for row in rows} == {
        "ps1_infonce",
        "ps2_positions",
        "ps3_attention",
        "ps4_scorer",
        "ps5_cbr",
    }
    assert len({(row[0], row[3]) for row in rows}) == len(rows)
    broken = [row for row in rows if row[3] == "emil"]
    assert [row[-1] for row in broken] == ["10.0", "10.0", "20.0", "20.0", "18.0"]
    assert all(float(row[9]) == 0 for row in broken)
    absent = next(row for row in rows if row[3] == "absent")
    assert absent[4:7] == ["Sent", "Abe", "abe@x.org"] and absent[7:10] == ["0.0", "0.0", "0.0"]
    assert all(not cell.startswith(tuple("=+-@")) for row in rows for cell in row)


def test_penalties_and_times() -> None:
    berlin = timezone(timedelta(hours=2))
    due = {"ps1": datetime(2026, 10, 1, 22, tzinfo=berlin)}
    course = of_class([one("ann", ps1=8, ps2=5)], due, policy("per_day=25"))
    rows = {row[0]: row for row in rows_of(grades(course))[1:]}
    assert rows["ps1_infonce"][1:3] == ["2026-10-01 20:00:00", "2026-10-02 21:00:00"]
    assert rows["ps1_infonce"][7:] == ["8.0", "4.0", "4.0", "10.0"]
    assert rows["ps2_positions"][1] == "" and rows["ps2_positions"][7:] == ["5.0", "0.0", "5.0", "10.0"]


def test_a_deadline_of_no_set() -> None:
    with pytest.raises(UserError, match="ps9"):
        of_class([one("ann", ps1=8)], {"ps9": DUE})


def test_two_results_of_one_student() -> None:
    with pytest.raises(UserError, match="two results"):
        of_class([one("ann", ps1=8), one("ann", ps1=3)])


@pytest.mark.parametrize("between", [",", ";"])
def test_a_gradebook_of_canvas_is_filled_in(tmp_path: Path, between: str) -> None:
    file = tmp_path / "export.csv"
    exported = rows_of(EXPORT)
    with file.open("w", encoding="utf-8-sig", newline="") as stream:
        csv.writer(stream, delimiter=between).writerows(exported)
    results = [
        one(name, ps1=8.5, ps2=5, ps3=1) for name in ("ada", "ben", "cleo", "twin", "zed", listed_as("tomáš"))
    ]
    text, remarks = canvas(of_class(results), file)
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=between))
    assert rows[0] == [*exported[0], "ps3_attention"]
    assert rows[2] == [*exported[2], "10"]
    by_id = {row[1]: row for row in rows}
    assert by_id["101"] == [
        "Lovelace, Ada",
        "101",
        "S1",
        "ada@uni.edu",
        "A",
        'say "hi"',
        "8.5",
        "15",
        "5",
        "50",
        "1",
    ]
    assert by_id["102"][6:] == ["EX", "7", "N/A", "", "1"], "excused and unassigned stay"
    assert by_id["103"][6:] == ["8.5", "", "5", "", "1"], "by SIS User ID"
    assert by_id["106"][6:] == ["8.5", "", "5", "", "1"], "by the id that intake gave"
    assert by_id["104"][6:] == by_id["105"][6:] == ["", "", "", "", ""]
    assert [row[:6] for row in rows] == [row[:6] for row in exported]
    told = "\n".join(remarks)
    assert "NOT IN canvas.csv: twin (more than one row" in told
    assert "NOT IN canvas.csv: zed (no row" in told
    assert "gives ps2 100 points, here it has 10" in told
    assert "no column for ps3" in told
    assert "3 row(s) of students without a hand-in" in told
    assert "ben has “EX” for ps1" in told


def test_canvas_without_an_export() -> None:
    results = [one("ann", ps1=8.5, ps2=5), one("=evil", ps1=1, ps2=0)]
    text, remarks = canvas(of_class(results, roster={"ann": Person("ann", "Lee", "Ann")}), None)
    assert rows_of(text) == [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "ps1_infonce", "ps2_positions"],
        ["    Points Possible", "", "", "", "", "10", "10"],
        ["'=evil", "", "", "'=evil", "", "1", "0"],
        ["Lee, Ann", "", "", "ann", "", "8.5", "5"],
    ]
    assert remarks == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"name,points\nann,3\n", "does not look like"),
        (b"\xff\xfe\x00", "UTF-8"),
        (None, "cannot be read"),
    ],
)
def test_what_is_no_gradebook(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "export.csv"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError, match=message):
        canvas(of_class([one("ann", ps1=1)]), file)


def test_a_class_list_and_names_that_intake_changed() -> None:
    """Who is listed under another id than in the class list is no second student."""
    id = listed_as("kowalska tomáš?")
    assert id != "kowalska tomáš?"
    assert all(listed_as(name) == name for name in ("ann", "", "x/ann", "/ann", "ps1_x", "."))
    course = of_class(
        [one(id, ps1=3)], roster={"kowalska tomáš?": Person("kowalska tomáš?", "Kowalska", "Tomáš")}
    )
    assert course.students == (id,) and course.person(id).name == "Tomáš Kowalska"


def test_a_class_list(tmp_path: Path) -> None:
    file = tmp_path / "students.csv"
    file.write_text(
        "\ufefffirst_name,id,lms_user_id,last_name\nAnn, ann ,7,Lee\n,ben,,\n,,,\n", encoding="utf-8"
    )
    assert read_roster(file) == {"ann": Person("ann", "Lee", "Ann"), "ben": Person("ben")}
    file.write_text("name\nann\n", encoding="utf-8")
    with pytest.raises(UserError, match="no column “id”"):
        read_roster(file)
