"""Hundreds of megabytes are printed, in one line, to every stream there is."""

EXERCISE = "ps1.2"
SAYS = "not yet"
HARMFUL = True
OUTCOMES = {"wrong", "stopped"}
CELLS = [
    """\
def shout():
    import os
    import sys

    line = b"6.0 " * 2**20
    for _ in range(40):
        for descriptor in (1, 2):
            try:
                os.write(descriptor, line)
            except OSError:
                pass
    for stream in (sys.stdout, sys.stderr):
        print("6.0 " * 2**22, file=stream)
    return True


SHOUTED = shout()


def info_nce_gradient(similarity: Tensor, ready=SHOUTED) -> Tensor:
    shout()
    return similarity
""",
]
