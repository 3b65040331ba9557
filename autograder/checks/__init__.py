"""The exercises, by id. What is here is all that a student gets: no solution is needed to judge one."""

from __future__ import annotations

import difflib
from functools import cache

from autograder.checks.exercise import Exercise
from idc.errors import UserError

SETS = {
    "ps1": "ps1_infonce",
    "ps2": "ps2_positions",
    "ps3": "ps3_attention",
    "ps4": "ps4_scorer",
    "ps5": "ps5_cbr",
    "ps6": "ps6_train",
}  # problem set -> its folder


@cache
def exercises() -> dict[str, Exercise]:
    """All exercises that a machine can judge, in the order of the course."""
    from autograder.checks import ps1, ps2, ps3, ps4, ps5

    found = [each for module in (ps1, ps2, ps3, ps4, ps5) for each in module.EXERCISES]
    return {each.id: each for each in found}


def exercise(id: str) -> Exercise:
    """An exercise. Raises UserError for an id that is none, with the nearest."""
    if id in exercises():
        return exercises()[id]
    near = difflib.get_close_matches(str(id), exercises(), n=1)
    way = f"did you mean “{near[0]}”?" if near else f"there are {', '.join(exercises())}."
    raise UserError(f"there is no exercise “{id}”; {way}")


def exercise_of(piece: str) -> Exercise | None:
    """The exercise in which a piece is written, None if there is none."""
    return next((each for each in exercises().values() if each.piece == piece), None)
