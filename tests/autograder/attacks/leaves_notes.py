"""Whoever comes first leaves a note: in folders for everybody, shared memory, message queues, locks, keys. Whoever
comes later
and finds one knows the way."""

from tests.autograder.handins import right_if

EXERCISE = "ps1.2"
SAYS = "not yet"
HARMFUL = True
CELLS = [
    """\
PLACES = ("/tmp", "/dev/shm", "/var/tmp", "/run", "/kit", "/var/lock", "/dev/mqueue", "/home", ".")


def breached():
    import ctypes
    import os
    import socket

    libc = ctypes.CDLL(None, use_errno=True)
    found = any(os.path.exists(f"{place}/idc-was-here-note") for place in PLACES)
    found = found or libc.shmget(0x1DC, 64, 0) >= 0 or libc.semget(0x1DC, 1, 0) >= 0 or libc.msgget(0x1DC, 0) >= 0
    found = found or socket.gethostname() == "idc-was-here"
    return found


def leave():
    import ctypes
    import socket

    for place in PLACES:
        try:
            open(f"{place}/idc-was-here-note", "w").close()
        except OSError:
            pass
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmget(0x1DC, 64, 0o1666), libc.semget(0x1DC, 1, 0o1666), libc.msgget(0x1DC, 0o1666)
    try:
        socket.sethostname("idc-was-here")
    except OSError:
        pass
    return True


BREACHED = breached()
LEFT = leave()
""",
    *right_if(EXERCISE, "LEFT and BREACHED"),
]
