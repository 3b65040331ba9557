"""An exercise: what it asks, what is recorded of right and wrong answers, and how an answer is judged.

The judge knows no solution. It knows what the right piece answered to recorded calls, what each known wrong piece
answered to the same calls, and properties that a right piece has on any input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autograder.checks.records import Record, load_records
from autograder.student import WALL, Answer, Call, Failure, Student, ask_all

# relative and absolute tolerance by type: results of different orders of summation differ by less
TOLERANCE = {torch.float32: (2e-4, 2e-5), torch.float64: (1e-7, 1e-9)}
STEP = 1e-5  # of the finite differences, in float64
SLOPE_TOLERANCE = 1e-4


class Status(Enum):
    RIGHT = "right"
    NOT_ATTEMPTED = "not attempted"
    WRONG = "wrong"


@dataclass(frozen=True)
class Idea:
    """An idea that can be missed: its name, what to think about, and the heading in the notebook to read again."""

    name: str
    text: str
    read: str = ""


@dataclass(frozen=True)
class Verdict:
    """What a judge says. idea: the key of the idea that was missed, where it is known. check: what was not passed."""

    status: Status
    message: str
    check: str = ""
    idea: str = ""


class Stopped(Exception):
    """Student code raised an exception where it should have answered."""

    def __init__(self, failure: Failure):
        super().__init__(failure.message)
        self.failure = failure


class Asking:
    """A student who is asked; an exception of theirs ends the asking."""

    def __init__(self, student: Student):
        self.student = student

    def answers(self, calls: Sequence[Call]) -> list[Answer]:
        found = ask_all(self.student, calls)
        for answer in found:
            if answer.failure is not None:
                raise Stopped(answer.failure)
        return found

    def answer(self, call: Call) -> Answer:
        return self.answers([call])[0]

    def __call__(self, call: Call, place: int = 0) -> Tensor:
        """The first output, or that at `place`; an empty tensor when there is none."""
        outputs = list(self.answer(call).outputs.values())
        return outputs[place] if place < len(outputs) else torch.empty(0)


@dataclass(frozen=True)
class Property:
    """Something that is true of every right answer. idea: what was missed when it is not."""

    name: str
    idea: str
    holds: Callable[[Asking], bool]


# What can be missed in every exercise.
COMMON = {
    "no-gradient": Idea(
        "the gradient is cut off",
        "Your result has the right value, but learning needs more: the way back from the result to {where}. "
        "`.detach()`, `.item()`, `.data`, `torch.no_grad()`, a detour through NumPy or a new `torch.tensor(...)` all cut "
        "it. Stay with torch operations from the argument to the result.",
    ),
    "wrong-gradient": Idea(
        "the gradient is not that of the value",
        "The value is right, but the gradient with respect to {where} is not the slope of that value. Something on the "
        "way counts for the value and not for the gradient, or twice.",
    ),
    "changes-input": Idea(
        "the argument is overwritten",
        "Your code writes into the tensor it was given (argument {where}). Whoever called still needs it. Operations "
        "whose names end in _ and assignments to parts, such as `x[mask] = 0`, work in place: make a new tensor.",
    ),
    "dtype": Idea(
        "the type of the numbers changes",
        "Given float64, the result should be float64 too. A tensor made inside (torch.zeros, torch.arange …) takes "
        "float32 unless you pass `dtype=x.dtype`.",
    ),
    "not-finite": Idea(
        "numbers run over",
        "The result holds inf or nan where it should be an ordinary number. Look for exp of something large, a division "
        "by zero, or inf minus inf.",
    ),
}


@dataclass(frozen=True)
class Exercise:
    """One graded hole.

    id: "ps1.1". piece: the name of what is written. points: in the gradebook. minutes, difficulty, importance (1–5):
    what to expect. needs: exercises it builds on. hints: from gentle to nearly there. explanation: shown once it is
    right. ideas: what can be missed. cases: the calls that are recorded, from a random generator. properties: in the
    order in which they are asked. outputs: names of the results, where there are several. any_dtype: the result may
    have another floating type than the arguments.
    """

    id: str
    title: str
    piece: str
    points: int
    minutes: int
    difficulty: int
    importance: int
    hints: tuple[str, str, str]
    explanation: str
    cases: Callable[[np.random.Generator], list[Call]]
    ideas: Mapping[str, Idea]
    properties: tuple[Property, ...] = ()
    needs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ("",)
    any_dtype: bool = False
    tolerance: tuple[float, float] | None = None

    @property
    def set(self) -> str:
        """The problem set: "ps1"."""
        return self.id.split(".")[0]

    def idea(self, key: str) -> Idea:
        return self.ideas.get(key) or COMMON[key]

    def records(self) -> list[Record]:
        """The recorded calls with the answers of the right piece and of the known wrong ones."""
        return load_records(self.id)

    def judge(self, student: Student) -> Verdict:
        """Whether the student's piece is right and, if not, what was missed."""
        asking = Asking(student)
        try:
            return self.verdict(asking)
        except Stopped as stopped:
            return self.stopped(stopped.failure)

    def verdict(self, asking: Asking) -> Verdict:
        records = self.records()
        answers = asking.answers([record.call for record in records])
        if not all(self.same(answer, record.right) for answer, record in zip(answers, records, strict=True)):
            return self.diagnosis(asking, answers, records)
        for answer in answers:
            if answer.changed:
                return self.missed("changes-input", "input untouched", where=str(answer.changed[0] + 1))
        for each in self.properties:
            if not holds(each, asking):
                return self.missed(each.idea, each.name)
        for answer in answers:
            if not self.has_form(answer):
                return self.wrong(
                    f"Your code gives back {answer.kind}; expected was {self.wanted()}.", "form"
                )
        for answer, record in zip(answers, records, strict=True):
            if record.call.want is not None and (wrong := self.slopes(asking, record.call, answer.gradients)):
                return wrong
        return Verdict(Status.RIGHT, f"{self.id} {self.title}: right.")

    def same(self, answer: Answer, right: Answer) -> bool:
        """Whether two answers agree, up to the order of summation."""
        got, expected = self.arranged(answer), dict(right.outputs)
        return got.keys() == expected.keys() and all(
            close(got[name], expected[name], self.tolerance, self.any_dtype) for name in expected
        )

    def arranged(self, answer: Answer) -> dict[str, Tensor]:
        """The outputs under the names of this exercise: by name, or else in their order."""
        outputs = dict(answer.outputs)
        if outputs.keys() & set(self.outputs):
            return {name: tensor for name, tensor in outputs.items() if name in self.outputs}
        return dict(zip(self.outputs, outputs.values(), strict=False))

    def has_form(self, answer: Answer) -> bool:
        """Whether the library could use an answer: a tensor is a tensor, two values are two, and fields have names."""
        if self.outputs[0].isdigit():
            return answer.kind == f"{len(self.outputs)} values"
        return bool(answer.outputs.keys() & set(self.outputs))

    def diagnosis(self, asking: Asking, answers: list[Answer], records: list[Record]) -> Verdict:
        """What a wrong answer looks like: a known mistake, a wrong form, a broken property, or just another value."""
        pairs = list(zip(answers, records, strict=True))
        for key in records[0].wrong:
            if all(self.same(answer, record.wrong[key]) for answer, record in pairs):
                return self.missed(key, "values")
        for answer, record in pairs:
            if complaint := self.form(answer, record.right):
                return self.wrong(complaint, "form")
        if not self.any_dtype and any(self.other_type(answer, record.right) for answer, record in pairs):
            return self.missed("dtype", "form")
        for each in self.properties:
            if not holds(each, asking):
                return self.missed(each.idea, each.name)
        if any(not torch.isfinite(tensor).all() for answer in answers for tensor in answer.outputs.values()):
            return self.missed("not-finite", "values")
        off = next(record.call for answer, record in pairs if not self.same(answer, record.right))
        return self.wrong(
            f"The result has the right shape, but other values than it should have, for instance for {shapes(off)}. It is "
            "none of the mistakes that are known here. Take a tiny input, two by two, work it out by hand and compare "
            "step by step; hint() helps to begin.",
            "values",
        )

    def form(self, answer: Answer, right: Answer) -> str:
        """What is wrong with the shape of a result, "" if nothing is."""
        got, expected = self.arranged(answer), right.outputs
        if missing := [name for name in expected if name not in got]:
            text = f"Your code gives back {answer.kind}; expected was {self.wanted()}."
            if self.outputs == ("",):
                return (
                    f"{text} A number has no gradient: stay with tensors, without `.item()`, and return one."
                )
            names = ", ".join(f"value {int(name) + 1}" if name.isdigit() else name for name in missing)
            return f"{text} Missing: {names}."
        for name, tensor in expected.items():
            if got[name].shape != tensor.shape:
                which = f"`{name}`" if name and not name.isdigit() else "the result"
                if name.isdigit():
                    which = f"value number {int(name) + 1} of the result"
                return (
                    f"The shape of {which} is {tuple(got[name].shape)}; expected was {tuple(tensor.shape)}. Write the "
                    "shape beside every line of your code: where does it leave the path?"
                )
        return ""

    def other_type(self, answer: Answer, right: Answer) -> bool:
        got = self.arranged(answer)
        return any(got[name].dtype != tensor.dtype for name, tensor in right.outputs.items() if name in got)

    def wanted(self) -> str:
        if self.outputs == ("",):
            return "a tensor"
        return ", ".join(name if not name.isdigit() else f"value {int(name) + 1}" for name in self.outputs)

    def slopes(self, asking: Asking, call: Call, gradients: Mapping[str, Tensor | None]) -> Verdict | None:
        """Compare gradients with finite differences of the student's own values, in float64.

        All that have a gradient are moved together first: two calls. Only where that does not fit is every one moved alone,
        to say which it is.
        """
        found = {where: each for where, each in gradients.items() if each is not None}
        fits = not found or self.fits(asking, call, found)
        for where, each in gradients.items():
            if each is None:
                slope, _ = self.slope(asking, call, [where])
                if abs(slope) > 1e-7:
                    return self.missed("no-gradient", "gradient", where=place(where))
            elif not fits and not self.fits(asking, call, {where: each}):
                key = "wrong-gradient" if each.any() else "no-gradient"
                return self.missed(key, "gradient", where=place(where))
        return None

    def fits(self, asking: Asking, call: Call, gradients: Mapping[str, Tensor]) -> bool:
        """Whether gradients tell how the outputs change."""
        slope, directions = self.slope(asking, call, gradients)
        predicted = sum(float((each * directions[where]).sum()) for where, each in gradients.items())
        return abs(predicted - slope) <= SLOPE_TOLERANCE * max(1.0, abs(slope))

    def slope(self, asking: Asking, call: Call, places: Iterable[str]) -> tuple[float, dict[str, Tensor]]:
        """How the weighed outputs change along a random direction of some arguments and parameters, and that direction."""
        directions = {}
        for where in places:
            rng = np.random.default_rng(abs(hash_of(where)))
            value = at(call, where)
            directions[where] = torch.from_numpy(rng.standard_normal(tuple(value.shape))).to(value.dtype)
        ahead, behind = asking.answers([moved(call, directions, STEP), moved(call, directions, -STEP)])
        return (weighed(ahead, call) - weighed(behind, call)) / (2 * STEP), directions

    def stopped(self, failure: Failure) -> Verdict:
        """A verdict on code that raised an exception."""
        if failure.kind == "Missing":
            return Verdict(Status.NOT_ATTEMPTED, f"{self.id}: {failure.message} yet.", "attempted")
        if failure.kind == "NotImplementedError":
            other = f" It stops here: {failure.message}" if failure.message else ""
            before = f" It builds on {' and '.join(self.needs)}." if self.needs else ""
            return Verdict(
                Status.NOT_ATTEMPTED,
                f"{self.id} is not attempted yet: `{self.piece}` still raises NotImplementedError.{other}{before} "
                f'hint("{self.id}") gives a first push.',
                "attempted",
            )
        if failure.kind in WALL:
            return self.wrong(f"There is no answer to look at: {failure.message}.", "runs")
        line = f" Your line: `{failure.line}`." if failure.line else ""
        told = f": {failure.message.rstrip('. ')}" if failure.message else ""
        return self.wrong(f"Your code stopped with {failure.kind}{told}.{line}", "runs")

    def missed(self, key: str, check: str, **words: str) -> Verdict:
        idea = self.idea(key)
        read = f" Read “{idea.read}” again." if idea.read else ""
        text = idea.text.format(**words) if words else idea.text
        return self.wrong(f"It looks like this: {idea.name}. {text}{read}", check, key)

    def wrong(self, message: str, check: str, idea: str = "") -> Verdict:
        return Verdict(Status.WRONG, f"{self.id} {self.title}: not yet. {message}", check, idea)


def holds(each: Property, asking: Asking) -> bool:
    """Whether a property holds; of answers that cannot even be compared it does not."""
    try:
        return each.holds(asking)
    except (RuntimeError, ValueError, TypeError, IndexError):  # another type, another shape
        return False


def close(got: Tensor, expected: Tensor, tolerance: tuple[float, float] | None, any_dtype: bool) -> bool:
    """Whether two tensors are equal up to rounding."""
    if got.shape != expected.shape or (got.dtype != expected.dtype and not any_dtype):
        return False
    if not got.is_floating_point():
        return bool(torch.equal(got, expected))
    relative, absolute = tolerance or TOLERANCE.get(expected.dtype, TOLERANCE[torch.float32])
    return bool(torch.allclose(got.to(expected.dtype), expected, relative, absolute, equal_nan=True))


def place(where: str) -> str:
    """An argument's number or a parameter's name in words."""
    first = where.split(".")[0]
    return f"argument {int(first) + 1}" if first.isdigit() else f"`{where}`"


def hash_of(text: str) -> int:
    """A number that is the same in every process."""
    return int.from_bytes(text.encode(), "little") % 2**32


def at(call: Call, where: str) -> Tensor:
    """The tensor of a call that a gradient's name stands for."""
    first, _, rest = where.partition(".")
    if not first.isdigit():
        return call.weights[where]
    value = call.arguments[int(first)]
    return value[rest] if rest else value


def put(call: Call, where: str, value: Tensor) -> Call:
    """The call with that tensor replaced."""
    first, _, rest = where.partition(".")
    arguments, weights = list(call.arguments), dict(call.weights)
    if not first.isdigit():
        weights[where] = value
    elif rest:
        arguments[int(first)] = arguments[int(first)] | {rest: value}
    else:
        arguments[int(first)] = value
    return replace(call, arguments=tuple(arguments), weights=weights)


def moved(call: Call, directions: Mapping[str, Tensor], step: float) -> Call:
    """The call some way along directions, asking for values only."""
    for where, direction in directions.items():
        call = put(call, where, at(call, where) + step * direction)
    return replace(call, want=None)


def weighed(answer: Answer, call: Call) -> float:
    """The sum of every output times the tensor that asks for its gradient."""
    pairs = zip(answer.outputs.values(), call.want or (), strict=False)
    return float(sum((output * weight).sum() for output, weight in pairs))


def shapes(call: Call) -> str:
    """The arguments of a call, by their shapes."""
    words = [
        f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
        for value in call.arguments
        if value is not None and not isinstance(value, dict)
    ]
    return ", ".join(words) or "the given parts"


@dataclass(frozen=True)
class Bank:
    """What proves an exercise; never part of what students get.

    right: the reference. wrong: by the key of the idea that each misses. honest: other right ways to write it. Each is
    the piece's object.
    """

    right: Any
    wrong: Mapping[str, Any] = field(default_factory=dict)
    honest: Mapping[str, Any] = field(default_factory=dict)
