"""An endless loop swallows every exception, ignores every signal that can be ignored and blocks the rest."""

EXERCISE = "ps1.2"
OUTCOMES = {"stopped"}
SAYS = "did not come to an end"
WAIT = 3
CELLS = [
    """\
def info_nce_gradient(similarity: Tensor) -> Tensor:
    import signal

    for number in signal.valid_signals():
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    while True:
        try:
            while True:
                pass
        except BaseException:
            continue
""",
]
