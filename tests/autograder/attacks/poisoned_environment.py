"""The process is changed for whoever comes after: environment, folder, umask, limits, import path, signals, locale."""

EXERCISE = "ps5.4"
SAYS = "not yet"
CELLS = [
    """\
def poison():
    import locale
    import os
    import resource
    import signal
    import sys

    os.environ.update(PYTHONPATH="/tmp", LD_PRELOAD="/tmp/x.so", PYTHONSTARTUP="/tmp/x.py", OMP_NUM_THREADS="64", HOME="/")
    os.chdir("/")
    os.umask(0o777)
    sys.path[:] = ["/tmp"]
    sys.setrecursionlimit(60)
    sys.set_int_max_str_digits(0)
    for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
    return True


POISONED = poison()


def joint_loss(parts, weights, ready=POISONED):
    poison()
    return torch.zeros(())
""",
]
KEEPS = ("ps5.1",)
