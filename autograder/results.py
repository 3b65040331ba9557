"""What grading found out: one `StudentResult` a student, whatever happened.

These are plain values, written as JSON. Texts may hold what a student wrote; whoever shows them must escape them.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from idc.files import atomic_write


class Outcome(str, Enum):
    """How an exercise ended. All points are for RIGHT; a part of them may come from tests that earn points by themselves."""

    RIGHT = "right"
    WRONG = "wrong"
    NOT_ATTEMPTED = "not attempted"
    STOPPED = "stopped"  # the process died, or asked for more memory, time or processes than allowed
    TAMPERED = "tampered"  # something else than an answer came from the student's process
    NOT_GRADED = "not graded"  # the grader failed, not the student


class Plain(BaseModel):
    """A value that refuses what it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TestResult(Plain):
    """One hidden or visible check. message: for instructors only, it may name inputs and expected values."""

    name: str
    passed: bool
    message: str = ""
    seconds: float = 0.0


class ExerciseResult(Plain):
    """One exercise.

    message: for the student; from the visible check, or neutral words. idea: the key of the idea that was missed, "" if
    unknown. check: the first check that failed, for instructors. lent: pieces of the course that stood in for the
    student's own, which were missing or wrong. where: the cell it was found in. flags: what an instructor should look at.
    """

    id: str
    piece: str
    outcome: Outcome
    points: float
    out_of: float
    message: str
    idea: str = ""
    check: str = ""
    where: str = ""
    lent: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    tests: tuple[TestResult, ...] = ()
    seconds: float = 0.0


class StudentResult(Plain):
    """All that is known about one student's hand-in.

    exercises: by id, all of the sets that were graded, also those without an answer. handed_in: when each set came, if that
    is known. notes: for the student: what was found where, what was refused. flags: for the instructor. error: why nothing
    could be graded, "" if it could. isolation: "namespaces", "uid" or "none". key: of the submission, checks and
    environment.
    """

    student: str
    exercises: dict[str, ExerciseResult] = {}
    handed_in: dict[str, datetime | None] = {}
    notes: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    error: str = ""
    isolation: str = ""
    key: str = ""
    seconds: float = 0.0

    def score(self, set: str | None = None) -> float:
        return sum(each.points for each in self.chosen(set))

    def max_score(self, set: str | None = None) -> float:
        return sum(each.out_of for each in self.chosen(set))

    def chosen(self, set: str | None) -> list[ExerciseResult]:
        """The exercises of a problem set ("ps1"), or all."""
        return [each for id, each in self.exercises.items() if set is None or id.split(".")[0] == set]

    def write(self, path: Path) -> None:
        with atomic_write(path) as temporary:
            temporary.write_text(self.model_dump_json(indent=1), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> StudentResult:
        """Raises ValueError for a file that holds something else."""
        return cls.model_validate_json(path.read_text(encoding="utf-8"))
