"""Odd student code: whatever it gives back or leaves behind, a check says something true and the next one is not changed."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from autograder.banks import bank
from autograder.checks import exercise
from autograder.checks.exercise import Status, Verdict
from autograder.student import Call, Local
from idc.pieces import info_nce


def judged(id: str, piece: Any) -> Verdict:
    return exercise(id).judge(Local({exercise(id).piece: piece}))


def after(change: Callable[[Tensor], Any]) -> Callable[[Tensor], Any]:
    """info_nce with its result changed."""
    return lambda similarity: change(info_nce(similarity))


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (lambda x: (x,), "gives back 1 value; expected was a tensor"),
        (lambda x: [x, x], "gives back 2 values; expected was a tensor"),
        (lambda x: {"loss": x}, "gives back a dict; expected was a tensor"),
        (lambda x: x.item(), "gives back a float; expected was a tensor"),
        (lambda x: (each for each in (x,)), "gives back a generator"),
        (lambda x: x.to("meta"), "lies on meta"),
        (lambda x: x.expand(10**9), "1000000000 numbers"),
        (lambda x: x.to(torch.complex128), "complex numbers"),
        (lambda x: x.long(), "the type of the numbers changes"),
        (lambda x: x.half(), "the type of the numbers changes"),
        (lambda x: torch.tensor([True]).softmax(0), "stopped with RuntimeError"),
    ],
)
def test_a_result_that_the_library_could_not_use_is_wrong(
    result: Callable[[Tensor], Any], words: str
) -> None:
    verdict = judged("ps1.1", after(result))
    assert verdict.status is Status.WRONG
    assert words in verdict.message


def test_a_sparse_result_counts_as_what_it_holds() -> None:
    right = bank("ps1.2").right
    assert judged("ps1.2", lambda similarity: right(similarity).to_sparse()).status is Status.RIGHT


@pytest.mark.parametrize("form", [lambda pair: (*pair, pair[0]), lambda pair: dict(enumerate(pair))])
def test_two_values_are_two_values(form: Callable[[Any], Any]) -> None:
    right = bank("ps3.1").right
    verdict = judged("ps3.1", lambda *parts: form(right(*parts)))
    assert verdict.status is Status.WRONG
    assert "expected was value 1, value 2" in verdict.message


def test_a_dictionary_has_no_fields() -> None:
    right = bank("ps4.3").right

    class Dictionary(right):  # type: ignore[misc, valid-type]
        def forward(self, *parts: Any, **more: Any) -> Any:
            return vars(super().forward(*parts, **more))

    assert "gives back a dict" in judged("ps4.3", Dictionary).message


def test_what_is_set_for_the_process_is_set_back(tmp_path: Path) -> None:
    def careless(similarity: Tensor) -> Tensor:
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002
        torch.manual_seed(1)
        os.chdir(tmp_path)
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        raise SystemExit

    def state() -> list[Any]:
        numbers = np.random.get_state()[1]  # noqa: NPY002
        torch_too = (torch.get_rng_state().tolist(), torch.get_default_dtype(), torch.is_grad_enabled())
        return [random.getstate(), numbers.tolist(), Path.cwd(), *torch_too]  # type: ignore[union-attr]

    before = state()
    assert "SystemExit" in judged("ps1.1", careless).message
    assert state() == before


def test_gradients_are_asked_even_where_none_are_recorded() -> None:
    with torch.no_grad():
        assert judged("ps1.1", info_nce).status is Status.RIGHT


def test_an_error_that_cannot_speak_or_speaks_for_ever_is_still_told() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    def mute(similarity: Tensor) -> Tensor:
        raise Mute

    def endless(similarity: Tensor) -> Tensor:
        raise ValueError("x" * 100_000)

    def silent(similarity: Tensor) -> Tensor:
        raise TypeError

    assert "stopped with Mute." in judged("ps1.1", mute).message
    assert "stopped with TypeError." in judged("ps1.1", silent).message
    assert len(judged("ps1.1", endless).message) < 1000


def test_a_buffer_more_does_no_harm() -> None:
    right = bank("ps3.4").right

    class Scaled(right):  # type: ignore[misc, valid-type]
        def __init__(self, *sizes: Any):
            super().__init__(*sizes)
            self.register_buffer("one", torch.ones(()))

    assert judged("ps3.4", Scaled).status is Status.RIGHT


def test_a_frozen_layer_cuts_the_gradient() -> None:
    right = bank("ps3.4").right

    class Frozen(right):  # type: ignore[misc, valid-type]
        def __init__(self, *sizes: Any):
            super().__init__(*sizes)
            self.query.requires_grad_(False)

    verdict = judged("ps3.4", Frozen)
    assert (verdict.idea, "`query.weight`" in verdict.message) == ("no-gradient", True)


def test_a_property_that_cannot_be_asked_does_not_hold() -> None:
    """Right for all that is recorded, of a type that cannot be compared elsewhere."""
    right = bank("ps1.2").right
    recorded = [len(record.call.arguments[0]) for record in exercise("ps1.2").records()]

    def other_type(similarity: Tensor) -> Tensor:
        return right(similarity).to(torch.float32 if len(similarity) not in recorded else similarity.dtype)

    assert judged("ps1.2", other_type).status is Status.WRONG


def test_an_unwritten_exercise_names_those_it_builds_on() -> None:
    def stub(*_: Any) -> None:
        raise NotImplementedError

    each = exercise("ps3.3")
    piece = type("Stub", (bank("ps3.3").right,), {each.records()[0].call.method: stub})
    assert "builds on ps3.1 and ps3.2" in judged("ps3.3", piece).message


def test_a_module_with_other_parameters_is_told_so() -> None:
    class Other(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mine = nn.Linear(1, 1)

    answer = Local({"Other": Other})(Call("Other", (), make=(), weights={"theirs": torch.ones(1)}))
    assert answer.failure is not None
    assert "mine.weight" in answer.failure.message and "theirs" in answer.failure.message
