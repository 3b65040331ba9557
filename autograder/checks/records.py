"""What was recorded of an exercise: calls, and what the right piece and each known wrong piece answered.

One .npz file an exercise: all tensors as arrays, and "index", JSON that says what they are. No pickle.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autograder.student import Answer, Call

ANSWERS = Path(__file__).parent / "answers"


@dataclass(frozen=True)
class Record:
    """A call with the right answer and the known wrong ones, by the key of the idea that was missed."""

    call: Call
    right: Answer
    wrong: Mapping[str, Answer]


def file_of(exercise: str) -> Path:
    return ANSWERS / f"{exercise.replace('.', '_')}.npz"


@cache
def load_records(exercise: str) -> list[Record]:
    """The records of an exercise. Raises FileNotFoundError where there are none."""
    file = file_of(exercise)
    if not file.is_file():
        raise FileNotFoundError(
            f"there are no recorded answers of {exercise} at {file}; write them with `python -m autograder.banks`."
        )
    with np.load(file, allow_pickle=False) as arrays:
        index = json.loads(bytes(arrays["index"]).decode("utf-8"))
        tensors = {name: torch.from_numpy(arrays[name]) for name in arrays.files if name != "index"}
    return [
        Record(
            read_call(each["call"], tensors),
            read_answer(each["right"], tensors),
            {key: read_answer(answer, tensors) for key, answer in each["wrong"].items()},
        )
        for each in index
    ]


def pack(records: list[Record]) -> dict[str, np.ndarray]:
    """The arrays of a file of records."""
    tensors: list[Tensor] = []
    index = [
        {
            "call": write_call(record.call, tensors),
            "right": write_answer(record.right, tensors),
            "wrong": {key: write_answer(answer, tensors) for key, answer in record.wrong.items()},
        }
        for record in records
    ]
    text = np.frombuffer(json.dumps(index).encode("utf-8"), dtype=np.uint8)
    return {"index": text} | {f"t{number}": tensor.numpy() for number, tensor in enumerate(tensors)}


def write_value(value: Any, tensors: list[Tensor], once: bool = True) -> Any:
    """A value as JSON; tensors are kept aside and named. once: equal ones are kept once, which takes a while to find out."""
    if isinstance(value, Tensor):
        for place, stored in enumerate(tensors if once else ()):
            if identical(stored, value):
                return {"tensor": f"t{place}"}
        tensors.append(value)
        return {"tensor": f"t{len(tensors) - 1}"}
    if isinstance(value, Mapping):
        return {"parts": {name: write_value(part, tensors, once) for name, part in value.items()}}
    return value


def identical(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors are the same bit by bit."""
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    return first.numpy().tobytes() == second.numpy().tobytes()


def read_value(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, dict) and "tensor" in value:
        return tensors[value["tensor"]]
    if isinstance(value, dict):
        return {name: read_value(part, tensors) for name, part in value["parts"].items()}
    return value


def write_call(call: Call, tensors: list[Tensor], once: bool = True) -> dict[str, Any]:
    return {
        "piece": call.piece,
        "arguments": [write_value(value, tensors, once) for value in call.arguments],
        "make": None if call.make is None else list(call.make),
        "method": call.method,
        "weights": {name: write_value(value, tensors, once) for name, value in call.weights.items()},
        "training": call.training,
        "seed": call.seed,
        "want": None if call.want is None else [write_value(value, tensors, once) for value in call.want],
    }


def read_call(data: dict[str, Any], tensors: Mapping[str, Tensor]) -> Call:
    return Call(
        data["piece"],
        tuple(read_value(value, tensors) for value in data["arguments"]),
        None if data["make"] is None else tuple(data["make"]),
        data["method"],
        {name: read_value(value, tensors) for name, value in data["weights"].items()},
        data["training"],
        data["seed"],
        None if data["want"] is None else tuple(read_value(value, tensors) for value in data["want"]),
    )


def write_answer(answer: Answer, tensors: list[Tensor]) -> dict[str, Any]:
    return {name: write_value(value, tensors) for name, value in answer.outputs.items()}


def read_answer(data: dict[str, Any], tensors: Mapping[str, Tensor]) -> Answer:
    return Answer({name: read_value(value, tensors) for name, value in data.items()})
