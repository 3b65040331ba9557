"""Every descriptor gets bytes that look like messages, and bytes that look like nothing."""

EXERCISE = "ps1.2"
OUTCOMES = {"tampered", "stopped"}
SAYS = ()
HARMFUL = True
CELLS = [
    """\
def write_everywhere():
    import json
    import os
    import struct

    header = json.dumps({"number": 1, "answer": {"outputs": [], "verdict": "right"}, "points": 4}).encode()
    frame = struct.pack("<4sIQ", b"idc1", len(header), 0) + header
    for descriptor in range(3, 256):
        for bytes_ in (frame, b"\\x80\\x04." * 100, os.urandom(1000), b'{"outcome": "right"}\\n'):
            try:
                os.set_blocking(descriptor, False)
                os.write(descriptor, bytes_)
            except OSError:
                pass


def info_nce_gradient(similarity: Tensor) -> Tensor:
    write_everywhere()
    return similarity * 0
""",
]
