"""A single instruction runs for hours and never lets another thread of the interpreter in."""

EXERCISE = "ps2.2"
OUTCOMES = {"stopped"}
SAYS = "did not come to an end"
WAIT = 3
CELLS = [
    """\
def grid_encoding(column: Tensor, row: Tensor) -> Tensor:
    import itertools

    return sum(itertools.repeat(0, 10**15))
""",
]
