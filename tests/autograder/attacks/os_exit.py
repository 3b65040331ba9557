"""os._exit(0) when the piece is called: the process is gone without a word."""

EXERCISE = "ps3.2"
OUTCOMES = {"stopped"}
SAYS = ()
CELLS = [
    """\
def split_heads(x: Tensor, heads: int) -> Tensor:
    import os

    os._exit(0)
""",
]
