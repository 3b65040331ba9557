"""What a regrade would change, worked out aside: nothing that is graded is touched."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from autograder.batch import Wish, grade, read_results, secret_file
from autograder.results import StudentResult
from idc.errors import UserError


def regrade_aside(wish: Wish, place: Path) -> list[StudentResult]:
    """The results as they would be, in the empty folder `place`. Only what changed is graded again.

    The questions are those of `wish.out`: its secret is used, and must be there. Raises UserError as `grade` does.
    """
    secret = secret_file(wish)
    if not secret.is_file():
        raise UserError(
            f"{secret} is missing: without the course's secret everybody would be asked other questions. "
            "Give it with --secret, or name the right folder with --against."
        )
    shutil.copytree(wish.out / "results", place / "results", dirs_exist_ok=True)
    grade(replace(wish, out=place, settings=replace(wish.settings, secret=str(secret))))
    return read_results(place)


def reweighted(results: Sequence[StudentResult], points: Mapping[str, float]) -> list[StudentResult]:
    """The results with other points for exercises; a share of the old points is the same share of the new ones.

    Raises UserError for an exercise that was not graded.
    """
    known = {id for result in results for id in result.exercises}
    if unknown := sorted(points.keys() - known):
        raise UserError(f"no result holds an exercise “{unknown[0]}”; there are {', '.join(sorted(known))}.")
    return [
        result.model_copy(
            update={
                "exercises": {
                    id: each.model_copy(
                        update={"points": each.points * points[id] / each.out_of, "out_of": points[id]}
                    )
                    if id in points
                    else each
                    for id, each in result.exercises.items()
                },
                "key": "",
            }
        )
        for result in results
    ]


def read_points(words: Sequence[str]) -> dict[str, float]:
    """“ps1.1=4” as points by exercise. Raises UserError for what is none."""
    found: dict[str, float] = {}
    for word in words:
        id, _, number = word.partition("=")
        try:
            found[id.strip()] = float(number)
        except ValueError:
            raise UserError(f"“{word}” gives no points; write it as ps1.1=4") from None
        if not 0 < found[id.strip()] < float("inf"):
            raise UserError(f"“{word}” gives no points; they must be more than 0.")
    return found
