"""Recorded answers: what is written is read again, and equal tensors are written once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from autograder.checks import records
from autograder.checks.records import Record, load_records, pack
from autograder.student import Answer, Call


@pytest.fixture
def stored() -> Record:
    x = torch.tensor([[1.0, float("nan")], [0.0, -0.0]], dtype=torch.float64)
    parts = {"a": x.float(), "b": torch.tensor([True, False])}
    call = Call("piece", (x, parts, None, 3), (4, 2), "forward", {"w": x.clone()}, True, 5, (torch.ones(()),))
    wrong = {"same": Answer({"": x.clone()}), "zeros": Answer({"": torch.zeros(2, 2, dtype=torch.float64)})}
    return Record(call, Answer({"": x}), wrong)


def test_records_come_back(stored: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "ANSWERS", tmp_path)
    np.savez_compressed(records.file_of("ps0.1"), **pack([stored]))  # type: ignore[arg-type]
    (found,) = load_records("ps0.1")
    expected, parts = stored.call.arguments[:2]
    assert found.call.arguments[2:] == (None, 3)
    assert (found.call.make, found.call.training, found.call.seed) == ((4, 2), True, 5)
    for got, wanted in (
        (found.call.arguments[0], expected),
        (found.call.arguments[1]["a"], parts["a"]),
        (found.call.arguments[1]["b"], parts["b"]),
        (found.call.weights["w"], expected),
        (found.right.outputs[""], expected),
        (found.wrong["same"].outputs[""], expected),
        (found.wrong["zeros"].outputs[""], torch.zeros(2, 2, dtype=torch.float64)),
    ):
        assert got.dtype == wanted.dtype
        torch.testing.assert_close(got, wanted, rtol=0, atol=0, equal_nan=True)


def test_equal_tensors_are_written_once(stored: Record) -> None:
    """x (four times), its float32 twin, the mask, the cotangent, the zeros."""
    assert len(pack([stored])) - 1 == 5
    assert len(pack([stored, stored])) - 1 == 5
