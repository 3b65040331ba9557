"""The piece sleeps: it takes no processor time, so that a limit on that would never strike."""

EXERCISE = "ps1.1"
OUTCOMES = {"stopped"}
SAYS = "did not come to an end"
CELLS = [
    """\
def info_nce(similarity: Tensor) -> Tensor:
    import time

    time.sleep(10**6)
""",
]
