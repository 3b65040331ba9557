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


def one_another_and_the_first_again(exercise: Exercise, seed: int) -> list[Call]:
    one, other, *_ = values_only(new_calls(exercise, seed))
    return [one, other, one]


def double_and_single(exercise: Exercise, seed: int) -> list[Call]:
    """The same question in two precisions."""
    call = next(filter(is_double, values_only(new_calls(exercise, seed))))
    return [call, replace(call, arguments=tuple(map(single, call.arguments)), weights=single(call.weights))]


@pytest.mark.asks(calls=one_another_and_the_first_again)
@pytest.mark.parametrize("id", ALL)
def test_nothing_is_remembered(id: str, ask: Student, questions: list[Call]) -> None:
    """The same question gets the same answer, also after another."""
    first, _, again = ask_all(ask, questions)
    for before, after in zip(outputs(first), outputs(again), strict=True):
        assert before.dtype == after.dtype
        torch.testing.assert_close(after, before)


@pytest.mark.asks(calls=double_and_single)
@pytest.mark.parametrize("id", WITH_TENSORS)
def test_single_precision_is_a_rounding_of_double(id: str, ask: Student, questions: list[Call]) -> None:
    for wide, narrow in zip(*map(outputs, ask_all(ask, questions)), strict=True):
        torch.testing.assert_close(narrow.double(), wide.double(), rtol=1e-3, atol=1e-4)


def values_only(calls: list[Call]) -> list[Call]:
    """The calls without a wish for gradients."""
    return [replace(call, want=None) for call in calls]


def is_double(call: Call) -> bool:
    parts = [
        part for value in call.arguments for part in (value.values() if isinstance(value, dict) else [value])
    ]
    return any(isinstance(part, Tensor) and part.dtype == torch.float64 for part in parts)
