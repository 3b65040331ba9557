"""A way back into the real file system is looked for: new namespaces, mounts, chroot, file handles, /proc/1/root,
devices."""

from tests.autograder.handins import right_if

EXERCISE = "ps4.3"
SAYS = "not yet"
HARMFUL = True
CELLS = [
    """\
def breached():
    import ctypes
    import os

    libc = ctypes.CDLL(None, use_errno=True)
    for flag in (0x10000000, 0x10020000, 0x20000, 0x20000000, 0x40000000, 0x8000000):
        if os.fork() == 0:
            os._exit(7 if libc.unshare(flag) == 0 else 0)
    while True:
        try:
            if os.waitstatus_to_exitcode(os.wait()[1]) == 7:
                return True
        except ChildProcessError:
            break
    if libc.mount(b"tmpfs", b"/tmp", b"tmpfs", 0, None) == 0 or libc.umount2(b"/tmp", 2) == 0:
        return True
    if libc.chroot(b"/tmp") == 0 or libc.setuid(0) == 0 or libc.setgid(0) == 0 or libc.syscall(155, b".", b".") == 0:
        return True
    for name in ("mnt", "pid", "net", "user"):
        for process in filter(str.isdigit, os.listdir("/proc")):
            try:
                handle = os.open(f"/proc/{process}/ns/{name}", os.O_RDONLY)
            except OSError:
                continue
            if libc.setns(handle, 0) == 0 and int(process) != os.getpid():
                return True
            os.close(handle)
    for kind, number in ((0o020000, os.makedev(1, 1)), (0o060000, os.makedev(8, 0))):
        try:
            os.mknod("/tmp/device", kind | 0o666, number)
            return True
        except OSError:
            pass
    readable = ("/dev/mem", "/dev/kmsg", "/dev/sda", "/dev/vda", "/proc/kcore", "/dev/fuse", "/dev/kvm", "/dev/net/tun")
    writable = ("/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches", "/dev/new")
    for names, mode in ((readable, "rb"), (readable + writable, "ab")):
        for name in names:
            try:
                open(name, mode).close()
                return True
            except OSError:
                pass
    return False


BREACHED = breached()
""",
    *right_if(EXERCISE, "BREACHED"),
]
