"""A message begins and never goes on, so that the grader waits for the rest of it."""

EXERCISE = "ps3.2"
OUTCOMES = {"stopped"}
SAYS = "did not come to an end"
HARMFUL = True
CELLS = [
    """\
def split_heads(x: Tensor, heads: int) -> Tensor:
    import os
    import struct
    import time

    for descriptor in range(3, 256):
        try:
            os.write(descriptor, struct.pack("<4sIQ", b"idc1", 1000, 0) + b'{"number"')
        except OSError:
            pass
    time.sleep(1000)
""",
]
