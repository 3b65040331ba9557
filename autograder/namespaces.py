"""Linux namespaces, limits and privileges of the calling process, by the system's own calls.

The outer wall is bubblewrap's (`sandbox.py`). Within it every hand-in gets a room of its own, and that must be built
without a new interpreter: forking a process that has imported torch takes milliseconds, starting one takes seconds.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path

from autograder.sandbox import NOBODY

MOUNTS, NAMES, MESSAGES, USERS, PROCESSES, NETWORK = (
    0x20000,
    0x4000000,
    0x8000000,
    0x10000000,
    0x20000000,
    0x40000000,
)
NO_SET_USER, NO_DEVICES, NO_PROGRAMS, BIND, RECURSIVE, PRIVATE = 2, 4, 8, 0x1000, 0x4000, 0x40000
SET_DUMPABLE, DROP_FROM_BOUND, ADOPT_ORPHANS, NO_NEW_PRIVILEGES = 4, 24, 36, 38
CAPABILITIES = 64


@dataclass(frozen=True)
class Limits:
    """What a hand-in may use.

    memory: bytes, of a process and of all of them together. processes: at one time. disk: bytes of /tmp and of shared
    memory, each. files: open at one time. load: seconds to read the hand-in or to run its definitions. call: seconds of
    one call of a piece. exercise: seconds of all calls of one exercise.
    """

    memory: int = 3 * 2**30
    processes: int = 64
    disk: int = 256 * 2**20
    files: int = 256
    load: float = 30.0
    call: float = 20.0
    exercise: float = 120.0


def call(name: str, *arguments: object) -> None:
    """A function of the C library that answers 0 if it went well. Raises OSError."""
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def unshare(what: int) -> None:
    call("unshare", what)


def mount(kind: str, target: str, flags: int, options: str = "") -> None:
    call(
        "mount",
        kind.encode(),
        target.encode(),
        kind.encode(),
        ctypes.c_ulong(flags),
        options.encode() or None,
    )


def separate() -> None:
    """Leave the users, mounts, messages, names and network around; the next child is the first process of its own world."""
    user, group = os.geteuid(), os.getegid()
    unshare(USERS | MOUNTS | MESSAGES | NAMES | NETWORK | PROCESSES)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{NOBODY} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{NOBODY} {group} 1")


def first_of_its_world(disk: int) -> None:
    """See only one's own processes and files. Must be the first process after `separate`."""
    call("mount", None, b"/", None, ctypes.c_ulong(RECURSIVE | PRIVATE), None)
    mount("proc", "/proc", NO_SET_USER | NO_DEVICES | NO_PROGRAMS)
    Path("/proc/sys/user/max_user_namespaces").write_text("0")  # no worlds within this one
    fresh_folders(disk)


def fresh_folders(disk: int) -> None:
    """Empty folders for what is written; gone with the last process that sees them. Python stays where it lies."""
    for folder in ("/tmp", "/dev/shm"):
        kept = {path: os.open(path, os.O_PATH | os.O_DIRECTORY) for path in of_python_below(folder)}
        mount("tmpfs", folder, NO_SET_USER | NO_DEVICES, f"mode=1777,size={disk},nr_inodes=20000")
        for path, handle in kept.items():
            Path(path).mkdir(parents=True)
            source = f"/proc/self/fd/{handle}".encode()
            call("mount", source, path.encode(), None, ctypes.c_ulong(BIND | RECURSIVE), None)
            os.close(handle)
    os.chdir("/tmp")


def of_python_below(folder: str) -> list[str]:
    """Folders of this Python and its packages that lie below another one, the outermost ones."""
    everywhere = map(Path, (sys.prefix, sys.base_prefix, *sys.path))
    places = {str(place.resolve()) for place in everywhere if place.is_dir()}
    found = sorted(place for place in places if place.startswith(f"{folder}/"))
    return [place for place in found if not any(place.startswith(f"{other}/") for other in found)]


def adopt_orphans() -> None:
    """Become the parent of all descendants whose own one ends, so that none is lost. Only Linux can."""
    if sys.platform == "linux":
        call("prctl", ADOPT_ORPHANS, 1, 0, 0, 0)


def hide_memory(hidden: bool) -> None:
    """Whether others of the same user are kept from this process' memory and descriptors."""
    call("prctl", SET_DUMPABLE, 0 if hidden else 1, 0, 0, 0)


def give_up_privileges() -> None:
    """No capability, now or later."""
    call("prctl", NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    for number in range(CAPABILITIES):
        libc.prctl(DROP_FROM_BOUND, number, 0, 0, 0)  # EINVAL for those that this kernel does not know
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3, this process
    call("capset", header, (ctypes.c_uint32 * 6)())


def become(user: int) -> None:
    """Another user, for good. Needs root."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    call("prctl", NO_NEW_PRIVILEGES, 1, 0, 0, 0)


def data_size() -> int:
    """Bytes of data that this process has already, most of them shared with the warm parent."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("VmData:"))


def keep_within(limits: Limits, processes: int | None = None) -> None:
    """Hold this process and its children to the limits."""
    for name, most in (
        (resource.RLIMIT_DATA, limits.memory + data_size()),
        (resource.RLIMIT_NPROC, processes or limits.processes),
        (resource.RLIMIT_FSIZE, limits.disk),
        (resource.RLIMIT_NOFILE, limits.files),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(name)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(name, (most, most))


def own_memory(process: int) -> int:
    """Bytes that a process holds and that lie on no disk, shared pages and files in memory too; 0 when it is gone."""
    if sys.platform != "linux":
        import psutil

        with contextlib.suppress(psutil.Error):
            return psutil.Process(process).memory_info().rss
        return 0
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        pages = sum(
            1024 * int(line.split()[1]) for line in lines if line.startswith(("RssAnon:", "RssShmem:"))
        )
        return pages + nameless_files(process)
    return 0


def nameless_files(process: int) -> int:
    """Bytes of files without a name, in memory only, that a process has open; 0 where that cannot be seen."""
    total = 0
    with contextlib.suppress(OSError):
        for link in Path(f"/proc/{process}/fd").iterdir():
            if str(link.readlink()).startswith("/memfd:"):
                total += 512 * link.stat().st_blocks
    return total
