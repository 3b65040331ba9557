"""The course's own pieces for exercises that build on one that the student has not got right.

They are worked out in a process of their own: what a worker asks for may be made to take all memory, and that must not
be the grader's.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from autograder.channel import Channel, Ended, Malformed, pair
from autograder.student import Answer, Call, Failure
from autograder.wire import pack_all, pack_call, unpack_all, unpack_answer

ROOT = Path(__file__).resolve().parent.parent
MEMORY = 2 * 2**30
START = 120.0  # seconds until it must be ready


class Lender:
    """Answers calls with the references; started when it is first asked."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.number = 0

    def start(self) -> None:
        """Start the process unless it runs; takes seconds."""
        if self.process is not None:
            return
        self.line, end = pair()
        launch = "import sys; sys.path.insert(0, sys.argv.pop(1)); from autograder.lender import main; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", launch, str(ROOT), str(end.fileno())],
            pass_fds=[end.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )
        end.close()
        self.line.receive(time.monotonic() + START)

    def __call__(self, call: Call, deadline: float) -> Answer:
        """The reference's answer. Raises TimeoutError."""
        self.start()
        self.number += 1
        headers, tensors = pack_all(pack_call, [call])
        try:
            self.line.send({"number": self.number, "calls": headers}, tensors, deadline)
            message, tensors = self.line.receive(deadline)
            return unpack_all(unpack_answer, message.get("answers"), tensors, 1)[0]
        except (Ended, Malformed):
            self.close()
            return Answer(
                failure=Failure(
                    "MemoryError", "the course's piece could not be worked out for these arguments"
                )
            )
        except TimeoutError:
            self.close()
            raise

    def close(self) -> None:
        if self.process is not None:
            self.line.close()
            self.process.kill()
            self.process.wait()
            self.process = None


def main() -> None:
    """The process: every reference by the name of its piece, within limits."""
    import resource

    from autograder.banks import bank
    from autograder.checks import exercises
    from autograder.student import Local
    from autograder.worker import serve

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    line = Channel(socket.socket(fileno=int(sys.argv[1])))
    references = {each.piece: bank(each.id).right for each in exercises().values()}
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    line.send({"ready": True})
    serve(line, Local(references))
