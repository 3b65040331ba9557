"""A student behind a real line: every call and every answer is written to bytes and read again.

What is read is compared with what was written, bit by bit. So whoever judges hears the same on both sides of the line.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from torch import Tensor

from autograder.channel import Channel, pair
from autograder.student import Answer, Call, Student
from autograder.wire import Message, pack_answer, pack_call, unpack_answer, unpack_call
from tests.autograder.test_hidden import content


class ByValue:
    def __init__(self, student: Student):
        self.student = student
        self.here, end = pair()
        self.there = Channel(end)
        self.somebody = ThreadPoolExecutor(1)

    def __call__(self, call: Call) -> Answer:
        heard = unpack_call(*self.across(self.here, self.there, pack_call(call)))
        assert content(heard) == content(call)
        answer = self.student(heard)
        told = unpack_answer(*self.across(self.there, self.here, pack_answer(answer)))
        assert parts(told) == parts(answer)
        return told

    def across(self, one: Channel, other: Channel, message: Message) -> Message:
        """A message as it arrives. Somebody else sends it, for a line holds only so much."""
        sent = self.somebody.submit(one.send, *message)
        arrived = other.receive()
        sent.result()
        return arrived

    def __enter__(self) -> ByValue:
        return self

    def __exit__(self, *_: object) -> None:
        self.somebody.shutdown()
        self.here.close()
        self.there.close()


def parts(answer: Answer) -> tuple[object, ...]:
    """All that an answer holds, as plain values."""
    return (
        named(answer.outputs), answer.kind, named(answer.gradients), tuple(answer.changed), answer.failure
    )  # fmt: skip


def named(tensors: Mapping[str, Tensor | None]) -> list[tuple[str, str]]:
    return [(name, "None" if tensor is None else bits(tensor)) for name, tensor in tensors.items()]


def bits(tensor: Tensor) -> str:
    return f"{tensor.dtype} {tuple(tensor.shape)} {tensor.numpy().tobytes()!r}"
