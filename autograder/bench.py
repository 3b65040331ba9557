"""One hand-in is judged: the wall on one side, the hidden checks on the other.

`grade_one` does it; `work` is the same as a task of plain values, for a process of its own. That process opens a `Bench`
once, which costs seconds, and keeps it.
"""

from __future__ import annotations

import contextlib
import multiprocessing.util
import threading
import time
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from autograder.intake import Handin
from autograder.keys import checks_digests, environment
from autograder.results import ExerciseResult, Outcome, Plain, StudentResult
from autograder.settings import LimitSettings
from idc.errors import UserError

if TYPE_CHECKING:  # they bring torch, which only the process that judges needs
    from autograder.plugin import Judge
    from autograder.student import Answer, Call, Student
    from autograder.warm import Parent

OURS = (
    "import torch\n\ndef info_nce(similarity):\n    return torch.einsum('ij,ij->', similarity, similarity)\n"
)
UNSAFE = "graded without a wall: nothing kept this student's code from changing the result"


class Order(Plain):
    """What is to be graded, and how; the files of the hand-in travel beside it.

    sets: problem sets. seed: of the questions. digests: of the checks that the sender has, by problem set. environment: its
    versions. checks: a folder of hidden checks instead of the course's.
    """

    student: str
    sets: tuple[str, ...]
    notes: tuple[str, ...] = ()
    handed_in: dict[str, datetime | None] = Field(default_factory=dict)
    error: str = ""
    seed: str = ""
    isolation: str = "auto"
    limits: LimitSettings = LimitSettings()
    digests: dict[str, str] = Field(default_factory=dict)
    environment: str = ""
    checks: Path | None = None

    def handin(self, files: Mapping[str, bytes]) -> Handin:
        return Handin(self.student, dict(files), self.notes, self.handed_in, self.error)


class Bench:
    """The hidden checks, read once, and a warm parent, for the lifetime of a process.

    Raises UserError where the checks cannot be read or no wall can be built.
    """

    def __init__(self, order: Order):
        import torch

        from autograder.plugin import Judge
        from autograder.warm import open_parent

        torch.set_num_threads(
            1
        )  # there are as many of these processes as cores, and threads that wait for work take it away
        self.closing = contextlib.ExitStack()
        self.isolation, self.limits = order.isolation, order.limits
        self.checks = order.checks
        self.judge = Judge(order.checks)
        self.parent = self.closing.enter_context(open_parent(order.isolation, order.limits.of_the_wall()))
        try:
            try_out(self.parent)
        except BaseException:
            self.closing.close()
            raise

    def serves(self, order: Order) -> bool:
        return (self.checks, self.isolation, self.limits) == (order.checks, order.isolation, order.limits)


def try_out(parent: Parent) -> None:
    """Ask a hand-in of our own, whose answer is known: nobody loses points for a wall that does not stand on this machine.

    Raises UserError when something else comes.
    """
    import torch

    from autograder.student import Call

    asked = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
    one = torch.ones((), dtype=torch.float64)
    with parent.room({"ps1_infonce.py": OURS.encode()}) as room:
        answer = room.student("ps1.1")(Call("info_nce", (asked,), want=(one,)))
    found, slope = answer.outputs.get(""), answer.gradients.get("0")
    if (
        found is None
        or slope is None
        or not torch.equal(found, asked.square().sum())
        or not torch.equal(slope, 2 * asked)
    ):
        said = answer.failure.message if answer.failure else "a wrong answer came"
        raise UserError(
            f"the wall does not work on this machine: code of our own, run behind it, failed ({said}). Nobody was graded. "
            "Can every user read this clone's Python and its packages? --unsafe grades without a wall."
        )


bench: Bench | None = None  # of this process
one_at_a_time = (
    threading.Lock()
)  # a Dask worker may have several threads; the checks have one student at a time


def open_bench(order: Order) -> Bench:
    """This process's bench, made anew when it is the first or serves no more. Raises UserError when it cannot be made."""
    global bench
    if bench is not None and bench.serves(order):
        return bench
    close_bench()
    if order.environment != environment():
        raise UserError(
            f"here is {environment()}, the batch was started with {order.environment}. Install the same versions everywhere."
        )
    here = checks_digests(order.checks)
    if different := [set for set in order.sets if here.get(set) != order.digests.get(set)]:
        raise UserError(
            f"the checks of {', '.join(different)} are not those that the batch was started with: they were changed "
            "while it ran, or another machine has another version. Start it again; what is graded is kept."
        )
    try:
        bench = Bench(order)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"the grader cannot start ({type(error).__name__}: {error}).") from error
    multiprocessing.util.Finalize(bench, close_bench, exitpriority=1)
    return bench


def close_bench() -> None:
    """End the warm parent of this process."""
    global bench
    if bench is not None:
        bench.closing.close()
    bench = None


def work(order: str, files: Mapping[str, bytes]) -> str:
    """An `Order` and the files of a hand-in as plain values; the `StudentResult` as JSON.

    Raises UserError where nothing at all can be graded, RuntimeError where this hand-in could not.
    """
    asked = Order.model_validate_json(order)
    with one_at_a_time:
        mine = open_bench(asked)
        try:
            result = grade_one(
                asked.handin(files),
                mine.judge,
                mine.parent,
                asked.sets,
                asked.seed,
                asked.limits.student_seconds,
            )
        except Exception as error:
            close_bench()  # whatever is broken there is made anew for the next one
            raise RuntimeError(f"{type(error).__name__}: {error}") from error
    return result.model_dump_json()


def grade_one(
    handin: Handin, judge: Judge, parent: Parent, sets: Collection[str], seed: str, seconds: float
) -> StudentResult:
    """Judge a student's problem sets.

    seed: of the questions. seconds: for the whole hand-in; exercises that are not judged by then count as stopped.
    """
    from autograder.checks import exercises
    from autograder.contest import judge_handin
    from autograder.warm import NoRoom

    started = time.monotonic()
    ids = [each.id for each in exercises().values() if each.set in sets]
    found: dict[str, ExerciseResult] = {}
    notes, flags, error = list(handin.notes), [], handin.error
    if not error and ids:
        try:
            with parent.room(handin.files, ids, meanwhile=lambda: judge.prepare(ids, seed)) as room:
                student_of = until(room.student, started + seconds, seconds)
                for id, result in judge.judge(student_of, ids, seed).items():
                    found[id] = result.model_copy(
                        update={"where": result.where or room.where.get(result.piece, "")}
                    )
                notes += room.notes
                flags += room.flags
        except NoRoom as reason:
            error = str(reason)
    if "ps6" in sets:
        report = judge_handin(handin.files)
        found[report.id] = report
    if error:
        found = nothing(sets, error)
    if parent.isolation == "none":
        flags.append(UNSAFE)
    return StudentResult(
        student=handin.student,
        exercises=found,
        handed_in=dict(handin.handed_in),
        notes=tuple(notes),
        flags=tuple(dict.fromkeys(flags)),
        error=error,
        isolation=parent.isolation,
        seconds=time.monotonic() - started,
    )


def until(
    student_of: Callable[[str, tuple[str, ...]], Student], deadline: float, seconds: float
) -> Callable[[str, tuple[str, ...]], Student]:
    """`student_of` as long as there is time; then somebody who is out of it."""
    from autograder.student import Answer, Failure

    def out_of_time(call: Call) -> Answer:
        return Answer(failure=Failure("OutOfTime", f"the whole hand-in took more than {seconds:.0f} seconds"))

    def ask(id: str, lent: tuple[str, ...]) -> Student:
        return student_of(id, lent) if time.monotonic() < deadline else out_of_time

    return ask


def nothing(
    sets: Collection[str], reason: str, outcome: Outcome = Outcome.NOT_ATTEMPTED
) -> dict[str, ExerciseResult]:
    """The exercises of problem sets that could not be judged at all. reason: for the student."""
    from autograder.checks import exercises
    from autograder.contest import judge_handin

    chosen = [each for each in exercises().values() if each.set in sets]
    found = {
        each.id: ExerciseResult(
            id=each.id, piece=each.piece, outcome=outcome, points=0, out_of=each.points, message=reason
        )
        for each in chosen
    }
    if "ps6" in sets:
        report = judge_handin({})
        found[report.id] = report.model_copy(update={"outcome": outcome, "points": 0, "message": reason})
    return found
