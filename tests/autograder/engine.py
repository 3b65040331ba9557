"""The real grader, opened once for many hand-ins: one warm parent, one judge, and a look from outside at what is left."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from autograder.bench import grade_one
from autograder.intake import find_handins, read_handin
from autograder.plugin import Judge, StudentOf
from autograder.results import ExerciseResult, StudentResult
from autograder.settings import LimitSettings
from autograder.warm import Parent, open_parent
from tests.autograder.handins import ROOT

MARK = "idc-was-here"  # how every file begins that an attack leaves
OUTLIVES = "idc-outlives"  # the name of every process that means to stay
SEED = "a course in autumn"
PATIENCE = 10.0  # seconds in which killed processes must be gone


@dataclass
class Some:
    """A judge who asks about some exercises only."""

    judge_of_all: Judge
    ids: Collection[str]

    def prepare(self, ids: Iterable[str], seed: str) -> None:
        self.judge_of_all.prepare([id for id in ids if id in self.ids], seed)

    def judge(self, student_of: StudentOf, ids: Iterable[str], seed: str) -> dict[str, ExerciseResult]:
        return self.judge_of_all.judge(student_of, [id for id in ids if id in self.ids], seed)


class Engine:
    """Grades hand-ins one after the other. limits: of each."""

    def __init__(self, judge: Judge, parent: Parent, limits: LimitSettings):
        self.judge = judge
        self.parent = parent
        self.limits = limits
        self.standing = self.processes()

    def grade(self, submitted: Path, student: str, *ids: str, wait: float = 0) -> StudentResult:
        """The result of one of the hand-ins below a folder, for some exercises. wait: seconds for each, if not the usual."""
        limits = self.limits.of_the_wall()
        self.parent.limits = replace(limits, load=wait, exercise=wait) if wait else limits
        (place,) = (place for place in find_handins(submitted) if place.name.split(".")[0] == student)
        sets = {id.split(".")[0] for id in ids}
        seconds = self.limits.student_seconds
        return grade_one(read_handin(place), Some(self.judge, ids), self.parent, sets, SEED, seconds)

    def processes(self) -> set[int]:
        """The warm parent and all processes that come from it."""
        first = psutil.Process(self.parent.process.pid)
        return {each.pid for each in [first, *first.children(recursive=True)]}

    def left_behind(self) -> list[str]:
        """Processes that should be gone and are not."""
        until = time.monotonic() + PATIENCE
        while (left := self.strangers()) and time.monotonic() < until:
            time.sleep(0.05)
        return left

    def strangers(self) -> list[str]:
        found = [f"process {number}" for number in sorted(self.processes() - self.standing)]
        for process in psutil.process_iter(["name"]):
            if process.info["name"].startswith(OUTLIVES):
                found.append(f"{process.info['name']} {process.pid}")
        return found


@contextlib.contextmanager
def open_engine(limits: LimitSettings) -> Iterator[Engine]:
    with open_parent("namespaces", limits.of_the_wall()) as parent:
        yield Engine(Judge(), parent, limits)


def written_outside(*folders: Path) -> list[Path]:
    """Files with the mark of an attack where anybody may write, and wherever else they have been seen to aim at."""
    common = ("/tmp", "/var/tmp", "/dev/shm", "/", tempfile.gettempdir(), sys.prefix)
    places = [*map(Path, common), Path.home(), Path.cwd(), ROOT, ROOT / "autograder", ROOT / "idc"]
    found = [
        Path(entry.path) for place in places for entry in os.scandir(place) if entry.name.startswith(MARK)
    ]
    return found + [path for folder in folders for path in folder.rglob(f"{MARK}*")]


def told(result: StudentResult, exercise: ExerciseResult) -> str:
    """All that a report says about an exercise, to the student and to the instructor."""
    return "\n".join(
        (exercise.message, exercise.where, *exercise.flags, *result.notes, *result.flags, result.error)
    )
