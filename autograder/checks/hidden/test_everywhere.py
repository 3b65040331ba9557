"""What every right piece does, whatever it computes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from autograder.checks import exercises
from autograder.checks.exercise import Exercise
from autograder.hidden import new_calls
from autograder.student import Answer, Call, Student, ask_all

ALL = [pytest.param(id, marks=pytest.mark.exercise(id)) for id in exercises()]
WITH_TENSORS = [each for each in ALL if each.values != ("ps2.1",)]


def outputs(answer: Answer) -> list[Tensor]:
    assert answer.failure is None, answer.failure
    return list(answer.outputs.values())


def single(value: Any) -> Any:
    """A value in single precision."""
    if isinstance(value, dict):
        return {name: single(part) for name, part in value.items()}
    return value.float() if isinstance(value, Tensor) and value.is_floating_point() else value


@pytest.mark.parametrize("id", ALL)
def test_nothing_is_remembered(id: str, exercise: Exercise, ask: Student, seed: int) -> None:
    """The same question gets the same answer, also after another."""
    one, other, *_ = [replace(call, want=None) for call in new_calls(exercise, seed)]
    first, _, again = ask_all(ask, [one, other, one])
    for before, after in zip(outputs(first), outputs(again), strict=True):
        assert before.dtype == after.dtype
        torch.testing.assert_close(after, before)


@pytest.mark.parametrize("id", WITH_TENSORS)
def test_single_precision_is_a_rounding_of_double(
    id: str, exercise: Exercise, ask: Student, seed: int
) -> None:
    calls = [replace(call, want=None) for call in new_calls(exercise, seed)]
    call = next(call for call in calls if is_double(call))
    rounded = replace(call, arguments=tuple(map(single, call.arguments)), weights=single(call.weights))
    for wide, narrow in zip(*map(outputs, ask_all(ask, [call, rounded])), strict=True):
        torch.testing.assert_close(narrow.double(), wide.double(), rtol=1e-3, atol=1e-4)


def is_double(call: Call) -> bool:
    parts = [
        part for value in call.arguments for part in (value.values() if isinstance(value, dict) else [value])
    ]
    return any(isinstance(part, Tensor) and part.dtype == torch.float64 for part in parts)
