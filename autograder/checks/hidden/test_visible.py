"""What students have, too: the check under the exercise. Its words are what a student is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import pytest

from autograder.banks import bank
from autograder.checks import exercises
from autograder.checks.exercise import Exercise, Status
from autograder.student import Answer, Call, Local, Student, ask_all


class Noted:
    """A student of whom it is noted what was asked."""

    def __init__(self, student: Student):
        self.student = student
        self.calls: list[Call] = []

    def __call__(self, call: Call) -> Answer:
        return self.many([call])[0]

    def many(self, calls: Sequence[Call]) -> list[Answer]:
        self.calls += calls
        return ask_all(self.student, calls)


@cache
def asked_of_the_right_one(id: str) -> list[Call]:
    each = exercises()[id]
    student = Noted(Local({each.piece: bank(id).right}))
    each.judge(student)
    return student.calls


def as_always(exercise: Exercise, seed: int) -> list[Call]:
    """What the reference is asked: everybody is asked the same, up to the first wrong answer."""
    return asked_of_the_right_one(exercise.id)


@pytest.mark.asks(calls=as_always)
@pytest.mark.parametrize("id", [pytest.param(id, marks=pytest.mark.exercise(id)) for id in exercises()])
def test_visible_check(
    id: str, exercise: Exercise, ask: Student, record_property: Callable[[str, object], None]
) -> None:
    verdict = exercise.judge(ask)
    record_property("verdict", verdict)
    assert verdict.status is Status.RIGHT, verdict.message
