"""What a regrade would change: points are weighed anew without asking anybody again."""

from __future__ import annotations

from pathlib import Path

import pytest

from autograder.batch import Wish
from autograder.preview import read_points, regrade_aside, reweighted
from autograder.results import ExerciseResult, Outcome, StudentResult
from idc.errors import UserError


def result(points: float) -> StudentResult:
    exercises = {
        id: ExerciseResult(
            id=id,
            piece="info_nce",
            outcome=Outcome.WRONG,
            points=share * points,
            out_of=share * 6,
            message="",
        )
        for id, share in (("ps1.1", 1), ("ps1.2", 0.5))
    }
    return StudentResult(student="ada", exercises=exercises, key="ps1=abc")


def test_a_share_of_the_points_stays_that_share() -> None:
    (found,) = reweighted([result(3)], {"ps1.1": 8})
    assert (found.exercises["ps1.1"].points, found.exercises["ps1.1"].out_of) == (4, 8)
    assert found.exercises["ps1.2"] == result(3).exercises["ps1.2"]


def test_without_other_points_nothing_changes() -> None:
    (found,) = reweighted([result(3)], {})
    assert found.exercises == result(3).exercises


def test_an_exercise_that_nobody_has_is_told() -> None:
    with pytest.raises(UserError, match=r"no result holds an exercise “ps1.3”; there are ps1.1, ps1.2"):
        reweighted([result(3)], {"ps1.3": 1})


def test_points_are_read_from_words() -> None:
    assert read_points(["ps1.1=4", " ps2.1 = 2.5"]) == {"ps1.1": 4, "ps2.1": 2.5}


@pytest.mark.parametrize("word", ["ps1.1", "ps1.1=many", "ps1.1=0", "ps1.1=-2", "ps1.1=nan", "ps1.1=inf"])
def test_what_is_no_number_of_points_is_told(word: str) -> None:
    with pytest.raises(UserError, match="gives no points"):
        read_points([word])


def test_other_questions_are_not_asked_unnoticed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="secret is missing: without the course's secret"):
        regrade_aside(Wish(tmp_path / "submitted", tmp_path / "grades"), tmp_path / "aside")
