"""Memory is taken that counts for nobody: shared pages, and files that exist in memory only."""

from tests.autograder.handins import right_if

EXERCISE = "ps4.1"
OUTCOMES = {"wrong", "stopped"}
SAYS = ()
HARMFUL = True
CELLS = [
    """\
HELD = []


def breached():
    import mmap
    import os

    page = b"x" * 2**20
    taken = 0
    try:
        for _ in range(1024):
            HELD.append(mmap.mmap(-1, 2**20))
            HELD[-1].write(page)
            taken += 1
    except (OSError, ValueError, MemoryError):
        pass
    try:
        for _ in range(16):
            handle = os.memfd_create("idc")
            HELD.append(handle)
            for _ in range(64):
                taken += os.write(handle, page) // 2**20
    except OSError:
        pass
    return taken >= 2000


BREACHED = breached()
""",
    *right_if(EXERCISE, "BREACHED"),
]
