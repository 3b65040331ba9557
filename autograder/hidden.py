"""The hidden check of an exercise, for instructors; the student kit goes without.

    confirm("ps1.1", info_nce)        the exercise's points, or 0

The check under an exercise asks what is recorded. Here the reference stands by, so the questions are new every time, and
an answer that was learned by heart does not help.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autograder.banks import answers, bank
from autograder.checks import exercise
from autograder.checks.exercise import SLOPE_TOLERANCE, Exercise, Status, Verdict
from autograder.checks.inputs import numbers
from autograder.notebook import Points
from autograder.student import Answer, Call, Local, Student, ask_all

CASES = 2  # times the exercise's own number of calls


def word_tables(rng: np.random.Generator) -> list[Call]:
    """Tables of other sizes: the exercise's own calls hold nothing random."""
    sizes = zip(rng.integers(10, 40, size=4), rng.integers(2, 20, size=4), strict=True)
    return [Call("sinusoidal_encoding", (int(length), 2 * int(pairs))) for length, pairs in sizes]


def larger_batches(rng: np.random.Generator) -> list[Call]:
    """Sizes that no visible check has: a gradient that is written out for small ones is found."""
    size = int(rng.integers(9, 24))
    return [*exercise("ps1.2").cases(rng), Call("info_nce_gradient", (numbers(rng, size, size),))]


OTHER_CASES: dict[str, Callable[[np.random.Generator], list[Call]]] = {
    "ps1.2": larger_batches,
    "ps2.1": word_tables,
}


def confirm(id: str, piece: Any, seed: int | None = None) -> Points:
    """Is this piece right on inputs that nobody has seen? Its points if so, else 0.

    seed: asks the same questions at every call; None asks new ones. Raises UserError for an id that is none.
    """
    each = exercise(id)
    verdict = judge(each, Local({each.piece: piece}), seed)
    return Points(each.points if verdict.status is Status.RIGHT else 0, verdict)


def judge(each: Exercise, student: Student, seed: int | None = None) -> Verdict:
    """New questions first, then the visible check, whose words win: it can name the idea that was missed."""
    passed = answers_new_questions(each, student, seed)
    verdict = each.judge(student)
    if passed or verdict.status is not Status.RIGHT:
        return verdict
    return Verdict(Status.WRONG, unseen(each), "hidden")


def unseen(each: Exercise) -> str:
    """What a student is told when only a hidden check fails: no input, no expected value."""
    return (
        f"{each.id} {each.title}: not yet. It passes the check in the notebook, but fails on inputs that this check does "
        "not hold. Does it work for every input, or only for those that were tried?"
    )


def answers_new_questions(each: Exercise, student: Student, seed: int | None) -> bool:
    """Whether values and gradients are those of the reference, for new random calls."""
    calls = new_calls(each, seed)
    for answer, right in zip(ask_all(student, calls), answers(each, bank(each.id).right, calls), strict=True):
        if answer.failure or answer.changed or not each.same(answer, right):
            return False
        if not same_gradients(answer, right):
            return False
    return True


def new_calls(each: Exercise, seed: int | None) -> list[Call]:
    rng = np.random.default_rng(seed)
    cases = OTHER_CASES.get(each.id, each.cases)
    return [call for _ in range(CASES) for call in cases(rng)]


def same_gradients(answer: Answer, right: Answer) -> bool:
    """Whether gradients agree; none at all counts as zero."""
    return all(
        torch.allclose(filled(answer.gradients.get(name), found), found, SLOPE_TOLERANCE, SLOPE_TOLERANCE)
        for name, found in right.gradients.items()
        if found is not None
    )


def filled(found: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if found is None else found
