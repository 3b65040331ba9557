"""The hidden checks are proven: the reference and every honest way pass, stubs, known mistakes and answers learned by heart
earn nothing, and what a student is told holds nothing of them. Who answers behind a line gets the same verdicts."""

from __future__ import annotations

import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from autograder.banks import bank, ids
from autograder.checks import exercise
from autograder.checks.exercise import Status
from autograder.hidden import unseen
from autograder.plugin import HIDDEN, Judge, seed_of
from autograder.results import ExerciseResult, Outcome
from autograder.student import Answer, Call, Failure, Local, Student
from autograder.submission import read_own
from tests.autograder.bridges.test_published import ATTENTION, LOSS, SCORER
from tests.autograder.by_value import ByValue
from tests.autograder.test_hidden import ByHeart, content

IDS = ids()
SEED = seed_of(b"a secret of this test", "ada")
RIGHT = [(id, name) for id in IDS for name in ("the reference", *bank(id).honest)]
WRONG = [(id, key) for id in IDS for key in bank(id).wrong]
OF_VERDICTS = {
    Outcome.RIGHT: Status.RIGHT,
    Outcome.WRONG: Status.WRONG,
    Outcome.NOT_ATTEMPTED: Status.NOT_ATTEMPTED,
}


@cache
def judge() -> Judge:
    return Judge()


@cache
def visible() -> Judge:
    """One check an exercise, the visible one: enough to see that points are lost, and why."""
    found = Judge()
    found.checks.items = {id: items[:1] for id, items in found.checks.items.items()}
    return found


def judged(id: str, student: Student, by: Judge | None = None, seed: str = SEED) -> ExerciseResult:
    return (by or judge()).judge(lambda asked, lent: student, [id], seed)[id]


@pytest.mark.parametrize(("id", "name"), RIGHT, ids=[f"{id}-{name}" for id, name in RIGHT])
def test_honest_work_passes_everything(id: str, name: str) -> None:
    """Each with questions of its own."""
    piece = bank(id).honest.get(name, bank(id).right)
    with ByValue(Local({exercise(id).piece: piece})) as student:
        result = judged(id, student, seed=seed_of(b"for honest work", name))
    assert result.outcome is Outcome.RIGHT, [test for test in result.tests if not test.passed]
    assert result.points == result.out_of == exercise(id).points
    assert len(result.tests) >= 4 + 3


@pytest.mark.parametrize(("id", "key"), WRONG, ids=[f"{id}-{key}" for id, key in WRONG])
def test_a_known_mistake_loses_the_points_by_its_own_idea(id: str, key: str) -> None:
    with ByValue(Local({exercise(id).piece: bank(id).wrong[key]})) as student:
        result = judged(id, student, visible())
    assert (result.outcome, result.points, result.idea) == (Outcome.WRONG, 0, key)
    assert "test_" not in result.message


@pytest.mark.parametrize("id", IDS)
def test_verdicts_behind_a_line_are_those_in_the_notebook(id: str) -> None:
    """Word by word. For every other mistake it follows: what is asked and answered is the same, bit by bit."""
    each, proof = exercise(id), bank(id)
    for piece in (proof.right, stub_of(id), *list(proof.wrong.values())[:2]):
        near = each.judge(Local({each.piece: piece}))
        with ByValue(Local({each.piece: piece})) as student:
            far = judged(id, student, visible())
        assert OF_VERDICTS[far.outcome] is near.status
        assert (far.message, far.check, far.idea) == (near.message, near.check, near.idea)


def stub_of(id: str) -> Any:
    def stub(*_: Any, **__: Any) -> None:
        raise NotImplementedError

    right, method = bank(id).right, exercise(id).records()[0].call.method
    return type("Stub", (right,), {method: stub}) if isinstance(right, type) else stub


@pytest.mark.parametrize("id", IDS)
def test_a_stub_is_not_attempted_and_asked_no_further(id: str) -> None:
    for student in (Local({exercise(id).piece: stub_of(id)}), Local({})):
        result = judged(id, student)
        assert (result.outcome, result.points, len(result.tests)) == (Outcome.NOT_ATTEMPTED, 0, 1)


@pytest.mark.parametrize("id", IDS)
def test_answers_learned_by_heart_earn_nothing(id: str) -> None:
    result = judged(id, ByHeart(exercise(id)))
    assert (result.outcome, result.points, result.idea) == (Outcome.WRONG, 0, "")
    assert result.message == unseen(exercise(id))
    assert any("learned by heart" in flag for flag in result.flags)
    by_hand = [test for test in result.tests if not test.name.startswith(("test_visible", "test_new"))]
    assert sum(not test.passed for test in by_hand) >= 2, "hand-written checks see it, too"


def test_the_published_form_passes_everything(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    for name, source in {"CBR": LOSS, "transformer_decoder": ATTENTION, "SCORER": SCORER}.items():
        (models / f"{name}.py").write_text(source)
    own = read_own(tmp_path).pieces
    wanted = [id for id in IDS if exercise(id).piece in own]
    assert len(wanted) == 5
    for id in wanted:
        assert judged(id, Local(own)).outcome is Outcome.RIGHT


CANARY = "copper-heron-5830"
HIDING_CANARIES = f'''
import pytest
from autograder.checks import exercises
from autograder.proxy import StudentStopped

ALL = [pytest.param(id, marks=pytest.mark.exercise(id)) for id in exercises()]


@pytest.mark.parametrize("id", ALL)
def test_{CANARY.replace("-", "_")}(id):
    """{CANARY}"""
    assert 58.30583 == 0, "{CANARY}"


@pytest.mark.parametrize("id", ALL)
@pytest.mark.timeout(58305830)
def test_names_and_values(id, exercise, ask, seed):
    from autograder.hidden import new_calls
    answer = ask(new_calls(exercise, seed)[0])
    assert answer.failure is None, "{CANARY} " + repr(answer)
'''
LEAKS = re.compile(r"copper.heron|5830|test_|\d\.\d{2,}", re.IGNORECASE)


@cache
def with_canaries(folder: Path) -> Judge:
    shutil.copytree(HIDDEN, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "test_canaries.py").write_text(HIDING_CANARIES)
    return Judge(folder)


@pytest.fixture(scope="module")
def canaries(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    return with_canaries(tmp_path_factory.mktemp("canaries") / "checks")


class TellsWhatItHears:
    """Right in the visible check; every other answer is a failure that tells what was asked."""

    def __init__(self, id: str, kind: str):
        self.inner = ByHeart(exercise(id))
        self.kind = kind

    def __call__(self, call: Call) -> Answer:
        if content(call) in self.inner.known:
            return self.inner(call)
        return Answer(failure=Failure(self.kind, f"I was asked {call!r} {CANARY}", CANARY))


@pytest.mark.parametrize("id", ["ps1.1", "ps3.3", "ps5.4"])
def test_what_a_student_is_told_holds_nothing_of_hidden_checks(canaries: Judge, id: str) -> None:
    piece, right = exercise(id).piece, bank(id).right
    students: list[Student] = [Local({piece: right}), ByHeart(exercise(id))]
    students += [TellsWhatItHears(id, kind) for kind in ("ValueError", "Crashed", "OutOfTime", "Tampered")]
    students += [Local({piece: wrong}) for wrong in list(bank(id).wrong.values())[:3]]
    for student in students:
        result = judged(id, student, canaries)
        assert result.points == 0
        told = result.message + result.idea
        assert not LEAKS.search(told.replace(id, "")), told


def test_the_canaries_would_be_found(canaries: Judge) -> None:
    """The check's own words are there, for instructors."""
    result = judged("ps1.1", Local({"info_nce": bank("ps1.1").right}), canaries)
    assert any(CANARY in test.message for test in result.tests)
    assert LEAKS.search(result.check)


def test_where_ties_are_broken_does_not_matter() -> None:
    """The first of two equals, or both in equal parts: both are maxima."""

    def first(query: Tensor, key: Tensor) -> Tensor:
        table = query[:, None] @ key[None].transpose(-1, -2)
        return (table.max(-1).values.mean(-1) + table.max(-2).values.mean(-1)) / 2

    def shared(query: Tensor, key: Tensor) -> Tensor:
        table = query[:, None] @ key[None].transpose(-1, -2)
        return (table.amax(-1).mean(-1) + table.amax(-2).mean(-1)) / 2

    for piece in (first, shared):
        assert judged("ps4.1", Local({"token_matching": piece})).outcome is Outcome.RIGHT
