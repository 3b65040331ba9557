"""Calls and answers as messages. What comes from a student's process is read with suspicion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from autograder.channel import Malformed
from autograder.checks.records import read_call, write_call
from autograder.student import LONG, Answer, Call, Failure

Message = tuple[dict[str, Any], dict[str, Tensor]]
NAMES = 512  # letters in a name, at most


def pack_call(call: Call) -> Message:
    tensors: list[Tensor] = []
    header = write_call(call, tensors, once=False)
    return header, {f"t{number}": tensor for number, tensor in enumerate(tensors)}


def unpack_call(header: Any, tensors: Mapping[str, Tensor]) -> Call:
    """Raises Malformed for what is no call."""
    try:
        return read_call(header, tensors)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise Malformed(f"what came is no call: {type(error).__name__}") from error


def pack_answer(answer: Answer) -> Message:
    failure = answer.failure
    header = {
        "outputs": list(answer.outputs),
        "kind": answer.kind,
        "gradients": {name: found is not None for name, found in answer.gradients.items()},
        "changed": list(answer.changed),
        "failure": failure and [failure.kind, failure.message, failure.line],
    }
    tensors = {f"output {place}": tensor for place, tensor in enumerate(answer.outputs.values())}
    found = {f"gradient {name}": each for name, each in answer.gradients.items() if each is not None}
    return header, tensors | found


def unpack_answer(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Answer:
    """Raises Malformed for whatever is not exactly an answer."""
    names, gradients = header.get("outputs"), header.get("gradients")
    changed, failure = header.get("changed"), header.get("failure")
    if not (isinstance(names, list) and isinstance(gradients, dict) and isinstance(changed, list)):
        raise Malformed("an answer without its parts")
    if not all(type(each) is int for each in changed) or not all(
        type(each) is bool for each in gradients.values()
    ):
        raise Malformed("an answer with parts of other types")
    try:
        return Answer(
            {text(name): tensors[f"output {place}"] for place, name in enumerate(names)},
            text(header.get("kind")),
            {text(name): tensors[f"gradient {name}"] if there else None for name, there in gradients.items()},
            tuple(changed),
            None if failure is None else read_failure(failure),
        )
    except KeyError as error:
        raise Malformed("an answer without one of its tensors") from error


def pack_all(
    pack: Callable[[Any], Message], each: Sequence[Any]
) -> tuple[list[dict[str, Any]], dict[str, Tensor]]:
    """Several calls or answers in one message: their headers, and all tensors under numbered names."""
    headers: list[dict[str, Any]] = []
    tensors: dict[str, Tensor] = {}
    for place, one in enumerate(each):
        header, found = pack(one)
        headers.append(header)
        tensors |= {f"{place} {name}": tensor for name, tensor in found.items()}
    return headers, tensors


def unpack_all(
    unpack: Callable[[Any, Mapping[str, Tensor]], Any],
    headers: Any,
    tensors: Mapping[str, Tensor],
    count: int | None = None,
) -> list[Any]:
    """What was packed together. Raises Malformed for another number than `count`, and as `unpack` does."""
    if not isinstance(headers, list) or not all(isinstance(header, dict) for header in headers):
        raise Malformed("what came is not the answer to what was asked")
    if count not in (None, len(headers)):
        raise Malformed(f"{len(headers)} answers to {count} questions")
    apart: list[dict[str, Tensor]] = [{} for _ in headers]
    for name, tensor in tensors.items():
        place, _, rest = name.partition(" ")
        if not place.isdecimal() or int(place) >= len(headers):
            raise Malformed("a tensor that belongs to no answer")
        apart[int(place)][rest] = tensor
    return [unpack(header, found) for header, found in zip(headers, apart, strict=True)]


def read_failure(parts: Any) -> Failure:
    if not isinstance(parts, list) or len(parts) != 3:
        raise Malformed("a failure without its parts")
    kind, message, line = parts
    return Failure(text(kind), text(message, 2 * LONG), text(line, 2 * LONG))


def text(value: Any, longest: int = NAMES) -> str:
    """A text of ordinary length; a longer one is cut. Raises Malformed for what is none."""
    if not isinstance(value, str):
        raise Malformed(f"{type(value).__name__} where a text was expected")
    return value[:longest]
