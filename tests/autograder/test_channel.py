"""The line between grader and worker: what goes in comes out, and whatever does not fit is refused before it can hurt."""

from __future__ import annotations

import json
import math
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest
import safetensors.torch
import torch
from torch import Tensor

from autograder.banks import bank, ids
from autograder.channel import DTYPES, HEADER, MAGIC, Channel, Ended, Malformed, pair
from autograder.checks import exercise
from autograder.student import Answer, Call, Failure, Local
from autograder.wire import pack_answer, pack_call, unpack_answer, unpack_call

Ends = tuple[Channel, Channel]


@pytest.fixture
def ends() -> Iterator[Ends]:
    here, there = pair()
    other = Channel(there)
    yield here, other
    here.close()
    other.close()


def soon() -> float:
    return time.monotonic() + 5


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 4), (2, 3)])
def test_tensors_arrive_bit_by_bit(ends: Ends, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    here, there = ends
    sent = (torch.randn(shape) * 3).to(dtype)
    here.send({"n": 1}, {"x": sent})
    message, tensors = there.receive(soon())
    assert message == {"n": 1}
    assert tensors["x"].dtype == dtype and tensors["x"].shape == shape
    assert torch.equal(tensors["x"], sent)


def test_views_subclasses_and_shared_memory_arrive_as_plain_tensors(ends: Ends) -> None:
    class Other(Tensor):
        pass

    base = torch.arange(12.0).reshape(3, 4)
    sent = {
        "t": base.T,
        "e": base[:1].expand(3, 4),
        "s": base[:, ::2],
        "o": base.as_subclass(Other),
        "b": base,
    }
    here, there = ends
    here.send({}, {**sent, "g": base.clone().requires_grad_()})
    _, found = there.receive(soon())
    assert all(type(each) is Tensor and not each.requires_grad for each in found.values())
    assert all(torch.equal(found[name], each.as_subclass(Tensor)) for name, each in sent.items())
    found["t"][0, 0] = 7  # may be written to
    assert base[0, 0] == 0


def test_a_message_larger_than_the_pipe_and_a_descriptor_arrive(ends: Ends) -> None:
    here, there = ends
    large = torch.randn(10**6)
    received = []
    thread = threading.Thread(target=lambda: received.append(there.receive_with_file(soon())))
    thread.start()
    read, write = os.pipe()
    here.send({"x": "ä" * 1000}, {"x": large}, soon(), files=[write])
    thread.join()
    ((message, tensors, descriptor),) = received
    os.write(descriptor, b"!")
    assert os.read(read, 1) == b"!"
    assert message["x"] == "ä" * 1000 and torch.equal(tensors["x"], large)
    for each in (read, write, descriptor):
        os.close(each)


def frame(
    header: bytes, body: bytes = b"", magic: bytes = MAGIC, lengths: tuple[int, int] | None = None
) -> bytes:
    return magic + struct.pack("<IQ", *(lengths or (len(header), len(body)))) + header + body


def tensors_of(dtype: str, shape: list[int], data: bytes = b"\0" * 8) -> bytes:
    head = json.dumps({"x": {"dtype": dtype, "shape": shape, "data_offsets": [0, len(data)]}}).encode()
    return struct.pack("<Q", len(head)) + head + data


DEEP = b"[" * 200_000 + b"]" * 200_000
BAD = {
    "another beginning": frame(b"{}", magic=b"HTTP"),
    "a pickle": frame(b"\x80\x04N."),
    "no JSON": frame(b"{'a': 1}"),
    "no object": frame(b"[1]"),
    "not UTF-8": frame(b'{"a": "\xff"}'),
    "deeper than Python can go": frame(b'{"a": ' + DEEP + b"}"),
    "a header that is too long": frame(b"", lengths=(HEADER + 1, 0)),
    "a body that is too long": frame(b"{}", lengths=(2, 2**62)),
    "no safetensors": frame(b"{}", b"x" * 64),
    "a header of safetensors that lies": frame(b"{}", struct.pack("<Q", 2**60) + b"{}"),
    "too little data": frame(b"{}", tensors_of("F64", [4])),
    "another type": frame(b"{}", tensors_of("F8_E4M3", [8])),
    "a shape that overflows": frame(b"{}", tensors_of("F32", [2**62, 2**62])),
    "an empty tensor of endless size": frame(b"{}", tensors_of("F32", [0, 2**62], b"")),
    "hundreds of tensors": frame(b"{}", safetensors.torch.save({str(n): torch.zeros(1) for n in range(600)})),
}


@pytest.mark.parametrize("raw", BAD.values(), ids=list(BAD))
def test_what_does_not_fit_is_refused(raw: bytes) -> None:
    here, there = socket.socketpair()
    thread = threading.Thread(target=lambda: here.sendall(raw))
    thread.start()
    with pytest.raises(Malformed):
        Channel(there).receive(soon())
    there.close()
    thread.join()
    here.close()


def test_an_end_in_the_middle_and_silence_are_told_apart() -> None:
    here, there = socket.socketpair()
    here.sendall(frame(b'{"a": 1}')[:-2])
    channel = Channel(there)
    with pytest.raises(TimeoutError):
        channel.receive(time.monotonic() + 0.05)
    here.close()
    with pytest.raises(Ended):
        channel.receive(soon())
    channel.close()


def test_whoever_does_not_read_cannot_hold_the_sender_up(ends: Ends) -> None:
    here, _ = ends
    with pytest.raises(TimeoutError):
        here.send({}, {"x": torch.zeros(10**6)}, time.monotonic() + 0.05)


def test_sending_to_nobody_says_so(ends: Ends) -> None:
    here, there = ends
    there.close()
    with pytest.raises(Ended):
        for _ in range(3):
            here.send({})


def across(ends: Ends, call: Call) -> Call:
    here, there = ends
    header, tensors = pack_call(call)
    here.send(header, tensors)
    return unpack_call(*there.receive(soon()))


def back(ends: Ends, answer: Answer) -> Answer:
    here, there = ends
    header, tensors = pack_answer(answer)
    here.send(header, tensors)
    return unpack_answer(*there.receive(soon()))


@pytest.mark.parametrize("id", ids())
def test_what_is_said_about_a_piece_is_the_same_across_the_line(ends: Ends, id: str) -> None:
    each = exercise(id)
    for piece in (bank(id).right, *bank(id).wrong.values()):
        student = Local({each.piece: piece})
        assert each.judge(
            lambda call, student=student: back(ends, student(across(ends, call)))
        ) == each.judge(student)


GOOD = Answer({"": torch.ones(2)}, "a tensor", {"0": torch.ones(1), "1": None}, (0,), None)
HEAD, TENSORS = pack_answer(GOOD)


@pytest.mark.parametrize(
    "change",
    [
        {"outputs": {"": 1}},
        {"outputs": [1]},
        {"outputs": ["", "more"]},
        {"kind": 5},
        {"gradients": []},
        {"gradients": {"0": "yes"}},
        {"gradients": {"2": True}},
        {"changed": [True]},
        {"changed": ["0"]},
        {"changed": None},
        {"failure": "text"},
        {"failure": ["a", "b"]},
        {"failure": ["a", "b", ["c"]]},
    ],
    ids=str,
)
def test_an_answer_with_other_parts_is_refused(change: dict[str, object]) -> None:
    assert unpack_answer(HEAD, TENSORS).changed == (0,)
    with pytest.raises(Malformed):
        unpack_answer({**HEAD, **change}, TENSORS)


@pytest.mark.parametrize(
    "header", [{}, {"piece": 1}, {"piece": "x", "arguments": 5}, {"arguments": [{"tensor": "t9"}]}]
)
def test_what_is_no_call_is_refused(header: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        unpack_call(header, {})


def test_long_words_are_cut(ends: Ends) -> None:
    failure = back(ends, Answer(failure=Failure("E" * 10**4, "m" * 10**4, "l" * 10**4))).failure
    assert failure is not None
    assert max(len(failure.kind), len(failure.message), len(failure.line)) <= 1000


def test_infinity_is_no_deadline(ends: Ends) -> None:
    here, there = ends
    here.send({"a": math.nan}, deadline=math.inf)
    message, _ = there.receive()
    assert math.isnan(message["a"])


def test_the_last_word_is_heard_of_one_who_read_nothing() -> None:
    """A room that cannot be built tells why, while it is sent what nobody will read."""
    here, there = pair()
    room = Channel(there)
    here.send({"files": 1}, {"f": torch.zeros(10_000, dtype=torch.uint8)})
    room.send({"error": "no namespaces"})
    room.close()
    with pytest.raises(Ended):
        here.send({"more": True})
    message, _, file = here.receive_with_file(time.monotonic() + 5)
    assert (message, file) == ({"error": "no namespaces"}, -1)
    with pytest.raises(Ended):
        here.receive_with_file(time.monotonic() + 5)
    here.close()
