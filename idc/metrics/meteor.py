"""METEOR from one Java process that stays alive: validation asks again and again, and its start takes seconds.

What METEOR finds out about a caption and its references is one line of text, which is remembered; the score of a corpus
is computed from those lines. Denkowski and Lavie 2014; the program is the one that comes with pycocoevalcap. It takes
about 1.4 GB of memory until this process ends, or until `METEOR.stop()`.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import Any

from idc.errors import UserError
from idc.metrics.java import java
from idc.metrics.memory import Memory

AT_ONCE = 200  # questions that are asked before the answers are read, which must fit into a pipe
Question = tuple[str, tuple[str, ...]]  # a caption, its references


class Meteor:
    """Asks a METEOR process, which is started when first needed, and again when it died or in a forked child."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.process: Any = None
        self.statistics: Memory[Question, str] = Memory(50_000)
        if hasattr(os, "register_at_fork"):  # not where processes cannot fork
            os.register_at_fork(after_in_child=self.forget)

    def forget(self) -> None:
        """In a forked child: the process is the parent's, and a thread that is not here may hold the lock."""
        self.lock = threading.Lock()
        if self.process is not None:
            self.process.returncode = 0  # tells subprocess that there is nothing to wait for
            self.close()

    def close(self) -> None:
        """Our ends of the pipes. When nobody holds them any more, the process ends by itself."""
        self.process.stdin.close()
        self.process.stdout.close()
        self.process = None

    def stop(self) -> None:
        """End the process, if there is one."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.close()

    def start(self) -> None:
        """A running process, if there is none. Its pipes have no buffers, which a fork would copy."""
        if self.process is not None and self.process.poll() is None:
            return
        from pycocoevalcap.meteor import meteor

        self.stop()
        command = ["java", "-Xmx2G", "-jar", meteor.METEOR_JAR, "-", "-", "-stdio", "-l", "en", "-norm"]
        with java():
            self.process = Popen(
                command, bufsize=0, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, cwd=Path(meteor.__file__).parent
            )

    def exchange(self, lines: Sequence[str], answers: int) -> list[str]:
        """Send lines, read that many. Raises EOFError or BrokenPipeError when the process dies over them."""
        rest = memoryview("".join(f"{line}\n" for line in lines).encode())
        while rest:
            rest = rest[self.process.stdin.write(rest) :]
        said, ended = [], 0
        while ended < answers:
            said.append(self.process.stdout.read(1 << 16))
            if not said[-1]:
                raise EOFError
            ended += said[-1].count(b"\n")
        return b"".join(said).decode().splitlines()

    def ask(self, lines: Sequence[str], answers: int) -> list[str]:
        """Send lines, read that many. A process that dies over them is replaced, once.

        Raises UserError when the second one dies, too.
        """
        for _ in range(2):
            self.start()
            try:
                return self.exchange(lines, answers)
            except BaseException as error:
                self.stop()  # an answer may be under way that nobody will read
                if not isinstance(error, (EOFError, BrokenPipeError)):
                    raise
        raise UserError(
            "METEOR's Java process ended twice before it answered; it needs about 2 GB of memory. Free some, or leave "
            "METEOR out with --metrics BLEU,ROUGE-L,CIDEr."
        )

    def find(self, questions: Sequence[Question]) -> list[str]:
        """METEOR's statistics of captions with their references, a line of numbers each."""
        # "|||" separates captions. That it is removed from the candidate and stays in references is pycocoevalcap's way.
        lines = [
            " ||| ".join(("SCORE", *references, caption.replace("|||", "").replace("  ", " ")))
            for caption, references in questions
        ]
        parts = [lines[start : start + AT_ONCE] for start in range(0, len(lines), AT_ONCE)]
        return [answer for part in parts for answer in self.ask(part, len(part))]

    def score(self, questions: Sequence[Question]) -> float:
        """METEOR of a corpus: captions with their references; words separated by spaces."""
        with self.lock:
            statistics = self.statistics.recall(questions, self.find)
            # The answer is one score for every item, then that of the corpus.
            return float(self.ask([" ||| ".join(["EVAL", *statistics])], len(statistics) + 1)[-1])


METEOR = Meteor()
atexit.register(METEOR.stop)
