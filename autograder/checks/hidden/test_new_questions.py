"""New random questions, other ones for every student, and the reference to compare with."""

from __future__ import annotations

import pytest

from autograder.banks import answers, bank
from autograder.checks import exercises
from autograder.checks.exercise import Exercise
from autograder.hidden import new_calls, same_gradients
from autograder.student import Call, Student, ask_all


@pytest.mark.asks(calls=new_calls)
@pytest.mark.parametrize("id", [pytest.param(id, marks=pytest.mark.exercise(id)) for id in exercises()])
def test_new_questions(id: str, exercise: Exercise, ask: Student, questions: list[Call]) -> None:
    rights = answers(exercise, bank(id).right, questions)
    for answer, right in zip(ask_all(ask, questions), rights, strict=True):
        assert answer.failure is None, answer.failure
        assert not answer.changed, "an argument is overwritten"
        assert exercise.same(answer, right), "another value than the reference"
        assert same_gradients(answer, right), "another gradient than the reference"
