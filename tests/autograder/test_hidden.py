"""The hidden check: honest work passes whatever is asked, known mistakes fail, and so does learning answers by heart."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import torch
from torch import Tensor

from autograder.banks import bank, ids
from autograder.checks import exercise
from autograder.checks.exercise import Exercise, Status
from autograder.checks.records import load_records, write_call
from autograder.hidden import confirm, judge, new_calls
from autograder.student import Answer, Call, Local
from idc.errors import UserError

IDS = ids()
SEEDS = (1, 2, 3)
RIGHT = [(id, name) for id in IDS for name in ("the reference", *bank(id).honest)]
WRONG = [(id, key) for id in IDS for key in bank(id).wrong]


@pytest.mark.parametrize(("id", "name"), RIGHT, ids=[f"{id}-{name}" for id, name in RIGHT])
def test_honest_work_passes(id: str, name: str) -> None:
    piece = bank(id).honest.get(name, bank(id).right)
    points = confirm(id, piece, SEEDS[0])
    assert float(points) == exercise(id).points, points


@pytest.mark.parametrize(("id", "key"), WRONG, ids=[f"{id}-{key}" for id, key in WRONG])
def test_a_known_mistake_fails_and_is_still_named(id: str, key: str) -> None:
    points = confirm(id, bank(id).wrong[key])
    assert float(points) == 0
    assert points.verdict.idea == key


def by_heart(similarity: Tensor) -> Tensor:
    """Looks recorded inputs up and gives the recorded answers, else zeros."""
    for record in load_records("ps1.2"):
        known = record.call.arguments[0]
        if known.shape == similarity.shape and torch.equal(known, similarity):
            return record.right.outputs[""].clone()
    return torch.zeros_like(similarity)


def test_recorded_answers_learned_by_heart_pass_the_visible_check_only() -> None:
    assert exercise("ps1.2").judge(Local({"info_nce_gradient": by_heart})).status is Status.RIGHT
    points = confirm("ps1.2", by_heart)
    assert float(points) == 0
    assert "inputs that this check does not hold" in str(points)
    assert not re.search(r"\d\.\d", str(points).replace("ps1.2", "")), "no numbers"


class ByHeart:
    """Knows the right answer to all that the visible check asks, be it recorded or not, and answers zeros elsewhere."""

    def __init__(self, each: Exercise):
        self.reference = Local({each.piece: bank(each.id).right})
        self.known: dict[str, Answer] = {}
        self.learning = True
        each.judge(self)
        self.learning = False

    def __call__(self, call: Call) -> Answer:
        key = content(call)
        if self.learning:
            self.known[key] = self.reference(call)
        if key in self.known:
            return self.known[key]
        return zeros(self.reference(call))


def content(call: Call) -> str:
    """All that a call holds, as text."""
    tensors: list[Tensor] = []
    words = json.dumps(write_call(call, tensors))
    return words + "".join(
        f"{tensor.dtype} {tensor.shape} {tensor.numpy().tobytes()!r}" for tensor in tensors
    )


def zeros(answer: Answer) -> Answer:
    blank = {name: torch.zeros_like(tensor) for name, tensor in answer.outputs.items()}
    return Answer(blank, answer.kind, dict.fromkeys(answer.gradients))


@pytest.mark.parametrize("id", IDS)
def test_even_all_answers_of_the_visible_check_do_not_help(id: str) -> None:
    each = exercise(id)
    learner = ByHeart(each)
    assert each.judge(learner).status is Status.RIGHT
    assert judge(each, learner).check == "hidden"


@pytest.mark.parametrize("id", IDS)
def test_no_new_call_is_a_recorded_one(id: str) -> None:
    recorded = {content(record.call) for record in load_records(id)}
    asked = [{content(call) for call in new_calls(exercise(id), seed)} for seed in SEEDS]
    assert not recorded & set.union(*asked)
    assert asked[0] != asked[1]
    assert asked[0] == {content(call) for call in new_calls(exercise(id), SEEDS[0])}


def test_a_right_value_with_a_wrong_slope_is_found() -> None:
    """Right everywhere, but the gradient is right only where the visible check looks."""

    each = exercise("ps1.1")
    reference = Local({each.piece: bank("ps1.1").right})
    looked_at = {content(record.call) for record in load_records("ps1.1")}

    def student(call: Call) -> Answer:
        answer = reference(call)
        if content(call) in looked_at:
            return answer
        return Answer(answer.outputs, answer.kind, dict.fromkeys(answer.gradients))

    assert each.judge(student).status is Status.RIGHT
    assert judge(each, student, seed=1).check == "hidden"


def test_a_stub_is_not_attempted() -> None:
    def stub(similarity: Tensor) -> Tensor:
        raise NotImplementedError

    points = confirm("ps1.1", stub)
    assert float(points) == 0 and points.verdict.status is Status.NOT_ATTEMPTED


def test_a_piece_that_stops_or_writes_on_new_inputs_fails() -> None:
    known = [record.call.arguments[0] for record in load_records("ps1.2")]
    right = bank("ps1.2").right

    def is_known(similarity: Tensor) -> bool:
        return any(each.shape == similarity.shape and torch.equal(each, similarity) for each in known)

    def stops(similarity: Tensor) -> Tensor:
        if not is_known(similarity) and similarity.abs().max() < 100 and len(similarity) != 5:
            raise IndexError("elsewhere")
        return right(similarity)

    def writes(similarity: Tensor) -> Tensor:
        result = right(similarity)
        if not is_known(similarity):
            similarity += 1
        return result

    for piece in (stops, writes):
        assert exercise("ps1.2").judge(Local({"info_nce_gradient": piece})).status is Status.RIGHT
        assert confirm("ps1.2", piece).verdict.check == "hidden"


def test_an_unknown_exercise_is_named() -> None:
    with pytest.raises(UserError, match=r"ps1\.9"):
        confirm("ps1.9", lambda x: x)


def test_a_seed_asks_the_same_again() -> None:
    heard: list[str] = []

    def listener(similarity: Any) -> Tensor:
        heard.append(repr(similarity))
        return bank("ps1.1").right(similarity)

    for seed in (7, 7, 8):
        confirm("ps1.1", listener, seed)
    third = len(heard) // 3
    assert heard[:third] == heard[third : 2 * third] != heard[2 * third :]
