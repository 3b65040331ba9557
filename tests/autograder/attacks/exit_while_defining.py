"""Definitions end the process: SystemExit and os._exit(0) where a piece is defined; a neighbour stands on none of
it."""

EXERCISE = "ps1.1"
OUTCOMES = {"wrong", "stopped", "not attempted"}
SAYS = ()
CELLS = [
    """\
def end():
    import os

    os._exit(0)


ENDED = end()


def info_nce(similarity: Tensor, ready=ENDED) -> Tensor:
    return similarity.sum()
""",
]
