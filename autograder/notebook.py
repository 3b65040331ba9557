"""What a notebook says to its student: check, hint, explain, mine."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

from autograder.checks import exercise, exercise_of
from autograder.checks.exercise import Status, Verdict
from autograder.student import Local
from idc.errors import UserError

SIGN = {Status.RIGHT: "✓", Status.NOT_ATTEMPTED: "○", Status.WRONG: "✗"}
COLOR = {Status.RIGHT: "#0b6e4f", Status.NOT_ATTEMPTED: "#555555", Status.WRONG: "#b34700"}
solved: set[str] = set()  # exercises that were right in this session


class Points(float):
    """The points of an answer, shown as what is to be said about it.

    nbgrader reads the number, a person the sentence.
    """

    verdict: Verdict

    def __new__(cls, value: float, verdict: Verdict) -> Points:
        points = super().__new__(cls, value)
        points.verdict = verdict
        return points

    def __str__(self) -> str:
        return f"{SIGN[self.verdict.status]} {self.verdict.message}"

    def _repr_html_(self) -> str:
        return note(f"{SIGN[self.verdict.status]} {self.verdict.message}", COLOR[self.verdict.status])


class Note(str):
    """A text that a notebook shows as a paragraph."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return note(self, "#0b5cad")

    def __repr__(self) -> str:
        return str(self)


def note(text: str, color: str) -> str:
    """A paragraph with a coloured edge; `code` is marked."""
    safe = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))
    style = f"border-left: 4px solid {color}; padding: 0.4em 0.8em; max-width: 50em; line-height: 1.45"
    return f'<div style="{style}">{safe}</div>'


def check(id: str, piece: Any) -> Points:
    """Is this piece right? If not, which idea was missed?

    id: of the exercise, e.g. "ps1.1". piece: your function or class. Takes less than a second. The value is the number
    of points: those of the exercise if it is right, else 0. Raises UserError for an id that is none.
    """
    each = exercise(id)
    verdict = each.judge(Local({each.piece: piece}))
    if verdict.status is Status.RIGHT:
        solved.add(id)
        verdict = Verdict(verdict.status, f'{verdict.message} explain("{id}") tells what to take along.')
    return Points(each.points if verdict.status is Status.RIGHT else 0, verdict)


def hint(id: str, number: int = 1) -> Note:
    """A hint, from a gentle one (1) to nearly the answer (3)."""
    each = exercise(id)
    if number not in (1, 2, 3):
        raise UserError(f"there are hints 1, 2 and 3 for {id}, not {number!r}.")
    more = f' (hint("{id}", {number + 1}) says more.)' if number < 3 else ""
    return Note(f"Hint {number} of 3. {each.hints[number - 1]}{more}")


def explain(id: str) -> Note:
    """What to take along from an exercise; shown once it is right."""
    each = exercise(id)
    if id not in solved:
        return Note(f'First make {id} right: run its check above. hint("{id}") helps to begin.')
    return Note(each.explanation)


def mine(name: str, piece: Any = None) -> Any:
    """Your own piece if it is right, otherwise the library's, so that a missing piece never blocks the next one.

    piece: your function or class; None looks for it in the notebooks of the other problem sets beside this one. Says
    which one it took.
    """
    import idc.pieces

    each = exercise_of(name)
    if each is None or name not in idc.pieces.__all__:
        raise UserError(f"there is no piece “{name}”; there are {', '.join(idc.pieces.__all__)}.")
    if piece is None:
        piece = found_elsewhere(name, each.set)
    if piece is not None and each.judge(Local({name: piece})).status is Status.RIGHT:
        say(f"`{name}`: yours, from {each.id}.", COLOR[Status.RIGHT])
        return piece
    library = getattr(idc.pieces, name)
    if (
        each.judge(Local({name: library})).status is not Status.RIGHT
    ):  # the student kit leaves it to the student
        say(
            f"`{name}` is missing or not right yet ({each.id}). Cells below that call it will stop; checks that do not need "
            "it work all the same.",
            COLOR[Status.WRONG],
        )
        return library if piece is None else piece
    say(
        f"`{name}`: the library's, because yours ({each.id}) is missing or not right yet. What you write from here on is "
        "checked all the same.",
        COLOR[Status.WRONG],
    )
    return library


def found_elsewhere(name: str, set: str) -> Any:
    """A piece from the folder of its problem set beside this one; None where it has none."""
    from autograder.submission import read_own

    home = next((each for each in sorted(Path.cwd().parent.glob(f"{set}_*")) if each.is_dir()), None)
    try:
        return read_own(home).pieces.get(name) if home else None
    except UserError as error:  # a broken notebook must not stop this one
        say(str(error), COLOR[Status.WRONG])
        return None


def say(text: str, color: str) -> None:
    """Show a paragraph; outside a notebook print it."""
    try:
        shell = get_ipython()  # type: ignore[name-defined]
    except NameError:
        shell = None
    if shell is None:
        print(text)
        return
    from IPython.display import HTML, display

    display(HTML(note(text, color)))
