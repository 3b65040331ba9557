"""A small input to try by hand: one of the calls that every student's check makes, never what comes out of it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from torch import Tensor

from autograder.checks.exercise import Exercise
from autograder.student import Answer, Call

FEW = 30  # numbers that a person may work with by hand
TELLING = 4  # numbers below which a mistake may not show


@dataclass(frozen=True)
class Example:
    """Lines to type below the own piece. by_hand: few enough numbers for that. shape: of what should come out, in words."""

    code: str
    by_hand: bool
    shape: str


@cache
def example(id: str) -> Example | None:
    """The smallest telling call of an exercise's visible check; None where there is none to show."""
    from autograder.checks import exercises

    each = exercises().get(id)
    if each is None:
        return None
    record = min(each.records(), key=lambda record: dullness(record.call))
    by_hand = record.call.make is None and size(record.call) <= FEW
    return Example(code(each, record.call, by_hand), by_hand, shape(record.right))


def dullness(call: Call) -> tuple[bool, bool, int]:
    """Small for a good example: few numbers, but not too few, and no axis of length 1, along which nothing can go wrong."""
    flat = any(1 in tensor.shape for tensor in inside(call.arguments))
    return size(call) < TELLING, flat, size(call)


def size(call: Call) -> int:
    """How many numbers a call is about: those in its tensors, or without any, those that its counts multiply to."""
    if tensors := list(inside(call.arguments)):
        return sum(tensor.numel() for tensor in tensors)
    product = 1
    for value in call.arguments:
        product *= value if isinstance(value, int) else 1
    return product


def inside(values: Sequence[Any]) -> list[Tensor]:
    """All tensors of some arguments."""
    parts = [part for value in values for part in (value.values() if isinstance(value, Mapping) else [value])]
    return [part for part in parts if isinstance(part, Tensor)]


def code(each: Exercise, call: Call, by_hand: bool) -> str:
    """A call as lines of Python: with rounded numbers where they are few, else with any numbers of these shapes."""
    lines, names = [], []
    for name, value in zip(parameters(each, call), call.arguments, strict=True):
        if isinstance(value, Tensor | Mapping):
            lines.append(f"{name} = {spelled(value, by_hand)}")
            names.append(name)
        elif value is not None:
            names.append(spelled(value, by_hand))
    arguments = ", ".join(names)
    if call.make is None:
        return "\n".join([*lines, f"{each.piece}({arguments})"])
    made = f"{each.piece}({', '.join(map(repr, call.make))})"
    method = "" if call.method == "forward" else f".{call.method}"
    return "\n".join([*lines, f"{made}{method}({arguments})"])


def parameters(each: Exercise, call: Call) -> list[str]:
    """What the arguments of a call are called, as in the library where it has this piece."""
    import idc.pieces

    piece = getattr(idc.pieces, each.piece, None)
    names: list[str] = []
    if piece is not None:
        function = piece if call.make is None else getattr(piece, call.method)
        names = [name for name in inspect.signature(function).parameters if name != "self"]
    return (names or ["x", "y", "z"])[: len(call.arguments)]


def spelled(value: Any, by_hand: bool) -> str:
    """A value as Python."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name!r}: {spelled(part, by_hand)}" for name, part in value.items()) + "}"
    if not isinstance(value, Tensor):
        return repr(value)
    if not value.is_floating_point():
        return f"torch.tensor({value.tolist()})"
    if by_hand:
        return f"torch.tensor({rounded(value.tolist())})"
    return f"torch.randn({', '.join(map(str, value.shape))})"


def rounded(values: Any) -> Any:
    """Nested lists of numbers with one decimal."""
    return [rounded(each) for each in values] if isinstance(values, list) else round(values, 1) + 0.0


def shape(answer: Answer) -> str:
    """The shapes of a result in words, as the check under the exercise tells them too."""
    shapes = [(name, describe(tensor)) for name, tensor in answer.outputs.items()]
    if len(shapes) == 1:
        return shapes[0][1]
    return "; ".join(
        f"{f'value {int(name) + 1}' if name.isdigit() else name}: {text}" for name, text in shapes
    )


def describe(tensor: Tensor) -> str:
    return (
        "a tensor with a single number, of shape ()" if tensor.dim() == 0 else f"shape {tuple(tensor.shape)}"
    )
