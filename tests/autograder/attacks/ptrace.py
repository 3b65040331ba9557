"""The parent is seized with ptrace, read with process_vm_readv, and asked for its descriptors with pidfd_getfd."""

from tests.autograder.handins import right_if

EXERCISE = "ps3.2"
SAYS = "not yet"
HARMFUL = True
CELLS = [
    """\
def breached():
    import ctypes
    import os

    libc = ctypes.CDLL(None, use_errno=True)
    others = [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]
    for process in {os.getppid(), 1, *others} - {0}:
        attach, seize, detach = 16, 0x4206, 17
        if libc.ptrace(seize, process, None, None) == 0 or libc.ptrace(attach, process, None, None) == 0:
            libc.ptrace(detach, process, None, None)
            return True
        handle = libc.syscall(434, process, 0)
        if handle >= 0 and any(libc.syscall(438, handle, number, 0) >= 0 for number in range(3, 12)):
            return True
    return False
""",
    *right_if(EXERCISE),
]
