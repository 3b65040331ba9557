"""What proves the exercises: for each the reference, known wrong implementations and honest alternatives.

For instructors only; the student kit goes without. `python -m autograder.banks` records the answers that the checks
compare with, `bank("ps1.1")` gives one.
"""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import Any

import numpy as np

from autograder.checks import exercise, exercises
from autograder.checks.exercise import Bank, Exercise
from autograder.checks.records import Record
from autograder.student import Answer, Call, Local
from idc.errors import UserError

CANARY = "what is proven here no student kit may hold: brass-wren-7421"


def bank(id: str) -> Bank:
    """What proves an exercise."""
    module = importlib.import_module(f"autograder.banks.{exercise(id).set}")
    return module.BANKS[id]


def record(id: str) -> list[Record]:
    """Ask the right and the wrong pieces; the answers are those that a check compares with.

    Kept are wrong answers that differ from the right one and are the same at every asking. Raises UserError when two
    wrong pieces answer alike, so that no check could tell them apart.
    """
    each, proof = exercise(id), bank(id)
    calls = each.cases(np.random.default_rng(sum(map(ord, id))))
    right = answers(each, proof.right, calls)
    assert all(answer.failure is None for answer in right), [answer.failure for answer in right]
    wrong: dict[str, list[Answer]] = {}
    for key, piece in proof.wrong.items():
        each.idea(key)
        found = answers(each, piece, calls)
        again = answers(each, piece, [replace(call, seed=1) for call in calls])
        if any(answer.failure for answer in found) or alike(each, found, right):
            continue
        if alike(each, found, again):
            for other, theirs in wrong.items():
                if alike(each, found, theirs):
                    raise UserError(
                        f"{id}: the cases cannot tell the mistakes “{key}” and “{other}” apart; add cases."
                    )
            wrong[key] = found
    return [
        Record(call, right[place], {key: found[place] for key, found in wrong.items()})
        for place, call in enumerate(calls)
    ]


def answers(each: Exercise, piece: Any, calls: list[Call]) -> list[Answer]:
    student = Local({each.piece: piece})
    return [student(call) for call in calls]


def alike(each: Exercise, first: list[Answer], second: list[Answer]) -> bool:
    return all(each.same(one, Answer(each.arranged(other))) for one, other in zip(first, second, strict=True))


def ids() -> list[str]:
    return list(exercises())
