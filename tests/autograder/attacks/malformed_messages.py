"""Messages that are nearly right: overlapping and negative tensors, unknown types, deep and doubled JSON, half
characters."""

from tests.autograder.handins import LINE

EXERCISE = "ps3.2"
OUTCOMES = {"tampered", "wrong", "stopped"}
SAYS = ()
CELLS = [
    LINE,
    """\
def shape(header, count):
    import json
    import struct

    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(count)


def bodies():
    yield shape({"output 0": {"dtype": "F32", "shape": [4], "data_offsets": [0, 2**63]}}, 16)
    yield shape({"output 0": {"dtype": "F32", "shape": [-1, -4], "data_offsets": [0, 16]}}, 16)
    yield shape({"output 0": {"dtype": "F32", "shape": [2**32, 2**32], "data_offsets": [0, 0]}}, 0)
    yield shape({"a": {"dtype": "F64", "shape": [2], "data_offsets": [0, 16]},
                 "b": {"dtype": "F64", "shape": [2], "data_offsets": [8, 24]}}, 24)
    yield shape({"output 0": {"dtype": "PICKLE", "shape": [1], "data_offsets": [0, 1]}}, 1)
    yield shape(b"[" * 10**5, 0)
    yield shape({"x" * 10**6: {"dtype": "U8", "shape": [], "data_offsets": [0, 1]}}, 1)
    yield b"\\xff" * 64


HEADERS = (
    b'{"number": 1, "number": 2, "answer": {"outputs": [NaN, Infinity], "kind": null}}',
    b"[" * 10**6,
    b'{"number": ' + b"9" * 10**6 + b"}",
    b'{"answer": {"outputs": ["\\\\ud800"], "kind": "\\\\udfff", "gradients": {}, "changed": [true], "failure": null}}',
    b"\\xff\\xfe",
)
CALLS = []


def split_heads(x: Tensor, heads: int) -> Tensor:
    import socket
    import struct

    CALLS.append(1)
    kinds = [(b'{"number": %d, "answer": {}}' % len(CALLS), body) for body in bodies()]
    kinds += [(header, b"") for header in HEADERS]
    header, body = kinds[len(CALLS) % len(kinds)]
    line().end.sendall(struct.pack("<4sIQ", b"idc1", len(header), len(body)) + header + body)
    return x
""",
]
