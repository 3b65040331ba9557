"""What the instructor reads about a class: how it went, where it hurt, who and what needs a look."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from autograder.report.course import Course
from autograder.report.figures import METHOD, check_figures, exercise_figures, histogram, ids
from autograder.report.late import explained
from autograder.report.pages import anchor, page, set_title
from autograder.report.text import file_names, moment, plural
from autograder.results import Outcome, StudentResult

WEAK = {  # isolation that is less than it should be
    "none": "student code ran without any wall around it: it could read and change whatever the grader can",
    "uid": "student code ran as another user of this machine, with the network and other people's readable files in reach",
}
ODD = {
    Outcome.TAMPERED: "something other than an answer came back",
    Outcome.STOPPED: "the process was stopped",
    Outcome.NOT_GRADED: "the grader failed: grade it again",
}


def class_page(course: Course, remarks: Sequence[str] = ()) -> str:
    """The page of the class. remarks: what else the instructor must hear, e.g. about Canvas."""
    results = course.results
    names = file_names(results)
    totals = {student: course.total(student) for student in results}
    return page(
        "class.html",
        title="Class report",
        course=course,
        results=results,
        people={student: course.person(student) for student in course.students},
        links={student: f"feedback/{quote(name)}.html" for student, name in names.items()},
        absent=[student for student in course.students if student not in results],
        totals=totals,
        ordered=sorted(results, key=lambda student: (course.person(student).sortable.casefold(), student)),
        lowest=sorted(results, key=lambda student: (totals[student], student)),
        median=statistics.median(totals.values()) if totals else 0.0,
        bars=histogram(total / course.out_of if course.out_of else 0.0 for total in totals.values()),
        columns=[(id, anchor(id), starts) for id, starts in with_starts(ids(course))],
        exercises=exercise_figures(course),
        checks=check_figures(course),
        method=METHOD,
        looks={student: found for student, result in results.items() if (found := looks(result))},
        late={student: told for student in results if (told := late(course, student))},
        unknown=unknown(course),
        policy_text=explained(course.policy),
        walls=walls(results),
        remarks=remarks,
        noted_students=[student for student, result in results.items() if result.notes],
        plural=plural,
        set_title=set_title,
        anchor=anchor,
    )


def with_starts(ids: Sequence[str]) -> list[tuple[str, bool]]:
    """The exercises, each with whether it is the first of its set."""
    sets = [id.split(".")[0] for id in ids]
    return [(id, place == 0 or sets[place - 1] != sets[place]) for place, id in enumerate(ids)]


def walls(results: Mapping[str, StudentResult]) -> list[tuple[str, int, str]]:
    """Every weak isolation that was used, for how many students, and what it means."""
    counts = Counter(result.isolation for result in results.values())
    return [(kind, counts[kind], meaning) for kind, meaning in WEAK.items() if counts[kind]]


def looks(result: StudentResult) -> list[tuple[str, str]]:
    """What an instructor should look at: (exercise or "", what)."""
    found = [("", f"nothing could be graded: {result.error}")] if result.error else []
    found += [("", flag) for flag in result.flags]
    for each in result.exercises.values():
        if each.outcome in ODD:
            found.append((each.id, ODD[each.outcome]))
        found += [(each.id, flag) for flag in each.flags]
    return found


def late(course: Course, student: str) -> list[str]:
    """What a student handed in late, and what it costs."""
    told = []
    for set, each in course.late[student].items():
        came = course.results[student].handed_in.get(set)
        if each.days and came:
            told.append(f"{set}, {moment(came)}: {each.remark}")
    return told


def unknown(course: Course) -> list[str]:
    """Those of whom the time of a set with a deadline is not known."""
    return [
        f"{student} ({', '.join(sets)})"
        for student, found in course.late.items()
        if (sets := [set for set, each in found.items() if each.remark and not each.days])
    ]
