"""A daemon, forked twice and in a session of its own, means to go on when the worker is gone."""

EXERCISE = "ps3.4"
SAYS = "not yet"
HARMFUL = True
CELLS = [
    """\
def daemon():
    import os
    import signal
    import time

    if os.fork():
        return True
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        with open("/proc/self/comm", "w") as name:
            name.write("idc-outlives")
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        while True:
            time.sleep(0.01)
            with open("/tmp/idc-was-here-daemon", "a") as file:
                file.write("still here\\n")
    finally:
        os._exit(0)


DAEMON = daemon()


class SelfAttention(MultiHeadAttention):
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        daemon()
        return x
""",
]
