"""What a regrade would change: whose score would move, by how much, and why. Nothing is published by looking."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from autograder.report.course import Course, of_class
from autograder.report.figures import ids
from autograder.report.pages import WORDS, idea_name, page, title_of
from autograder.report.text import line, number, plural
from autograder.results import ExerciseResult, StudentResult


@dataclass(frozen=True)
class Change:
    """An exercise of one student before and after; None where there was or is no result."""

    id: str
    before: ExerciseResult | None
    after: ExerciseResult | None

    @property
    def by(self) -> float:
        return (self.after.points if self.after else 0.0) - (self.before.points if self.before else 0.0)

    @property
    def why(self) -> str:
        """Both sides in words: outcome, first check that failed, idea that was missed."""
        return f"{side(self.id, self.before)} → {side(self.id, self.after)}"


@dataclass(frozen=True)
class Move:
    """A student whose results change."""

    student: str
    before: float
    after: float
    changes: tuple[Change, ...]
    remark: str = ""

    @property
    def by(self) -> float:
        return self.after - self.before


def side(id: str, result: ExerciseResult | None) -> str:
    if result is None:
        return "no result"
    word = WORDS[result.outcome]
    more = [f"first failed: {result.check}"] if result.check else []
    more += [f"idea: {idea_name(id, result.idea)}"] if result.idea else []
    return f"{word.sign} {word.name}" + (f" ({'; '.join(more)})" if more else "")


def moves(before: Sequence[StudentResult], after: Sequence[StudentResult]) -> list[Move]:
    """Everybody whose results change, those who move most first."""
    old, new = of_class(before), of_class(after)
    found = [move(student, old, new) for student in sorted({*old.results, *new.results})]
    changed = [each for each in found if each.changes or each.remark]
    return sorted(changed, key=lambda each: (-abs(each.by), each.student))


def move(student: str, old: Course, new: Course) -> Move:
    first, second = old.results.get(student), new.results.get(student)
    order = dict.fromkeys([*ids(old), *ids(new)])
    changes = []
    for id in order:
        change = Change(
            id,
            first.exercises.get(id) if first else None,
            second.exercises.get(id) if second else None,
        )
        if differs(change.before, change.after):
            changes.append(change)
    remark = ""
    if first is None or second is None:
        remark = (
            "only in the new results" if first is None else "only in the old results: would lose everything"
        )
    elif first.error != second.error:
        remark = f"error before: {first.error or 'none'}; after: {second.error or 'none'}"
    elif first.key and first.key == second.key and changes:
        remark = (
            "the same code, checks and environment gave another result: look at the grader before you publish"
        )
    return Move(
        student,
        first.score() if first else 0.0,
        second.score() if second else 0.0,
        tuple(changes),
        remark,
    )


def differs(before: ExerciseResult | None, after: ExerciseResult | None) -> bool:
    """Whether an exercise counts otherwise; another message alone is no change."""
    if before is None or after is None:
        return before is not after
    return (before.points, before.out_of, before.outcome) != (after.points, after.out_of, after.outcome)


def summary(before: Sequence[StudentResult], after: Sequence[StudentResult], found: Sequence[Move]) -> str:
    """One sentence."""
    up, down = sum(each.by > 0 for each in found), sum(each.by < 0 for each in found)
    everybody = len({each.student for each in (*before, *after)})
    return (
        f"Of {plural(everybody, 'student')}, {up} would gain and {down} would lose points; "
        f"{everybody - up - down} would keep their score. Nothing has been published."
    )


def by_exercise(found: Sequence[Move]) -> list[tuple[str, str, int, int]]:
    """For every exercise that changes: its title, how many gain, how many lose."""
    up: Counter[str] = Counter()
    down: Counter[str] = Counter()
    titles: dict[str, str] = {}
    for each in (change for one in found for change in one.changes):
        known = each.after or each.before
        assert known is not None
        titles[each.id] = title_of(each.id, known.piece)
        up[each.id] += each.by > 0
        down[each.id] += each.by < 0
    return [(id, titles[id], up[id], down[id]) for id in sorted(titles)]


def signed(value: float) -> str:
    return f"+{number(value)}" if value > 0 else number(value)


def preview_page(before: Sequence[StudentResult], after: Sequence[StudentResult]) -> str:
    """The page of a regrade that has not been published. For instructors: it names checks."""
    found = moves(before, after)
    return page(
        "preview.html",
        title="Regrade preview",
        summary=summary(before, after, found),
        moves=found,
        exercises=by_exercise(found),
        signed=signed,
        side=side,
    )


def preview_text(before: Sequence[StudentResult], after: Sequence[StudentResult]) -> str:
    """The same for a terminal."""
    found = moves(before, after)
    lines = [summary(before, after, found)]
    for each in found:
        total = f"{number(each.before)} → {number(each.after)}"
        lines.append(f"{line(each.student, 40):24} {total:>16}  {signed(each.by):>6}")
        if each.remark:
            lines.append(f"    {line(each.remark, 300)}")
        lines += [
            f"    {line(change.id, 20):8} {signed(change.by):>4}  {line(change.why, 400)}"
            for change in each.changes
        ]
    return "\n".join(lines) + "\n"
