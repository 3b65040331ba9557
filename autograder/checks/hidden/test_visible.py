"""What students have, too: the check under the exercise. Its words are what a student is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from autograder.checks import exercises
from autograder.checks.exercise import Exercise, Status
from autograder.student import Student


@pytest.mark.parametrize("id", [pytest.param(id, marks=pytest.mark.exercise(id)) for id in exercises()])
def test_visible_check(
    id: str, exercise: Exercise, ask: Student, record_property: Callable[[str, object], None]
) -> None:
    verdict = exercise.judge(ask)
    record_property("verdict", verdict)
    assert verdict.status is Status.RIGHT, verdict.message
