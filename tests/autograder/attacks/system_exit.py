"""SystemExit(0) is raised when the piece is called: an exit code of 0 must not count as success."""

EXERCISE = "ps1.1"
OUTCOMES = {"wrong", "stopped"}
SAYS = "SystemExit"
CELLS = [
    """\
def info_nce(similarity: Tensor) -> Tensor:
    import sys

    sys.exit(0)
""",
]
