"""The red team: no mark for a wrong answer, no harm to anybody else, and a report that says what happened.

The attacks are in `attacks/`, one a file. Each pairs a trick with a wrong answer, and has right answers to other
exercises, which must keep their points. All of them meet one warm parent, one after the other.
"""

from __future__ import annotations

import ast
import contextlib
import os
import re
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from autograder.checks import exercise, exercises
from autograder.checks.exercise import Status
from autograder.report import write_reports
from autograder.results import Outcome, StudentResult
from autograder.settings import LimitSettings
from autograder.student import Local
from autograder.submission import read_own
from tests.autograder.engine import Engine, open_engine, told, written_outside
from tests.autograder.handins import (
    Attack,
    code_cell,
    hand_in,
    load_attacks,
    make_notebook,
    right_if,
    write_notebook,
)

ATTACKS = load_attacks()
LIMITS = LimitSettings(
    memory_mib=1200,
    processes=40,
    disk_mib=24,
    load_seconds=5.0,
    call_seconds=3.0,
    exercise_seconds=8.0,
    student_seconds=60.0,
)
SECRET = "kestrel-" + "secret-5090"  # what several attacks look for
PORTS = range(47811, 47819)  # where the attack that looks for a way out knocks


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """The grader, with a secret in its environment."""
    os.environ["IDC_GRADER_SECRET"] = SECRET
    try:
        with open_engine(LIMITS) as opened:
            yield opened
    finally:
        del os.environ["IDC_GRADER_SECRET"]


@pytest.fixture(scope="module")
def ears() -> Iterator[list[socket.socket]]:
    """Sockets that listen outside the wall: at a port of this machine and under a name."""
    with socket.socket() as port, socket.socket(socket.AF_UNIX) as name:
        port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bind_first_free(port, [("127.0.0.1", number) for number in PORTS])
        bind_first_free(name, [f"\0idc-listens-{number}" for number in range(len(PORTS))])
        for each in (port, name):
            each.listen()
            each.setblocking(False)
        yield [port, name]


def bind_first_free(ear: socket.socket, places: Sequence[Any]) -> None:
    """Bind to the first place that no other run of these tests holds."""
    for place in places:
        with contextlib.suppress(OSError):
            ear.bind(place)
            return
    raise OSError(f"all of {places} are in use")


@pytest.fixture
def submitted(tmp_path: Path) -> Path:
    """nbgrader's folder, with somebody in it who has everything right and a secret in their notebook."""
    folder = tmp_path / "course" / "submitted"
    notebook = make_notebook("ps1", {})
    notebook["cells"].append(code_cell(f"# {SECRET}"))
    write_notebook(folder / "victim", "ps1", notebook)
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("attack", ATTACKS, ids=[attack.name for attack in ATTACKS])
def test_attack(
    attack: Attack, engine: Engine, ears: list[socket.socket], submitted: Path, tmp_path: Path
) -> None:
    victim = files_of(submitted / "victim")
    attack.write(submitted, "mallory")

    result = engine.grade(submitted, "mallory", attack.exercise, *attack.keeps, wait=attack.wait)

    wrong = result.exercises[attack.exercise]
    report = told(result, wrong)
    assert wrong.points == 0, report
    assert wrong.outcome in attack.outcomes, (wrong.outcome, report)
    for words in attack.says:
        assert words in report
    assert wrong.message
    for id in attack.keeps:
        kept = result.exercises[id]
        assert (kept.outcome, kept.points) == (Outcome.RIGHT, kept.out_of), (id, told(result, kept))

    assert engine.left_behind() == []
    assert written_outside(tmp_path) == []
    assert files_of(submitted / "victim") == victim
    for each in ears:
        with pytest.raises(BlockingIOError):  # nobody has knocked
            each.accept()


def grade(name: str, engine: Engine, submitted: Path, student: str) -> StudentResult:
    """The result of an attack by name."""
    attack = next(attack for attack in ATTACKS if attack.name == name)
    attack.write(submitted, student)
    return engine.grade(submitted, student, attack.exercise, wait=attack.wait)


def test_the_next_student_is_not_harmed(engine: Engine, submitted: Path) -> None:
    for number, name in enumerate(
        ("kills_everybody", "stops_the_parent", "poisoned_torch", "outlives", "disk_bomb")
    ):
        grade(name, engine, submitted, f"mallory{number}")
    result = engine.grade(submitted, "victim", "ps1.1", "ps1.2")
    assert result.score() == result.max_score() == 10
    assert result.flags == ()


def test_notes_do_not_reach_the_next_student(engine: Engine, submitted: Path) -> None:
    for student in ("first", "second"):
        assert grade("leaves_notes", engine, submitted, student).exercises["ps1.2"].points == 0


def test_reports_show_what_was_written_and_run_none_of_it(
    engine: Engine, submitted: Path, tmp_path: Path
) -> None:
    names = ("script_in_messages", "script_in_cells", "half_characters", "odd_names", "endless_message")
    results = [grade(name, engine, submitted, f"mallory{number}") for number, name in enumerate(names)]
    for result in results:
        result.write(tmp_path / "result.json")
        assert StudentResult.read(tmp_path / "result.json") == result
    write_reports(results, tmp_path / "reports")
    pages = list((tmp_path / "reports").rglob("*.html"))
    assert len(pages) > len(names)
    text = "".join(page.read_text(encoding="utf-8") for page in pages)
    assert "&lt;script&gt;alert(" in text
    assert not re.search(r"<script[^>]*>\s*alert|<img[^>]*onerror|<iframe|javascript:", text)
    for table in (tmp_path / "reports").rglob("*.csv"):
        assert not re.search(r"(^|,)\"?[=+@\t]", table.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_red_team_is_complete() -> None:
    assert len(ATTACKS) >= 45
    assert {attack.exercise for attack in ATTACKS} == set(exercises())
    assert all(attack.does for attack in ATTACKS)
    assert all(attack.exercise not in attack.keeps for attack in ATTACKS)
    assert all(Outcome.RIGHT not in attack.outcomes for attack in ATTACKS)


@pytest.mark.parametrize("id", exercises())
def test_a_breach_would_show_in_the_marks(id: str, tmp_path: Path) -> None:
    """Attacks that answer right where they find what they look for; these two find it always, and never."""
    each = exercise(id)
    for condition, status in (("True", Status.RIGHT), ("False", Status.WRONG)):
        hand_in(tmp_path / condition, {id: right_if(id, condition)})
        own = read_own(tmp_path / condition)
        assert each.judge(Local(own.pieces)).status is status


@pytest.mark.parametrize("attack", ATTACKS, ids=[attack.name for attack in ATTACKS])
def test_attacks_are_python_unless_that_is_the_point(attack: Attack) -> None:
    for cell in getattr(attack.module, "CELLS", ()):
        if attack.name != "parser_bomb":
            ast.parse(cell)
