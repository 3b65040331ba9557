"""METEOR from one Java process that stays alive: validation asks again and again, and its start takes seconds.

What METEOR finds out about a caption and its references is one line of text, which is remembered; the score of a corpus
is computed from those lines. Denkowski and Lavie 2014; the program is the one that comes with pycocoevalcap.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from idc.errors import UserError
from idc.metrics.java import java
from idc.metrics.memory import Memory

AT_ONCE = 200  # questions that are asked before the answers are read, which must fit into a pipe
Question = tuple[str, tuple[str, ...]]  # a caption, its references


class MeteorProcess:
    """A METEOR process with a memory. It is started when first needed, and again after a crash or in a forked child."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.process: Any = None
        self.owner = os.getpid()
        self.statistics: Memory[Question, str] = Memory(200_000)

    def leave_to_parent(self) -> None:
        """In a forked child the process belongs to the parent, and a thread that is not here may hold the lock."""
        if self.owner != os.getpid():
            self.owner, self.lock, self.process = os.getpid(), threading.Lock(), None

    def start(self) -> Any:
        """The running process."""
        if self.process is None or self.process.poll() is not None:
            from pycocoevalcap.meteor import meteor

            self.stop()
            atexit.register(self.stop)
            with java():
                self.process = subprocess.Popen(
                    ["java", "-Xmx2G", "-jar", meteor.METEOR_JAR, "-", "-", "-stdio", "-l", "en", "-norm"],
                    cwd=Path(meteor.__file__).parent,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )
        return self.process

    def stop(self) -> None:
        """End the process, if there is one."""
        atexit.unregister(self.stop)
        process, self.process = self.process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            with contextlib.suppress(BrokenPipeError):
                stream.close()

    def ask(self, lines: Sequence[str], answers: int) -> list[str]:
        """Send lines, read that many. Raises UserError when the process dies over them."""
        process = self.start()
        try:
            process.stdin.write(("\n".join(lines) + "\n").encode())
            process.stdin.flush()
            said = [process.stdout.readline().decode().strip() for _ in range(answers)]
        except BaseException as error:  # an answer may be under way that nobody will read
            self.stop()
            if isinstance(error, BrokenPipeError):
                raise UserError(
                    "METEOR's Java process ended while it was asked; run the evaluation again."
                ) from error
            raise
        if not all(said):
            code = process.wait()
            self.stop()
            raise UserError(
                f"METEOR's Java process ended with code {code} before it answered; it needs about 2 GB of memory. "
                "Leave it out with --metrics BLEU,ROUGE-L,CIDEr, or free some memory."
            )
        return said

    def learn(self, questions: Sequence[Question]) -> list[str]:
        """The statistics of questions, which are remembered."""
        # The separator cannot be part of a caption; removing it is what pycocoevalcap does.
        lines = [
            " ||| ".join(("SCORE", *references, caption.replace("|||", "").replace("  ", " ")))
            for caption, references in questions
        ]
        answers = self.ask(lines, len(lines))
        self.statistics.update(zip(questions, answers, strict=True))
        return answers

    def score(self, captions: Sequence[str], references: Sequence[Sequence[str]]) -> float:
        """METEOR of a corpus: a caption and its references for every item; words separated by spaces."""
        self.leave_to_parent()
        questions = [(c, tuple(r)) for c, r in zip(captions, references, strict=True)]
        with self.lock:
            known = {q: line for q in questions if (line := self.statistics.get(q)) is not None}
            missing = [q for q in dict.fromkeys(questions) if q not in known]
            for start in range(0, len(missing), AT_ONCE):
                part = missing[start : start + AT_ONCE]
                known |= zip(part, self.learn(part), strict=True)
            # One score for every item, then that of the corpus.
            line = " ||| ".join(["EVAL", *(known[q] for q in questions)])
            return float(self.ask([line], len(questions) + 1)[-1])


METEOR = MeteorProcess()
