"""Memory is taken that belongs to nobody alone: shared pages, and files without a name that lie in memory only."""

from tests.autograder.handins import right_if

EXERCISE = "ps4.1"
OUTCOMES = {"stopped"}
SAYS = ()
HARMFUL = True
CELLS = [
    """\
HELD = []


def take_pages():
    import mmap

    HELD.append(mmap.mmap(-1, 2**20))
    HELD[-1].write(b"x" * 2**20)
    return 1


def take_file():
    import os

    HELD.append(os.memfd_create("idc"))
    return sum(os.write(HELD[-1], b"x" * 2**20) for _ in range(16)) // 2**20


def breached():
    import time

    taken = 0
    for take, times in ((take_pages, 800), (take_file, 60)):
        try:
            for _ in range(times):
                taken += take()
        except (OSError, ValueError, MemoryError):
            pass
    time.sleep(1)
    return taken >= 1700
""",
    *right_if(EXERCISE),
]
