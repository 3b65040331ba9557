"""One hand-in at the bench: there is always a result, and nobody is judged where the wall does not stand."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from autograder.bench import OURS, UNSAFE, grade_one, nothing, try_out, until
from autograder.checks import SETS, exercises
from autograder.intake import Handin
from autograder.results import ExerciseResult, Outcome
from autograder.student import Answer, Call, Local, Student
from autograder.warm import NoRoom
from idc.errors import UserError


class Behind:
    """Stands for a warm parent whose rooms answer with `student`, or cannot be had."""

    def __init__(self, student: Student, reason: str = "", isolation: str = "namespaces"):
        self.asked, self.reason, self.isolation = student, reason, isolation

    @contextlib.contextmanager
    def room(
        self, files: Mapping[str, bytes], ids: object = None, meanwhile: Callable[[], object] = lambda: None
    ) -> Iterator[Any]:
        meanwhile()
        if self.reason:
            raise NoRoom(self.reason)
        where = {"info_nce": "ps1.ipynb, cell 3"}
        yield SimpleNamespace(
            student=lambda id, lent=(): self.asked, notes=("read",), flags=["ps1: odd"], where=where
        )


class Lenient:
    """A judge to whom everything is right."""

    prepared = ""  # the seed of questions that were made beforehand

    def prepare(self, ids: Iterable[str], seed: str) -> None:
        self.prepared = seed

    def judge(
        self, student_of: Callable[..., Student], ids: Iterable[str], seed: str
    ) -> dict[str, ExerciseResult]:
        return {
            id: ExerciseResult(
                id=id, piece=exercises()[id].piece, outcome=Outcome.RIGHT, points=1, out_of=1, message=seed
            )
            for id in ids
        }


def our_own() -> Local:
    names: dict[str, Any] = {}
    exec(OURS, names)
    return Local(names)


def test_a_wall_that_stands_lets_our_own_answer_through() -> None:
    try_out(Behind(our_own()))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "student",
    [
        Local({}),
        Local({"info_nce": lambda similarity: similarity.sum()}),
        Local({"info_nce": lambda similarity: similarity.detach().square().sum()}),
        lambda call: Answer({"": torch.tensor(30.0, dtype=torch.float64)}),
    ],
)
def test_a_wall_that_does_not_stand_is_told_before_anybody_is_graded(student: Student) -> None:
    with pytest.raises(UserError, match="the wall does not work on this machine"):
        try_out(Behind(student))  # type: ignore[arg-type]


def test_a_result_tells_where_it_comes_from() -> None:
    handin = Handin("ada", {"ps1.ipynb": b""}, ("renamed",), {"ps1": None})
    judge = Lenient()
    result = grade_one(handin, judge, Behind(our_own()), ("ps1",), "seed", 60)  # type: ignore[arg-type]
    assert judge.prepared == "seed"
    assert list(result.exercises) == ["ps1.1", "ps1.2"]
    assert result.exercises["ps1.1"].where == "ps1.ipynb, cell 3"
    assert result.exercises["ps1.1"].message == "seed"
    assert (result.notes, result.flags) == (("renamed", "read"), ("ps1: odd",))
    assert (result.isolation, result.error) == ("namespaces", "")


@pytest.mark.parametrize(
    ("handin", "reason"),
    [
        (Handin("ada", {}, error="ada.zip is locked."), ""),
        (Handin("ada", {"ps1.py": b""}), "ada.zip is locked."),
    ],
)
def test_what_cannot_be_read_has_all_its_rows_and_the_reason(handin: Handin, reason: str) -> None:
    parent = Behind(our_own(), reason, isolation="none")
    result = grade_one(handin, Lenient(), parent, tuple(SETS), "seed", 60)  # type: ignore[arg-type]
    assert result.error == "ada.zip is locked."
    assert list(result.exercises) == [*exercises(), "ps6.1"]
    assert {each.outcome for each in result.exercises.values()} == {Outcome.NOT_ATTEMPTED}
    assert {each.message for each in result.exercises.values()} == {"ada.zip is locked."}
    assert result.score() == 0
    assert result.max_score() == sum(each.points for each in exercises().values()) + 4
    assert result.flags == (UNSAFE,)


def test_without_time_nobody_is_asked() -> None:
    def nobody(id: str, lent: tuple[str, ...]) -> Student:
        raise AssertionError(id)

    answer = until(nobody, deadline=0, seconds=7)("ps1.1", ())(Call("info_nce", ()))
    assert answer.failure is not None
    assert answer.failure.kind == "OutOfTime"
    assert "more than 7 seconds" in answer.failure.message


def test_nothing_has_the_points_of_the_exercises() -> None:
    found = nothing(("ps1", "ps6"), "sorry", Outcome.NOT_GRADED)
    assert {id: each.out_of for id, each in found.items()} == {"ps1.1": 6, "ps1.2": 4, "ps6.1": 4}
    assert {each.outcome for each in found.values()} == {Outcome.NOT_GRADED}
