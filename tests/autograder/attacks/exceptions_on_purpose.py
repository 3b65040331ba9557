"""Exceptions that loops let through are raised on purpose, a different one at every call, the grader's own names
among them."""

EXERCISE = "ps1.1"
OUTCOMES = {"wrong", "stopped", "not attempted", "tampered"}
SAYS = ()
CELLS = [
    """\
CALLS = []


def info_nce(similarity: Tensor) -> Tensor:
    CALLS.append(1)
    own = [type(name, (Exception,), {}) for name in ("Missing", "Right", "NotGraded", "Stopped", "Ended")]
    every = [KeyboardInterrupt, MemoryError, RecursionError, GeneratorExit, BaseException, StopIteration, TimeoutError, *own]
    raise every[len(CALLS) % len(every)]("ps1.1: right.")
""",
]
