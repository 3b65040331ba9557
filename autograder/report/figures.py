"""Figures of a class: how an exercise went, and whether a check tells those who know from those who do not."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from autograder.report.course import Course
from autograder.report.pages import idea_name, title_of
from autograder.results import ExerciseResult, Outcome, StudentResult

ENOUGH = 20  # students, below which a correlation says next to nothing
EITHER = 5  # of them on each side
# How discrimination is told; the class report prints it.
METHOD = (
    "Discrimination is the point-biserial correlation between passing the check and the share of points in all other "
    "exercises (item-rest, so that a check is not compared with itself: Henrysson 1963, Psychometrika 28, 211–218). It uses "
    "every student; the index of the best and the worst 27 % saves work and costs precision (Baker 1965, Psychometrika 30, "
    "165–178). ± is two standard errors, 2/√n: a number within it may be chance. Where fewer than "
    f"{ENOUGH} tried, or fewer than {EITHER} passed or failed, the class is too small to tell and no number is given."
)


@dataclass(frozen=True)
class ExerciseFigures:
    """How an exercise went. n: students with a result. outcomes: how often each. ideas: those missed, by name, most first.

    seconds: median and maximum, None where nothing ran. lent: how often the course's own stood in for the piece.
    """

    id: str
    title: str
    n: int
    outcomes: Counter[Outcome]
    ideas: list[tuple[str, int]]
    seconds: tuple[float, float] | None
    lent: int

    def share(self, outcome: Outcome) -> float:
        return self.outcomes[outcome] / self.n if self.n else 0.0


@dataclass(frozen=True)
class CheckFigures:
    """How a check went among those who tried the exercise. r: its discrimination, None with the reason in `why`."""

    exercise: str
    name: str
    n: int
    passed: int
    r: float | None
    why: str = ""

    @property
    def margin(self) -> float:
        """Two standard errors."""
        return 2 / math.sqrt(self.n)

    @property
    def verdict(self) -> str:
        """What the number allows to say."""
        if self.r is None:
            return self.why
        if self.r + self.margin < 0:
            return "look at this check: those who pass it do worse elsewhere"
        return "tells students apart" if self.r > self.margin else "may be chance"


def exercise_figures(course: Course) -> list[ExerciseFigures]:
    """The figures of every exercise, in the order of the course."""
    found: list[ExerciseFigures] = []
    lent = Counter(piece for result in course.results.values() for piece in lent_to(result))
    for id in ids(course):
        given = [result.exercises[id] for result in course.results.values() if id in result.exercises]
        seconds = [each.seconds for each in given if each.seconds > 0]
        ideas = Counter(idea_name(id, each.idea) for each in given if each.idea)
        found.append(
            ExerciseFigures(
                id,
                title_of(id, given[0].piece),
                len(given),
                Counter(each.outcome for each in given),
                sorted(ideas.items(), key=lambda pair: (-pair[1], pair[0])),
                (statistics.median(seconds), max(seconds)) if seconds else None,
                lent[given[0].piece],
            )
        )
    return found


def lent_to(result: StudentResult) -> set[str]:
    """The pieces that stood in for one student's."""
    return {piece for each in result.exercises.values() for piece in each.lent}


def ids(course: Course) -> list[str]:
    """All exercises of the class, set by set, each set in the order of its numbers."""
    found = {id for result in course.results.values() for id in result.exercises}
    return sorted(found, key=lambda id: (course.sets.index(id.split(".")[0]), numbered(id)))


def numbered(id: str) -> tuple[int, str]:
    last = id.rpartition(".")[2]
    return (int(last), id) if last.isdecimal() else (0, id)


def check_figures(course: Course) -> list[CheckFigures]:
    """The figures of every check of an exercise, among those who tried it."""
    found: list[CheckFigures] = []
    for id in ids(course):
        tried = [
            (student, result.exercises[id])
            for student, result in course.results.items()
            if id in result.exercises and result.exercises[id].tests and was_tried(result.exercises[id])
        ]
        for name in dict.fromkeys(test.name for _, each in tried for test in each.tests):
            asked = [
                (student, test.passed) for student, each in tried for test in each.tests if test.name == name
            ]
            passed = [success for _, success in asked]
            r, why = discrimination(passed, [rest(course, student, id) for student, _ in asked])
            found.append(CheckFigures(id, name, len(asked), sum(passed), r, why))
    return found


def was_tried(each: ExerciseResult) -> bool:
    return each.outcome not in (Outcome.NOT_ATTEMPTED, Outcome.NOT_GRADED)


def rest(course: Course, student: str, id: str) -> float:
    """A student's share of the points outside one exercise."""
    others = [each for each in course.results[student].exercises.values() if each.id != id]
    most = sum(each.out_of for each in others)
    return sum(each.points for each in others) / most if most else 0.0


def discrimination(passed: Sequence[bool], rest: Sequence[float]) -> tuple[float | None, str]:
    """The point-biserial correlation of passing with the rest, or None and why there is none."""
    n, yes = len(passed), sum(passed)
    if n < ENOUGH:
        return None, f"too few to tell (n = {n})"
    if min(yes, n - yes) < EITHER:
        side = "failed" if yes > n - yes else "passed"
        return None, f"too few {side} ({min(yes, n - yes)}) to tell"
    spread = statistics.pstdev(rest)
    if spread < 1e-9:
        return None, "all have the same points elsewhere"
    higher = statistics.fmean(value for value, success in zip(rest, passed, strict=True) if success)
    lower = statistics.fmean(value for value, success in zip(rest, passed, strict=True) if not success)
    share = yes / n
    return (higher - lower) / spread * math.sqrt(share * (1 - share)), ""


def histogram(shares: Iterable[float], bins: int = 10) -> list[int]:
    """How many shares of 0 to 1 lie in each of so many equal parts; 1 counts to the last."""
    counts = Counter(min(bins - 1, max(0, int(share * bins + 1e-9))) for share in shares)
    return [counts[place] for place in range(bins)]
