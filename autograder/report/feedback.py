"""What one student reads: what is right, what was missed and where to read about it, and what to do next.

Nothing of the hidden checks is on this page, neither their names nor what they asked nor what they expected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autograder.checks import exercises
from autograder.checks.exercise import COMMON, Exercise
from autograder.report.course import Course, of_class
from autograder.report.example import Example, example
from autograder.report.late import explained
from autograder.report.pages import WORDS, anchor, exercise_of, notebook_of, page, set_title, title_of
from autograder.report.text import plural
from autograder.results import ExerciseResult, Outcome, StudentResult

TO_MEND = (Outcome.WRONG, Outcome.STOPPED, Outcome.TAMPERED)


@dataclass(frozen=True)
class Told:
    """A message in its parts. idea: what was missed, in a few words. read: the heading to read again."""

    idea: str
    text: str
    read: str


def told(result: ExerciseResult) -> Told:
    """The message of a result without what the page says anyway: which exercise it is, and that it is not right yet."""
    known = exercise_of(result.id)
    text = result.message
    if known is None:
        return Told("", text, "")
    starts = (
        f"{known.id} {known.title}: ",
        "not yet. ",
        f"{known.id}: ",
        f"{known.id} is not attempted yet: ",
    )
    for start in starts:
        text = text.removeprefix(start)
    text = text.removesuffix(f' hint("{known.id}") gives a first push.')
    text = text[:1].upper() + text[1:]
    idea = known.ideas.get(result.idea)
    if idea is None:
        before, found, after = text.partition("It looks like this: ")
        name, stop, rest = after.partition(". ")
        return Told(name, rest, "") if found and stop and not before else Told("", text, "")
    text = text.removeprefix("It looks like this: ").removeprefix(f"{idea.name}. ")
    text = text.removesuffix(f" Read “{idea.read}” again.") if idea.read else text
    return Told(idea.name, text, idea.read)


@dataclass(frozen=True)
class Section:
    """An exercise on the page."""

    result: ExerciseResult
    title: str
    known: Exercise | None
    told: Told
    example: Example | None
    lent: str

    @property
    def anchor(self) -> str:
        return anchor(self.result.id)


def section(result: ExerciseResult) -> Section:
    return Section(
        result,
        title_of(result.id, result.piece),
        exercise_of(result.id),
        told(result),
        helpful(result),
        "" if result.outcome is Outcome.NOT_ATTEMPTED else lent(result.lent),
    )


def helpful(result: ExerciseResult) -> Example | None:
    """An input to try where trying helps: small enough to work by hand, or to follow the shapes where no idea is known.

    Mistakes that any exercise can have, such as a gradient that is cut off, do not show in values.
    """
    if result.outcome not in (Outcome.WRONG, Outcome.STOPPED) or result.idea in COMMON:
        return None
    found = example(result.id)
    return found if found and (found.by_hand or not result.idea) else None


def lent(pieces: Sequence[str]) -> str:
    """One sentence about the course's pieces that stood in."""
    if not pieces:
        return ""
    owners = {each.piece: each.id for each in exercises().values()}
    names = [f"`{piece}` ({owners[piece]})" if piece in owners else f"`{piece}`" for piece in pieces]
    listed = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    one = len(names) == 1
    return (
        f"This exercise builds on {listed}. Yours {'was' if one else 'were'} missing or not right, so the course's own "
        "stood in: nobody pays twice for one mistake."
    )


def next_step(results: Mapping[str, ExerciseResult]) -> str:
    """Where to go on: what was tried before what was not, and what others build on before what builds on it."""
    left = [each for each in results.values() if each.outcome in (*TO_MEND, Outcome.NOT_ATTEMPTED)]
    if not left:
        return ""

    def waits(result: ExerciseResult) -> int:
        known = exercise_of(result.id)
        needs = known.needs if known else ()
        return sum(need in results and results[need].outcome is not Outcome.RIGHT for need in needs)

    first = min(left, key=lambda each: (waits(each) > 0, each.outcome is Outcome.NOT_ATTEMPTED))
    known = exercise_of(first.id)
    if known is None:
        return f"Go on with {first.id}."
    others = [each.id for each in exercises().values() if first.id in each.needs and each.id in results]
    based = f" {' and '.join(others)} build{'s' if len(others) == 1 else ''} on it." if others else ""
    return (
        f"Go on with {first.id}, {known.title}: about {known.minutes} minutes, difficulty {known.difficulty} of 5.{based} "
        f'In its notebook, `check("{first.id}", {known.piece})` says at once whether it is right, and `hint("{first.id}")` '
        "helps to begin."
    )


def feedback_page(result: StudentResult, course: Course | None = None, set: str | None = None) -> str:
    """The page of one student. set: one problem set only, e.g. for nbgrader, which has a page for each.

    course: the class, for deadlines and names; without it there are none.
    """
    course = course or of_class([result])
    late = course.late[result.student]
    sets = [
        {
            "name": each,
            "title": set_title(each),
            "notebook": notebook_of(each),
            "sections": [section(one) for one in result.chosen(each)],
            "raw": result.score(each),
            "score": course.final(result.student, each),
            "most": course.most[each],
            "due": course.due.get(each),
            "handed_in": result.handed_in.get(each),
            "late": late[each],
        }
        for each in course.sets
        if set in (None, each)
    ]
    counted = [one.outcome for each in sets for one in result.chosen(str(each["name"]))]
    summary = [(WORDS[outcome], counted.count(outcome)) for outcome in Outcome if outcome in counted]
    costs = any(each.days for name, each in late.items() if set in (None, name))
    return page(
        "feedback.html",
        title=f"Feedback for {course.person(result.student).name}",
        result=result,
        person=course.person(result.student),
        sets=sets,
        summary=summary,
        score=sum(course.final(result.student, each) for each in course.sets if set in (None, each)),
        out_of=sum(course.most[each] for each in course.sets if set in (None, each)),
        next_step=next_step({each.id: each for each in result.chosen(set)}),
        policy_text=explained(course.policy) if costs else "",
        plural=plural,
    )
