"""A graded class: its results with deadlines, names and what is late, as every report needs them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from autograder.checks import SETS, exercises
from autograder.intake import identify
from autograder.report.late import Lateness, Policy, lateness, no_penalty
from autograder.results import StudentResult
from idc.errors import UserError


@dataclass(frozen=True)
class Person:
    """A student as the roster has them."""

    id: str
    last_name: str = ""
    first_name: str = ""
    email: str = ""

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip() or self.id

    @property
    def sortable(self) -> str:
        return ", ".join(filter(None, (self.last_name, self.first_name))) or self.id


@dataclass(frozen=True)
class Course:
    """results: by student. sets: in the order of the course. most: points by set. late: by student and set.

    roster: by the id that a student is listed under. students: those with a result and those of the roster, sorted.
    """

    results: Mapping[str, StudentResult]
    sets: tuple[str, ...]
    most: Mapping[str, float]
    due: Mapping[str, datetime]
    policy: Policy
    late: Mapping[str, Mapping[str, Lateness]]
    roster: Mapping[str, Person]
    students: tuple[str, ...]

    def person(self, student: str) -> Person:
        return self.roster.get(student) or Person(student)

    def final(self, student: str, set: str) -> float:
        """A student's points of a set, after what being late costs."""
        if student not in self.results:
            return 0.0
        return max(0.0, self.results[student].score(set) - self.late[student][set].penalty)

    def total(self, student: str) -> float:
        return sum(self.final(student, set) for set in self.sets)

    @property
    def out_of(self) -> float:
        return sum(self.most.values())


def of_class(
    results: Sequence[StudentResult],
    due: Mapping[str, datetime] | None = None,
    policy: Policy = no_penalty,
    roster: Mapping[str, Person] | None = None,
) -> Course:
    """The class of these results. Raises UserError when two results belong to one student."""
    by_student: dict[str, StudentResult] = {}
    for result in sorted(results, key=lambda each: each.student):
        if result.student in by_student:
            raise UserError(
                f"there are two results of the student “{result.student}”; keep one of the hand-ins and grade again."
            )
        by_student[result.student] = result
    people = {
        person.id if person.id in by_student else listed_as(person.id): person
        for person in (roster or {}).values()
    }
    sets = sets_of(by_student.values())
    if unknown := sorted((due or {}).keys() - {*sets, *SETS}):
        raise UserError(
            f"there is a deadline for {', '.join(unknown)}, but there are the sets {', '.join(SETS)}."
        )
    most = {set: most_points(by_student.values(), set) for set in sets}
    return Course(
        by_student,
        sets,
        most,
        dict(due or {}),
        policy,
        {
            student: lateness(policy, due or {}, result.handed_in, {set: result.score(set) for set in sets})
            for student, result in by_student.items()
        },
        people,
        tuple(sorted({*by_student, *people})),
    )


def sets_of(results: Collection[StudentResult]) -> tuple[str, ...]:
    """The problem sets of these results; all that a machine can judge where nothing at all was graded."""
    found = {id.split(".")[0] for result in results for id in result.exercises}
    found = found or {each.set for each in exercises().values()}
    known = [set for set in SETS if set in found]
    return (*known, *sorted(found - set(known)))


def listed_as(name: str) -> str:
    """The id of a student whose folder has this name: the name itself where it is safe, as autograder.intake has it."""
    found, id, _ = identify(Path("nowhere", name))
    return id if found == name else name


def most_points(results: Collection[StudentResult], set: str) -> float:
    """The points that a set has, the same for everybody, also for those whose hand-in could not be read."""
    found = [result.max_score(set) for result in results]
    return max([*found, 0.0]) or float(sum(each.points for each in exercises().values() if each.set == set))
