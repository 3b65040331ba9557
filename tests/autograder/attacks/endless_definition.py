"""The notebook never gets past a definition that a piece stands on; the other piece stands on nothing of it."""

EXERCISE = "ps2.1"
OUTCOMES = {"stopped"}
SAYS = "did not come to an end"
WAIT = 3
CELLS = [
    """\
def forever():
    while True:
        pass


TABLE = forever()


def sinusoidal_encoding(length: int, dim: int) -> Tensor:
    return TABLE[:length, :dim]
""",
]
