"""What a check asks of a student's code, and what comes back: plain values, so that both may live in different processes.

    student = Local({"info_nce": info_nce})
    answer = student(Call("info_nce", (similarity,)))
    answer.outputs[""]

A check never touches an object that student code made: it sees copies of tensors, names and messages.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import sys
import traceback
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

# As they are before any student's code runs, which may replace them.
CLONE, DETACH, EQUAL, GRADIENT = Tensor.clone, Tensor.detach, torch.equal, torch.autograd.grad
# Failures of which only the process around student code can tell.
WALL = ("Crashed", "OutOfTime", "OutOfMemory", "Tampered")
LARGE = 10**7  # numbers in a result: far more than any check asks for
PLAIN = (Exception, BaseException, object)
LONG = 400  # letters of a student's error message that are told
# Where a student's lines do not stand: in the checks, in the library, in what is installed.
HERE = Path(__file__).parent
NOT_THEIRS = tuple(map(str, (HERE, HERE.parent / "idc", sys.prefix, sys.base_prefix)))
Value = Any  # a tensor, a number, text, None, or a dictionary of such


@dataclass(frozen=True)
class Call:
    """One use of a piece.

    arguments: given by position. make: for a class, what it is constructed with; `method` of the instance is then
    called. weights: the instance's parameters by name. training: dropout on or off. seed: of torch's random numbers.
    want: asks for gradients, of the sum of every output times its tensor here, in the order of the outputs.
    """

    piece: str
    arguments: tuple[Value, ...]
    make: tuple[Value, ...] | None = None
    method: str = "forward"
    weights: Mapping[str, Tensor] = field(default_factory=dict)
    training: bool = False
    seed: int = 0
    want: tuple[Tensor, ...] | None = None

    @cached_property
    def content(self) -> Hashable:
        """What is asked, bit by bit: equal for calls that ask the same."""
        return bits(tuple(getattr(self, each.name) for each in dataclasses.fields(self)))


def bits(value: Value) -> Hashable:
    """A value as something that is equal to others of the same types and numbers, and to nothing else."""
    if isinstance(value, Tensor):
        return value.dtype, value.shape, value.detach().flatten().view(torch.uint8).numpy().tobytes()
    if isinstance(value, Mapping):
        return tuple((name, bits(part)) for name, part in value.items())
    return tuple(map(bits, value)) if isinstance(value, tuple) else (type(value), repr(value))


@dataclass(frozen=True)
class Failure:
    """An exception of student code: its class, its message, and the student's own line that raised it ("" if none)."""

    kind: str
    message: str
    line: str = ""


@dataclass(frozen=True)
class Answer:
    """What a piece gave back.

    outputs: tensors by name: the fields of an object, "0", "1", … of a tuple, "" for a lone tensor; what was None is
    left out. kind: what it was, in words. gradients: by the argument's number or the parameter's name;
    None where none arrived. changed: numbers of the arguments that were overwritten. failure: instead of all that.
    """

    outputs: Mapping[str, Tensor] = field(default_factory=dict)
    kind: str = ""
    gradients: Mapping[str, Tensor | None] = field(default_factory=dict)
    changed: tuple[int, ...] = ()
    failure: Failure | None = None


class Student(Protocol):
    """Someone whose pieces can be used."""

    def __call__(self, call: Call) -> Answer: ...


def ask_all(student: Student, calls: Sequence[Call]) -> list[Answer]:
    """The answers to calls none of which waits for another: all at once, if the student has a method `many` for that."""
    many = getattr(student, "many", None)
    return many(calls) if many else [student(call) for call in calls]


class Local:
    """Pieces of this very process, by name. after: called whenever a student's code has run."""

    def __init__(self, pieces: Mapping[str, Any], after: Callable[[], None] = lambda: None):
        self.pieces = pieces
        self.after = after

    def __call__(self, call: Call) -> Answer:
        piece = self.pieces.get(call.piece)
        if piece is None:
            return Answer(failure=Failure("Missing", f"there is no “{call.piece}”"))
        with aside(), torch.enable_grad():
            # Of the CPU only: torch.manual_seed formats a stack for CUDA.
            torch.default_generator.manual_seed(call.seed)
            try:
                return use(piece, call, self.after)
            except (KeyboardInterrupt, MemoryError):
                raise
            except BaseException as error:  # noqa: BLE001, student code may raise anything
                return Answer(failure=failure(error))


@contextlib.contextmanager
def aside() -> Iterator[None]:
    """What student code prints, warns about or sets for the whole process is no part of a verdict, nor of the next one."""
    folder, dtype = Path.cwd(), torch.get_default_dtype()
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8", errors="replace"))  # noqa: PTH123
        stack.enter_context(contextlib.redirect_stdout(nowhere))
        stack.enter_context(contextlib.redirect_stderr(nowhere))
        stack.enter_context(torch.random.fork_rng(devices=[]))
        try:
            yield
        finally:
            os.chdir(folder)
            torch.set_default_dtype(dtype)
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002


def use(piece: Any, call: Call, after: Callable[[], None]) -> Answer:
    """Call a piece as `call` says. after: called when the student's code has run, and again after its gradient."""
    given = call.arguments
    leaves = [leaf(value, call.want is not None) for value in given]
    arguments = [fresh(value) for value in leaves]
    parameters: dict[str, Tensor] = {}
    if call.make is None:
        function = piece
    else:
        module = instance(piece, call)
        function = getattr(module, call.method)
        parameters = dict(module.named_parameters())
    result = function(*arguments)
    after()
    outputs = {name: usable(tensor) for name, tensor in named(result).items()}
    gradients: dict[str, Tensor | None] = {}
    if call.want is not None:
        gradients = gradient(list(outputs.values()), call.want, inner(leaves) | parameters)
        after()
    changed = tuple(place for place, value in enumerate(arguments) if differs(value, given[place]))
    plain = {name: CLONE(DETACH(tensor)) for name, tensor in outputs.items()}
    return Answer(plain, in_words(result), gradients, changed)


def inner(leaves: Sequence[Value]) -> dict[str, Tensor]:
    """The arguments from which a gradient is asked, by number, and by name within a dictionary."""
    found: dict[str, Tensor] = {}
    for place, value in enumerate(leaves):
        parts = (
            {f"{place}.{name}": part for name, part in value.items()}
            if isinstance(value, dict)
            else {str(place): value}
        )
        found |= {
            name: part for name, part in parts.items() if isinstance(part, Tensor) and part.requires_grad
        }
    return found


def usable(tensor: Tensor) -> Tensor:
    """A result that can be compared. Raises ValueError for one that lies elsewhere, is complex or is far too large."""
    if tensor.device.type != "cpu":
        raise ValueError(
            f"the result lies on {tensor.device}, the arguments were on cpu; stay on their device"
        )
    if tensor.is_complex():
        raise ValueError("the result holds complex numbers, not real ones")
    if tensor.numel() > LARGE:
        raise ValueError(f"the result has the shape {tuple(tensor.shape)}, {tensor.numel()} numbers")
    return tensor.to_dense()


def leaf(value: Value, wants_gradient: bool) -> Value:
    """A value from which a gradient may be asked."""
    if isinstance(value, dict):
        return {name: leaf(part, wants_gradient) for name, part in value.items()}
    if not isinstance(value, Tensor) or not (wants_gradient and value.is_floating_point()):
        return value
    return CLONE(DETACH(value)).requires_grad_()


def fresh(value: Value) -> Value:
    """A copy that student code may do with as it likes, even write into."""
    if isinstance(value, dict):
        return {name: fresh(part) for name, part in value.items()}
    return CLONE(value) if isinstance(value, Tensor) else value


def instance(piece: Callable[..., Any], call: Call) -> nn.Module:
    """An object of a student's class with the weights of the call.

    Raises ValueError when its parameters have other names.
    """
    module = piece(*(call.make or ()))
    if any(weight.dtype == torch.float64 for weight in call.weights.values()):
        module = module.double()
    absent, unknown = module.load_state_dict(dict(call.weights), strict=False)
    missing = sorted(set(absent) & dict(module.named_parameters()).keys())  # a buffer more does no harm
    if missing or unknown:
        raise ValueError(
            f"the layers of {call.piece} have other names than in the given __init__: "
            f"{', '.join([*missing, *unknown])}. Keep the lines of __init__ that were there."
        )
    return module.train(call.training)


def named(result: Any) -> dict[str, Tensor]:
    """The tensors of a result, by name. A dictionary has none: what uses a piece unpacks values or asks for fields."""
    if isinstance(result, Tensor):
        return {"": result}
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        parts = {each.name: getattr(result, each.name) for each in dataclasses.fields(result)}
    elif isinstance(result, tuple | list):
        names = getattr(result, "_fields", map(str, range(len(result))))
        parts = dict(zip(names, result, strict=True))
    else:
        parts = dict(getattr(result, "__dict__", {}))
    return {str(name): part for name, part in parts.items() if isinstance(part, Tensor)}


def in_words(result: Any) -> str:
    """What kind of thing a result is."""
    if isinstance(result, Tensor):
        return "a tensor"
    if isinstance(result, tuple | list):
        return "1 value" if len(result) == 1 else f"{len(result)} values"
    return "nothing (None)" if result is None else f"a {type(result).__name__}"


def gradient(
    outputs: Sequence[Tensor], want: Sequence[Tensor], sources: Mapping[str, Tensor]
) -> dict[str, Tensor | None]:
    """The gradients of sum(output * want), None where nothing arrives."""
    total = sum(
        (output * weight).sum()
        for output, weight in zip(outputs, want, strict=False)
        if output.shape == weight.shape and output.is_floating_point()
    )
    asked = {name: source for name, source in sources.items() if source.requires_grad}
    nothing: dict[str, Tensor | None] = dict.fromkeys(sources)
    if not asked or not isinstance(total, Tensor) or not total.requires_grad:
        return nothing
    found = GRADIENT(total, list(asked.values()), allow_unused=True)
    return nothing | {
        name: None if part is None else CLONE(DETACH(part)) for name, part in zip(asked, found, strict=True)
    }


def differs(value: Value, given: Value) -> bool:
    """Whether an argument is no longer what it was."""
    if isinstance(given, dict):
        return value.keys() != given.keys() or any(differs(value[name], part) for name, part in given.items())
    if not isinstance(given, Tensor):
        return False
    return value.shape != given.shape or not EQUAL(DETACH(value), given)


def is_theirs(kind: type) -> bool:
    """Whether a class was written in a notebook or a file of a student's."""
    return str(kind.__module__) == "__main__" or str(kind.__module__).startswith("own_")


def failure(error: BaseException) -> Failure:
    """An exception with the last of the student's lines on its way. A ValueError of their own is told as ValueError.

    NotImplementedError says that something is yet to be written. Where torch raises it, for a type of numbers that it
    cannot work with, it is told as the RuntimeError that it also is.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(NOT_THEIRS)]
    line = own[-1].line if own else ""
    known = (each.__name__ for each in type(error).__mro__ if each not in PLAIN and not is_theirs(each))
    kind = next(known, type(error).__name__)
    if kind == "NotImplementedError" and frames[-1].line and not frames[-1].line.startswith("raise"):
        kind = "RuntimeError"
    try:
        message = str(error)
    except Exception:  # noqa: BLE001, whatever their __str__ raises
        message = ""
    if len(message) > LONG:
        message = message[:LONG] + " …"
    return Failure(kind, message, line or "")
