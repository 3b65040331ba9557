"""A student's pieces as if they were here: functions and modules of torch whose code runs elsewhere.

    student = Pieces(someone)
    loss = student.info_nce(similarity)             a tensor; loss.backward() asks for the gradient
    layer = student.CrossAttention(8, 2)            a module with parameters of its own
    context, weights = layer(x, memory)

All that crosses is a `Call` and an `Answer`, by value: arguments arrive as contiguous copies, and nothing that the student's
code does to them is seen here. What stops the student's code raises `StudentStopped`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from autograder.checks import exercise_of
from autograder.checks.exercise import Exercise, Stopped
from autograder.student import Answer, Call, Failure, Student, Value
from idc.errors import UserError


class StudentStopped(Stopped):
    """The student's code raised an exception, ended, or gave back what cannot be used; `failure` says which."""

    def __str__(self) -> str:
        return f"{self.failure.kind}: {self.failure.message}"


class Pieces:
    """The pieces of a student as attributes, by name: functions, and classes that make modules.

    seed: of torch's random numbers where the student's code runs (dropout), and of the first weights of modules.
    published: the course's own piece of an exercise, for signatures and names of parameters; the reference, if not given.
    """

    def __init__(self, student: Student, seed: int = 0, published: Callable[[Exercise], Any] | None = None):
        self.student = student
        self.seed = seed
        self.published = published or reference

    def with_seed(self, seed: int) -> Pieces:
        """The same pieces with other random numbers."""
        return Pieces(self.student, seed, self.published)

    def __getattr__(self, name: str) -> Any:
        each = exercise_of(name)
        if each is None:
            raise AttributeError(f"no exercise asks for a piece “{name}”")
        kind = Class if isinstance(self.published(each), type) else Function
        return kind(self, each)


def reference(each: Exercise) -> Any:
    from autograder.banks import bank  # only the grader has it

    return bank(each.id).right


class Function:
    """A function of a student. Arguments are tensors, numbers, texts, None, or dictionaries of such."""

    def __init__(self, pieces: Pieces, each: Exercise):
        self.pieces = pieces
        self.exercise = each
        self.signature = inspect.signature(pieces.published(each))

    def __call__(self, *arguments: Value, **named: Value) -> Any:
        """The result. Raises TypeError for arguments that the piece does not take, StudentStopped."""
        return ask(self.pieces.student, self.exercise, self.call(*arguments, **named), {})

    def answer(self, *arguments: Value, **named: Value) -> Answer:
        """All that came back for one call, failures included."""
        return self.pieces.student(by_value(self.call(*arguments, **named)))

    def call(self, *arguments: Value, **named: Value) -> Call:
        given = in_order(self.signature, arguments, named)
        return Call(self.exercise.piece, given, seed=self.pieces.seed)


class Class:
    """A class of a student; calling it makes a module."""

    def __init__(self, pieces: Pieces, each: Exercise):
        self.pieces = pieces
        self.exercise = each
        self.signature = inspect.signature(pieces.published(each))

    def __call__(self, *make: Value, **named: Value) -> Module:
        return Module(self.pieces, self.exercise, in_order(self.signature, make, named))


class Module(nn.Module):
    """An object of a student's class. Its parameters lie here, under the names and with the shapes of the library's.

    Every use builds the student's object anew with these parameters. `train()` and `eval()` say whether dropout is on.
    """

    def __init__(self, pieces: Pieces, each: Exercise, make: tuple[Value, ...]):
        super().__init__()
        self.pieces = pieces
        self.exercise = each
        self.make = make
        self.published = pieces.published(each)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(pieces.seed)
            library = self.published(*make)
        for name, parameter in library.named_parameters():
            *path, last = name.split(".")
            owner: nn.Module = self
            for part in path:
                if part not in owner._modules:
                    owner.add_module(part, nn.Module())
                owner = owner.get_submodule(part)
            owner.register_parameter(last, nn.Parameter(parameter.detach().clone()))

    def forward(self, *arguments: Value, **named: Value) -> Any:
        return self.use("forward", *arguments, **named)

    def __getattr__(self, name: str) -> Any:
        """A parameter or a part; else a method of the student's object."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name.startswith("_") or not callable(getattr(self.published, name, None)):
                raise
        return lambda *arguments, **named: self.use(name, *arguments, **named)

    def use(self, method: str, *arguments: Value, **named: Value) -> Any:
        call = self.call(method, *arguments, **named)
        return ask(self.pieces.student, self.exercise, call, dict(self.named_parameters()))

    def answer(self, method: str, *arguments: Value, **named: Value) -> Answer:
        """All that came back for one call of a method, failures included."""
        call = replace(self.call(method, *arguments, **named), weights=dict(self.named_parameters()))
        return self.pieces.student(by_value(call))

    def call(self, method: str, *arguments: Value, **named: Value) -> Call:
        signature = inspect.signature(getattr(self.published, method))
        signature = signature.replace(parameters=list(signature.parameters.values())[1:])  # without self
        given = in_order(signature, arguments, named)
        return Call(
            self.exercise.piece, given, self.make, method, training=self.training, seed=self.pieces.seed
        )


def in_order(
    signature: inspect.Signature, arguments: tuple[Value, ...], named: Mapping[str, Value]
) -> tuple[Value, ...]:
    """Arguments by position, those given by name too; left-out ones between them take their defaults."""
    given = signature.bind(*arguments, **named)
    if named:
        last = max(list(signature.parameters).index(name) for name in named)
        given.apply_defaults()
        return given.args[: max(last + 1, len(arguments))]
    return given.args


def by_value(call: Call) -> Call:
    """A call whose tensors are contiguous copies without a history."""
    return replace(
        call,
        arguments=tuple(copied(value) for value in call.arguments),
        weights={name: copied(weight) for name, weight in call.weights.items()},
    )


def copied(value: Value) -> Value:
    if isinstance(value, Mapping):
        return {name: copied(part) for name, part in value.items()}
    if isinstance(value, Tensor):
        return value.detach().clone(memory_format=torch.contiguous_format)
    return value


def ask(student: Student, each: Exercise, call: Call, weights: Mapping[str, Tensor]) -> Any:
    """What a piece gives back for a call, as the exercise says: a tensor, a tuple, or an object with fields.

    weights: of a module, by name. Gradients flow back to them and to the tensors of the call.
    """
    question = Question(student, by_value(replace(call, weights=weights)))
    sources = inputs(call) | dict(weights)
    names = tuple(sources)
    found = Crossing.apply(question, names, *sources.values())
    answer = question.answer
    if not each.has_form(answer):
        words = f"{each.piece} gave back {answer.kind}; expected was {each.wanted()}"
        raise StudentStopped(Failure("TypeError", words))
    tensors = each.arranged(replace(answer, outputs=dict(zip(answer.outputs, found, strict=True))))
    if each.outputs == ("",):
        return tensors[""]
    parts = {name: tensors.get(name) for name in each.outputs}
    if each.outputs[0].isdigit():
        return tuple(parts.values())
    return SimpleNamespace(**parts)


def inputs(call: Call) -> dict[str, Tensor]:
    """The tensors of the arguments under the names by which gradients come back."""
    found: dict[str, Tensor] = {}
    for place, value in enumerate(call.arguments):
        parts = value.items() if isinstance(value, Mapping) else [("", value)]
        for name, part in parts:
            if isinstance(part, Tensor):
                found[f"{place}.{name}" if name else str(place)] = part
    return found


class Question:
    """One call and what was answered."""

    def __init__(self, student: Student, call: Call):
        self.student = student
        self.call = call
        self.answer = Answer()

    def ask(self, want: tuple[Tensor, ...] | None = None) -> Answer:
        """Raises StudentStopped."""
        answer = self.student(replace(self.call, want=want))
        if answer.failure is not None:
            raise StudentStopped(answer.failure)
        return answer


class Crossing(torch.autograd.Function):
    """A student's piece as one operation of torch: there by one call, back by the same call that asks for gradients."""

    @staticmethod
    def forward(ctx: Any, question: Question, names: tuple[str, ...], *sources: Tensor) -> tuple[Tensor, ...]:
        question.answer = question.ask()
        outputs = tuple(each.detach() for each in question.answer.outputs.values())
        ctx.question, ctx.names = question, names
        ctx.mark_non_differentiable(*(each for each in outputs if not each.is_floating_point()))
        ctx.save_for_backward(*sources)
        return outputs

    @staticmethod
    def backward(ctx: Any, *want: Tensor) -> tuple[Any, ...]:
        gradients = ctx.question.ask(tuple(copied(each) for each in want)).gradients
        found = [gradients.get(name) for name in ctx.names]
        if torch.is_grad_enabled():  # somebody wants to differentiate the gradient
            found = [each if each is None else Last.apply(each, *ctx.saved_tensors) for each in found]
        needed = ctx.needs_input_grad[2:]
        return None, None, *(each if needs else None for each, needs in zip(found, needed, strict=True))


class Last(torch.autograd.Function):
    """A gradient that came from a student: it has no gradient of its own."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, *sources: Tensor) -> Tensor:
        return gradient.clone()

    @staticmethod
    def backward(ctx: Any, *want: Tensor) -> tuple[Any, ...]:
        raise UserError(
            "a student's piece can be differentiated once: its gradient comes from another process, as numbers. "
            "Compare first gradients instead of second ones."
        )
