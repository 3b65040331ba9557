"""What a late hand-in costs: a small place to plug a policy in.

A policy is a function of (set, due, handed_in, score) that gives the points to take off; both times have a zone. Named by
text it is one of the policies here, or your own from a module of yours:

    no_penalty          nothing, which is the default
    per_day=10          every begun day costs 10 % of the set's score
    slip_days=4         four late days for the whole course; what they do not cover counts nothing
    slip_days=4,20      likewise, but a day that is not covered costs 20 %
    rules:our_policy    the function `our_policy` of rules.py

A day is 24 hours, whatever the clocks do meanwhile. A time without a zone is UTC, as in nbgrader's gradebook. Without a
deadline nothing is late, and a hand-in of unknown time is on time; its student and the class report are told so.
"""

from __future__ import annotations

import importlib
import inspect
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from autograder.report.text import aware, number, plural
from idc.errors import UserError

DAY = timedelta(days=1)
NAMES = "no_penalty, per_day=10, slip_days=4, slip_days=4,20 or your own as module:function"


class Policy(Protocol):
    """What a late hand-in costs, in points between 0 and the score."""

    def __call__(self, set: str, due: datetime, handed_in: datetime, score: float) -> float | None: ...


@dataclass(frozen=True)
class Delivery:
    """A problem set of one student; due and handed_in are None where unknown."""

    set: str
    due: datetime | None
    handed_in: datetime | None
    score: float


@dataclass(frozen=True)
class Lateness:
    """What became of a delivery. days: begun days late. remark: for the student, "" if there is nothing to say."""

    days: int = 0
    penalty: float = 0.0
    remark: str = ""


def days_late(due: datetime, handed_in: datetime) -> int:
    """Begun days after the deadline; 0 on time."""
    return max(0, math.ceil((aware(handed_in) - aware(due)) / DAY))


def no_penalty(set: str, due: datetime, handed_in: datetime, score: float) -> float:
    """A late hand-in costs nothing."""
    return 0.0


@dataclass(frozen=True)
class PerDay:
    """Every begun day costs a share of the score."""

    percent: float

    @property
    def explained(self) -> str:
        return f"Every begun day late costs {number(self.percent)} % of what the set earned."

    def __call__(self, set: str, due: datetime, handed_in: datetime, score: float) -> float:
        return self.after(days_late(due, handed_in), score)

    def after(self, days: int, score: float) -> float:
        return min(1.0, days * self.percent / 100) * score


@dataclass(frozen=True)
class SlipDays:
    """A number of free late days for the whole course, spent where they save most. percent: of a day not covered."""

    total: int
    percent: float = 100.0

    @property
    def explained(self) -> str:
        beyond = (
            "a set that they do not cover counts nothing"
            if self.percent >= 100
            else f"every further day costs {number(self.percent)} % of what the set earned"
        )
        return (
            f"Each student has {plural(self.total, 'slip day')} for the whole course, and {beyond}. They are spent on the "
            "sets where they save the most points, whatever came first; nobody needs to ask for them."
        )

    def __call__(self, set: str, due: datetime, handed_in: datetime, score: float) -> float:
        return PerDay(self.percent).after(max(0, days_late(due, handed_in) - self.total), score)

    def together(self, late: Sequence[Delivery]) -> list[Lateness]:
        """The verdict on all late deliveries of a student at once."""
        days = [days_late(each.due, each.handed_in) for each in late if each.due and each.handed_in]
        spent = self.best(days, [each.score for each in late])
        left = self.total - sum(spent)
        found = []
        for each, over, free in zip(late, days, spent, strict=True):
            penalty = PerDay(self.percent).after(over - free, each.score)
            told = f"{plural(penalty, 'point')} less" if penalty else "this costs nothing"
            remark = f"{plural(over, 'day')} late, {plural(free, 'slip day')} spent on it: {told}."
            found.append(Lateness(over, penalty, f"{remark} {left} of {self.total} slip days left."))
        return found

    def best(self, days: Sequence[int], scores: Sequence[float]) -> list[int]:
        """How many slip days to spend on each late set: those that cost least in points; of equals the fewest days.

        Built up set by set: for every number of days spent so far, the cheapest way.
        """
        ways: dict[int, tuple[float, list[int]]] = {0: (0.0, [])}
        for over, score in zip(days, scores, strict=True):
            found: dict[int, tuple[float, list[int]]] = {}
            for (spent, (cost, way)), free in itertools.product(
                ways.items(), range(min(over, self.total) + 1)
            ):
                whole = round(cost + PerDay(self.percent).after(over - free, score), 9)
                if spent + free <= self.total and whole < found.get(spent + free, (math.inf, []))[0]:
                    found[spent + free] = (whole, [*way, free])
            ways = found
        return min(ways.items(), key=lambda each: (each[1][0], each[0]))[1][1]


def policy(name: Policy | str | None) -> Policy:
    """A policy by its name. Raises UserError for a name that is none."""
    if name is None or name in ("none", "no_penalty"):
        return no_penalty
    if not isinstance(name, str):
        return name
    kind, _, rest = name.partition("=")
    try:
        if kind == "per_day":
            return PerDay(*percents(rest, 1))
        if kind == "slip_days":
            total, *percent = percents(rest, 2)
            return SlipDays(int(total), *percent)
    except (TypeError, ValueError) as error:
        raise UserError(f"“{name}” is no late policy ({error}); there are {NAMES}.") from error
    module, colon, function = name.partition(":")
    if not colon:
        raise UserError(f"“{name}” is no late policy; there are {NAMES}.")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"the late policy “{name}” cannot be found ({error}); give module:function, with the module's folder on "
            "PYTHONPATH or where you start from."
        ) from error
    if not callable(found):
        raise UserError(f"the late policy “{name}” is no function but a {type(found).__name__}.")
    return found


def percents(text: str, most: int) -> list[float]:
    """Numbers between commas. Raises ValueError for what is none, is below 0 or is too much."""
    values = [float(part) for part in text.split(",")]
    if len(values) > most or any(not math.isfinite(value) or value < 0 for value in values):
        raise ValueError(
            f"“{text}” should be {'one number' if most == 1 else 'one or two numbers'}, 0 or more"
        )
    return values


def explained(policy: Policy) -> str:
    """What a policy says about itself: its `explained`, or the first line of its docstring."""
    said = getattr(policy, "explained", None)
    if isinstance(said, str):
        return said
    return (inspect.getdoc(policy) or "").partition("\n")[0]


def settle(policy: Policy, deliveries: Iterable[Delivery]) -> dict[str, Lateness]:
    """What every set of one student costs, by set.

    A policy with a method `together` sees all late deliveries at once, in the order of the course. Raises UserError for
    a policy that fails or gives something else than points between 0 and the score.
    """
    found: dict[str, Lateness] = {}
    late: list[Delivery] = []
    for each in deliveries:
        found[each.set] = Lateness()
        if each.due is None:
            continue
        if each.handed_in is None:
            if each.score > 0:
                found[each.set] = Lateness(
                    remark="It is not known when this was handed in; it counts as on time."
                )
        elif days_late(each.due, each.handed_in):
            late.append(each)
    for each, verdict in zip(late, judged(policy, late), strict=True):
        if not (math.isfinite(verdict.penalty) and -1e-9 <= verdict.penalty <= max(0.0, each.score) + 1e-9):
            raise UserError(
                f"the late policy takes {verdict.penalty} off a score of {each.score} ({each.set}); it should give points "
                "between 0 and the score."
            )
        found[each.set] = verdict
    return found


def judged(policy: Policy, late: Sequence[Delivery]) -> list[Lateness]:
    together = getattr(policy, "together", None)
    return together(late) if together else [alone(policy, each) for each in late]


def alone(policy: Policy, each: Delivery) -> Lateness:
    """A policy's verdict on one late delivery."""
    assert each.due is not None and each.handed_in is not None
    due, handed_in = aware(each.due), aware(each.handed_in)
    days = days_late(due, handed_in)
    try:
        penalty = float(policy(each.set, due, handed_in, each.score) or 0)
    except Exception as error:
        raise UserError(
            f"the late policy failed on {each.set}, due {due}, handed in {handed_in}: {type(error).__name__}: {error}"
        ) from error
    told = f"{plural(penalty, 'point')} less" if penalty else "this costs nothing"
    return Lateness(days, penalty, f"{plural(days, 'day')} late: {told}.")


def read_due(words: Iterable[str]) -> dict[str, datetime]:
    """Deadlines given as “ps1=2026-10-01T23:59+02:00”. Raises UserError for what is none."""
    found: dict[str, datetime] = {}
    for word in words:
        set, equals, time = word.partition("=")
        try:
            found[set] = aware(datetime.fromisoformat(time.replace("Z", "+00:00")))
        except ValueError as error:
            raise UserError(
                f"“{word}” is no deadline ({error}); write for instance ps1=2026-10-01T23:59+02:00, with the zone."
            ) from error
        if not (set and equals):
            raise UserError(f"“{word}” names no problem set; write for instance ps1=2026-10-01T23:59+02:00.")
    return found


def lateness(
    policy: Policy,
    due: Mapping[str, datetime],
    handed_in: Mapping[str, datetime | None],
    scores: Mapping[str, float],
) -> dict[str, Lateness]:
    """What is late of one student, by set."""
    return settle(
        policy, [Delivery(set, due.get(set), handed_in.get(set), score) for set, score in scores.items()]
    )
