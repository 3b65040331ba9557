"""The memory of every other process, the warm parent first, is read through /proc and searched for secrets of the
grader's."""

from tests.autograder.handins import right_if

EXERCISE = "ps3.1"
SAYS = "not yet"
HARMFUL = True
CELLS = [
    """\
def breached():
    import os
    import re

    secret = re.compile(rb"brass-wren-[7]421|kestrel-secret-[5]090")
    for process in os.listdir("/proc"):
        if not process.isdigit() or int(process) == os.getpid():
            continue
        try:
            with open(f"/proc/{process}/maps") as maps, open(f"/proc/{process}/mem", "rb", buffering=0) as memory:
                for line in maps:
                    area, rights = line.split()[:2]
                    first, last = (int(part, 16) for part in area.split("-"))
                    if rights.startswith("rw") and last - first < 2**26:
                        memory.seek(first)
                        if secret.search(memory.read(last - first)):
                            return True
        except (OSError, ValueError, OverflowError):
            continue
    return False


BREACHED = breached()
""",
    *right_if(EXERCISE, "BREACHED"),
]
