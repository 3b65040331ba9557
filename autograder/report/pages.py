"""What all pages share: their words and signs, their style, and the frame around them.

Every page is one file that asks for nothing else. A content security policy allows its own style sheet, by its hash, and
nothing more: no script, no picture, no form, no address. Templates escape whatever is put into them.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from autograder.checks import SETS, exercises
from autograder.checks.exercise import Exercise
from autograder.report.text import few, legible, line, marked, moment, number, plural
from autograder.results import Outcome

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Word:
    """How an outcome is shown. kind: its colour. meaning: for the student, where the exercise's own message may not say."""

    sign: str
    name: str
    kind: str
    meaning: str = ""


WORDS = {
    Outcome.RIGHT: Word("✓", "right", "right"),
    Outcome.WRONG: Word("✗", "not yet", "wrong"),
    Outcome.NOT_ATTEMPTED: Word("○", "not attempted", "empty"),
    Outcome.STOPPED: Word(
        "■",
        "stopped",
        "wrong",
        "Your code was stopped here: it ended its own process, or asked for more time, memory or processes than there are. "
        "Your other exercises were graded all the same.",
    ),
    Outcome.TAMPERED: Word(
        "!",
        "no answer",
        "wrong",
        "Something other than an answer came back from your code, so it earned nothing. If that surprises you, talk to your "
        "instructor, who sees it too.",
    ),
    Outcome.NOT_GRADED: Word(
        "?",
        "not graded yet",
        "empty",
        "The grader failed here, not you. Your instructor sees this and will grade it again.",
    ),
}


@cache
def style() -> str:
    return (TEMPLATES / "style.css").read_text(encoding="utf-8")


@cache
def policy() -> str:
    """The content security policy: nothing but the one style sheet within the page."""
    digest = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


@cache
def environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(
        few=few, legible=legible, line=line, marked=marked, moment=moment, number=number, plural=plural
    )
    made.globals.update(style=Markup(style()), policy=policy(), words=WORDS, Outcome=Outcome)
    return made


def page(template: str, **values: object) -> str:
    """A page; every text in `values` is escaped where it is put in."""
    return environment().get_template(template).render(**values)


def exercise_of(id: str) -> Exercise | None:
    """An exercise; None for one that only a person or another part of the grader judges, as in problem set 6."""
    return exercises().get(id)


def title_of(id: str, piece: str) -> str:
    known = exercise_of(id)
    return known.title if known else piece


def set_title(set: str) -> str:
    """“Problem set 1”."""
    digits = set.removeprefix("ps")
    return f"Problem set {digits}" if set != digits else set


def notebook_of(set: str) -> str:
    folder = SETS.get(set, set)
    return f"{folder}/{folder}.ipynb"


def idea_name(id: str, key: str) -> str:
    """What an idea is called; its key where nobody knows it."""
    known = exercise_of(id)
    if known is None or not key:
        return key
    try:
        return known.idea(key).name
    except KeyError:
        return key


def anchor(id: str) -> str:
    """The name of an exercise's place on a page."""
    return "".join(each if each.isalnum() else "-" for each in id)
