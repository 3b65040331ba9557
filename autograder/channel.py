"""A private line between two processes: messages by value, JSON with tensors beside it, never pickle.

    channel.send({"call": 3}, {"x": tensor})
    message, tensors = channel.receive(deadline)

A frame is `MAGIC`, the length of the header (4 bytes), the length of the body (8 bytes), the header (JSON, UTF-8) and
the body (safetensors). Who receives trusts nothing: lengths are capped before memory is taken, and types are looked at
before a tensor is made. What does not fit raises `Malformed`.
"""

from __future__ import annotations

import array
import json
import math
import os
import select
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from typing import Any

import safetensors
import torch
from safetensors import SafetensorError
from torch import Tensor

MAGIC = b"idc1"
PREFIX = struct.Struct("<4sIQ")
HEADER = 2 * 2**20  # bytes of JSON, at most
BODY = 128 * 2**20  # bytes of tensors that are taken from the other side, at most
TENSORS = 512  # in one message, at most
NUMBERS = 10**7  # in one tensor, at most
DTYPES = {
    "F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64, "BOOL": torch.bool,
    "U8": torch.uint8, "I8": torch.int8, "I16": torch.int16, "I32": torch.int32, "I64": torch.int64,
}  # fmt: skip
NAMES = {dtype: name for name, dtype in DTYPES.items()}
LENGTH = struct.Struct("<Q")
CHUNK = 2**20


class Malformed(Exception):
    """What came is no message."""


class Ended(Exception):
    """The other side is gone."""


class Channel:
    """One end of the line. body: the largest body that is taken, in bytes; numbers: the largest tensor."""

    def __init__(self, end: socket.socket, body: int = BODY, numbers: int = NUMBERS):
        self.end = end
        self.body = body
        self.numbers = numbers
        end.setblocking(False)

    def send(
        self,
        message: Mapping[str, Any],
        tensors: Mapping[str, Tensor] | None = None,
        deadline: float = math.inf,
        files: Sequence[int] = (),
    ) -> None:
        """Send a message; `files` are descriptors that go along. Raises Ended, and TimeoutError after `deadline`."""
        header = json.dumps(message).encode("utf-8")
        body = body_of(tensors) if tensors else b""
        frame = memoryview(PREFIX.pack(MAGIC, len(header), len(body)) + header + body)
        try:
            if files:  # they travel with the first byte
                rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))]
                self.wait(select.POLLOUT, deadline)
                frame = frame[self.end.sendmsg([frame[:1]], rights) :]
            while frame:
                try:
                    frame = frame[self.end.send(frame[:CHUNK]) :]
                except BlockingIOError:
                    self.wait(select.POLLOUT, deadline)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Ended("the other side is gone") from error

    def receive(self, deadline: float = math.inf) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """The next message. Raises Ended, Malformed, and TimeoutError after `deadline` (of time.monotonic)."""
        return self.rest(self.take(PREFIX.size, deadline), deadline)

    def receive_with_file(self, deadline: float = math.inf) -> tuple[dict[str, Any], dict[str, Tensor], int]:
        """The next message and the descriptor that came along, -1 if none did."""
        self.wait(select.POLLIN, deadline)
        try:
            first, files, _, _ = socket.recv_fds(self.end, 1, 4)
        except ConnectionResetError:
            first, files = b"", []
        if not first:
            raise Ended("the other side is gone")
        for extra in files[1:]:
            os.close(extra)
        rest = first + self.take(PREFIX.size - 1, deadline)
        return *self.rest(rest, deadline), files[0] if files else -1

    def rest(self, prefix: bytes, deadline: float) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """The message that follows a prefix."""
        magic, header, body = PREFIX.unpack(prefix)
        if magic != MAGIC:
            raise Malformed("what came does not begin as a message does")
        if header > HEADER or body > self.body:
            raise Malformed(f"a message of {header} + {body} bytes; at most {HEADER} + {self.body} are taken")
        return read_header(self.take(header, deadline)), read_body(self.take(body, deadline), self.numbers)

    def take(self, count: int, deadline: float) -> bytes:
        """Exactly that many bytes."""
        parts = bytearray()
        while len(parts) < count:
            try:
                part = self.end.recv(min(CHUNK, count - len(parts)))
            except BlockingIOError:
                self.wait(select.POLLIN, deadline)
                continue
            except ConnectionResetError:
                part = b""
            if not part:
                raise Ended("the other side is gone")
            parts += part
        return bytes(parts)

    def wait(self, event: int, deadline: float) -> None:
        """Wait until the line can be read from or written to. Raises TimeoutError."""
        poll = select.poll()
        poll.register(self.end, event)
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(None if left == math.inf else math.ceil(1000 * left)):
            raise TimeoutError("the other side did not answer in time")

    def is_quiet(self) -> bool:
        """Whether nothing waits to be read."""
        poll = select.poll()
        poll.register(self.end, select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        self.end.close()


def pair() -> tuple[Channel, socket.socket]:
    """A line: this process' end, and the other one to give away."""
    here, there = socket.socketpair()
    return Channel(here), there


def body_of(tensors: Mapping[str, Tensor]) -> bytes:
    """Tensors as safetensors has them: the length of an index, the index as JSON, the numbers. Raises TypeError for a
    type that is not taken.

    Written here, for a library that copies less would be asked a thousand times a hand-in; it is read by the library.
    """
    index, parts, end = {}, [], 0
    for name, tensor in tensors.items():
        numbers = bytes_of(tensor)
        begin, end = end, end + len(numbers)
        index[name] = {
            "dtype": NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
        parts.append(numbers)
    head = json.dumps(index).encode("utf-8")
    return b"".join([LENGTH.pack(len(head)), head, *parts])


def bytes_of(tensor: Tensor) -> bytes:
    """The numbers of a tensor in order, whatever it is a view or a subclass of."""
    if tensor.dtype not in NAMES:
        raise TypeError(f"numbers of the type {tensor.dtype} are not taken")
    whole = tensor.detach().as_subclass(Tensor).resolve_neg()
    return (whole.view(torch.int16) if whole.dtype is torch.bfloat16 else whole).numpy().tobytes()


def read_header(raw: bytes) -> dict[str, Any]:
    try:
        header = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Malformed(f"the header is no JSON: {type(error).__name__}") from error
    if not isinstance(header, dict):
        raise Malformed("the header is no JSON object")
    return header


def read_body(raw: bytes, numbers: int = NUMBERS) -> dict[str, Tensor]:
    """The tensors of a body. Raises Malformed for another type, too many numbers or what is no safetensors."""
    if not raw:
        return {}
    try:
        found = safetensors.deserialize(raw)
    except SafetensorError as error:
        raise Malformed("the body is no safetensors") from error
    if len(found) > TENSORS:
        raise Malformed(f"{len(found)} tensors in one message; at most {TENSORS} are taken")
    return {name: read_tensor(each, numbers) for name, each in found}


def read_tensor(view: Mapping[str, Any], numbers: int) -> Tensor:
    dtype, shape = DTYPES.get(view["dtype"]), view["shape"]
    if dtype is None:
        raise Malformed(f"a tensor of the type {view['dtype']!r}, which is not taken")
    if len(shape) > 16 or max(shape, default=0) > numbers or math.prod(shape) > numbers:
        raise Malformed(
            f"a tensor of {len(shape)} dimensions and too many numbers; at most {numbers} are taken"
        )
    if not math.prod(shape):
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(bytearray(view["data"]), dtype=dtype).reshape(shape)
