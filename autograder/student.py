"""What a check asks of a student's code, and what comes back: plain values, so that both may live in different processes.

    student = Local({"info_nce": info_nce})
    answer = student(Call("info_nce", (similarity,)))
    answer.outputs[""]

A check never touches an object that student code made: it sees copies of tensors, names and messages.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

# Where a student's lines do not stand: in this file, in the library, in what is installed.
NOT_THEIRS = (__file__, *map(str, (Path(__file__).parents[1] / "idc", sys.prefix, sys.base_prefix)))
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


@dataclass(frozen=True)
class Failure:
    """An exception of student code: its class, its message, and the student's own line that raised it ("" if none)."""

    kind: str
    message: str
    line: str = ""


@dataclass(frozen=True)
class Answer:
    """What a piece gave back.

    outputs: tensors by name: the fields of a dataclass or dictionary, "0", "1", … of a tuple, "" for a lone tensor;
    what was None is left out. kind: what it was, in words. gradients: by the argument's number or the parameter's name;
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


class Local:
    """Pieces of this very process, by name."""

    def __init__(self, pieces: Mapping[str, Any]):
        self.pieces = pieces

    def __call__(self, call: Call) -> Answer:
        piece = self.pieces.get(call.piece)
        if piece is None:
            return Answer(failure=Failure("Missing", f"there is no “{call.piece}”"))
        with aside(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(call.seed)
            try:
                return use(piece, call)
            except (KeyboardInterrupt, MemoryError):
                raise
            except BaseException as error:  # noqa: BLE001, student code may raise anything
                return Answer(failure=failure(error))


@contextlib.contextmanager
def aside() -> Iterator[None]:
    """What student code prints or warns about is no part of a verdict."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        with contextlib.redirect_stderr(io.StringIO()):
            yield


def use(piece: Any, call: Call) -> Answer:
    """Call a piece as `call` says."""
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
    outputs = named(result)
    gradients: dict[str, Tensor | None] = {}
    if call.want is not None:
        sources = {
            str(place): value
            for place, value in enumerate(leaves)
            if isinstance(value, Tensor) and value.requires_grad
        }
        for place, value in enumerate(leaves):
            if isinstance(value, dict):
                sources |= {
                    f"{place}.{name}": part for name, part in value.items() if isinstance(part, Tensor)
                }
        gradients = gradient(list(outputs.values()), call.want, sources | parameters)
    changed = tuple(place for place, value in enumerate(arguments) if differs(value, given[place]))
    plain = {name: tensor.detach().clone() for name, tensor in outputs.items()}
    return Answer(plain, in_words(result), gradients, changed)


def leaf(value: Value, wants_gradient: bool) -> Value:
    """A value from which a gradient may be asked."""
    if isinstance(value, dict):
        return {name: leaf(part, wants_gradient) for name, part in value.items()}
    if not isinstance(value, Tensor) or not (wants_gradient and value.is_floating_point()):
        return value
    return value.detach().clone().requires_grad_()


def fresh(value: Value) -> Value:
    """A copy that student code may do with as it likes, even write into."""
    if isinstance(value, dict):
        return {name: fresh(part) for name, part in value.items()}
    return value.clone() if isinstance(value, Tensor) else value


def instance(piece: Callable[..., Any], call: Call) -> nn.Module:
    """An object of a student's class with the weights of the call.

    Raises ValueError when its parameters have other names.
    """
    module = piece(*(call.make or ()))
    if any(weight.dtype == torch.float64 for weight in call.weights.values()):
        module = module.double()
    missing, unknown = module.load_state_dict(dict(call.weights), strict=False)
    if missing or unknown:
        raise ValueError(
            f"the layers of {call.piece} have other names than in the given __init__: "
            f"{', '.join([*missing, *unknown])}. Keep the lines of __init__ that were there."
        )
    return module.train(call.training)


def named(result: Any) -> dict[str, Tensor]:
    """The tensors of a result, by name."""
    if isinstance(result, Tensor):
        return {"": result}
    if isinstance(result, Mapping):
        parts = dict(result)
    elif dataclasses.is_dataclass(result) and not isinstance(result, type):
        parts = {each.name: getattr(result, each.name) for each in dataclasses.fields(result)}
    elif isinstance(result, Sequence) and not isinstance(result, str):
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
        return f"{len(result)} values"
    return "nothing (None)" if result is None else f"a {type(result).__name__}"


def gradient(
    outputs: Sequence[Tensor], want: Sequence[Tensor], sources: Mapping[str, Tensor]
) -> dict[str, Tensor | None]:
    """The gradients of sum(output * want), None where nothing arrives."""
    pairs = zip(outputs, want, strict=False)
    total = sum((output * weight).sum() for output, weight in pairs if output.shape == weight.shape)
    if not isinstance(total, Tensor) or not total.requires_grad:
        return dict.fromkeys(sources)
    found = torch.autograd.grad(total, list(sources.values()), allow_unused=True)
    return {
        name: None if part is None else part.detach().clone()
        for name, part in zip(sources, found, strict=True)
    }


def differs(value: Value, given: Value) -> bool:
    """Whether an argument is no longer what it was."""
    if isinstance(given, dict):
        return value.keys() != given.keys() or any(differs(value[name], part) for name, part in given.items())
    if not isinstance(given, Tensor):
        return False
    return value.shape != given.shape or not torch.equal(value.detach(), given)


def failure(error: BaseException) -> Failure:
    """An exception with the last of the student's lines on its way."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(NOT_THEIRS)]
    line = own[-1].line if own else ""
    return Failure(type(error).__name__, str(error), line or "")
