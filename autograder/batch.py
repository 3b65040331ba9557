"""A class is graded: every hand-in gets a result, whatever happens to it or to us.

    grades/secret                  from which every hand-in's own questions are drawn
    grades/results/<student>.json  written whole or not at all, as soon as a hand-in is judged

A result with the right key (see `keys.py`) is kept, so a batch that was killed goes on where it stopped, and after a change
only that is graded again which the change concerns. What fails on our side is tried once more; what fails on the
student's side is a result.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tqdm import tqdm

from autograder.bench import Order, nothing, work
from autograder.intake import Handin, find_handins, identify, read_handin
from autograder.keys import (
    checks_digests,
    digest,
    environment,
    in_order,
    join_keys,
    key_of,
    read_secret,
    seed_of,
    split_keys,
)
from autograder.lanes import executor
from autograder.results import Outcome, StudentResult
from autograder.settings import Settings
from idc.errors import UserError
from idc.files import locked

LONGEST = 120  # bytes of a name in a file's name; file systems take 255, and a temporary name is longer
GRACE = 300.0  # seconds beyond those of a hand-in: for starting up, and for the grader's own work
SORRY = "This could not be graded yet, which is the grader's fault and not yours. Your instructor is told."


@dataclass(frozen=True)
class Wish:
    """What is to be graded, and how.

    sets: problem sets, () for those of the settings. students: () for all. dask: the address of a scheduler. force: grade
    again what is graded. checks: a folder of hidden checks instead of the course's own.
    """

    submitted: Path
    out: Path
    settings: Settings = field(default_factory=Settings)
    sets: tuple[str, ...] = ()
    students: tuple[str, ...] = ()
    dask: str | None = None
    force: bool = False
    checks: Path | None = None


@dataclass(frozen=True)
class Job:
    """An order on its way. keys: what its result will be known by, by problem set. old: what there was before."""

    order: Order
    files: dict[str, bytes]
    keys: dict[str, str]
    old: StudentResult | None


@dataclass
class Graded:
    """What a batch did.

    results: all that there are now. now: students who were graded. strangers: students with results and no hand-in.
    """

    results: list[StudentResult] = field(default_factory=list)
    now: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)


def grade(wish: Wish) -> Graded:
    """Grade the hand-ins that are not graded yet. One result each is there afterwards.

    Raises UserError when there are no hand-ins, no wall can be built, another batch works in the same folder, and for names
    of problem sets and students that are none.
    """
    digests = checks_digests(wish.checks)
    sets = chosen_sets(wish.sets or wish.settings.sets, list(digests))
    places = find_places(wish.submitted, wish.students)
    graded = Graded()
    busy = f"somebody is grading into {wish.out} at this moment; wait until that is done, or choose another --out."
    with locked(wish.out / ".lock", busy):
        sweep(wish.out)
        secret = read_secret(secret_file(wish))
        patience = wish.settings.limits.student_seconds + GRACE
        jobs = min(wish.settings.processes(), len(places))
        with (
            executor(jobs, wish.dask, patience) as (lanes, ahead),
            tqdm(total=len(places), desc="grading", unit="hand-in", disable=None) as bar,
        ):

            def to_do() -> Iterator[Job]:
                for place in places.values():
                    job = plan(read(place), wish, sets, digests, secret)
                    if job is not None:
                        yield job
                    else:
                        bar.update()

            for job, result in carry_out(to_do(), lanes, ahead):
                merged(job, result).write(result_file(wish.out, job.order.student))
                graded.now.append(job.order.student)
                bar.update()
    graded.results = read_results(wish.out)
    if not wish.students:
        graded.strangers = [each.student for each in graded.results if each.student not in places]
    return graded


def find_places(submitted: Path, students: Sequence[str]) -> dict[str, Path]:
    """Where the hand-ins of students lie, () for all. Raises UserError for a student who has none."""
    places = {identify(place)[1]: place for place in find_handins(submitted)}
    if not places:
        raise UserError(
            f"{submitted} holds no hand-ins: a folder, an archive or a notebook for each student."
        )
    if unknown := sorted(set(students) - places.keys()):
        near = difflib.get_close_matches(unknown[0], places, n=1)
        way = f"did you mean “{near[0]}”?" if near else f"there are {len(places)} others."
        raise UserError(f"{submitted} holds no hand-in of “{unknown[0]}”; {way}")
    return {student: place for student, place in places.items() if not students or student in students}


def chosen_sets(wanted: Sequence[str], known: list[str]) -> tuple[str, ...]:
    if unknown := [set for set in wanted if set not in known]:
        raise UserError(f"there is no problem set “{unknown[0]}”; there are {', '.join(known)}.")
    return tuple(in_order(set(wanted))) or tuple(known)


def secret_file(wish: Wish) -> Path:
    return Path(wish.settings.secret) if wish.settings.secret else wish.out / "secret"


def sweep(out: Path) -> None:
    """Remove what a killed batch left half-written."""
    for path in (out / "results").glob(".*.json"):
        path.unlink(missing_ok=True)


def result_file(out: Path, student: str) -> Path:
    name = student.encode()
    if len(name) > LONGEST:
        student = f"{name[:40].decode(errors='ignore')}-{digest(name).hex()[:16]}"
    return out / "results" / f"{student}.json"


def read_result(path: Path) -> StudentResult | None:
    """A result, None if there is none that can be read."""
    try:
        return StudentResult.read(path)
    except (OSError, ValueError):
        return None


def read_results(out: Path) -> list[StudentResult]:
    """All results in a folder, by student."""
    files = sorted(path for path in (out / "results").glob("*.json") if not path.name.startswith("."))
    return [result for path in files if (result := read_result(path)) is not None]


def read(place: Path) -> Handin:
    """A hand-in; should reading fail by our fault, one that says so."""
    try:
        return read_handin(place)
    except Exception as error:  # noqa: BLE001, a row whatever happens
        name, student, notes = identify(place)
        reason = f"this hand-in could not be read ({type(error).__name__}: {error})"
        return Handin(student, {}, tuple(notes), {}, reason, name)


def plan(
    handin: Handin, wish: Wish, sets: Sequence[str], digests: dict[str, str], secret: bytes
) -> Job | None:
    """What is to be done about a hand-in, None if it is graded."""
    settings = wish.settings
    content = handin.digest() + "\n".join((*handin.notes, handin.error))
    seed = seed_of(secret, handin.student, handin.digest())
    how = {"seed": seed, "isolation": settings.isolation, "limits": asdict(settings.limits)}
    keys = {set: key_of(content, digests[set], how) for set in sets}
    path = result_file(wish.out, handin.student)
    old = read_result(path)
    known = split_keys(old.key) if old else {}
    missing = tuple(set for set in sets if wish.force or known.get(set) != keys[set])
    if not missing:
        if old is not None and old.handed_in != dict(handin.handed_in):
            old.model_copy(update={"handed_in": dict(handin.handed_in)}).write(path)
        return None
    order = Order(
        student=handin.student,
        sets=missing,
        notes=handin.notes,
        handed_in=dict(handin.handed_in),
        error=handin.error,
        seed=seed,
        isolation=settings.isolation,
        limits=settings.limits,
        digests={set: digests[set] for set in missing},
        environment=environment(),
        checks=wish.checks,
    )
    return Job(order, dict(handin.files), {set: keys[set] for set in missing}, old)


def carry_out(jobs: Iterable[Job], lanes: Executor, ahead: int) -> Iterator[tuple[Job, StudentResult]]:
    """The results of jobs as they come, `ahead` of them under way at one time.

    A job that fails is done once more when all others are done, alone; if it fails again, that is its result. Raises
    UserError where nothing can be graded.
    """
    under_way: dict[Future[str], Job] = {}
    again: list[Job] = []

    def finished() -> Iterator[tuple[Job, StudentResult]]:
        done, _ = wait(under_way, return_when=FIRST_COMPLETED)
        for future in done:
            job = under_way.pop(future)
            result = outcome(job, future)
            if is_graded(result):
                yield job, result
            else:
                again.append(job)

    for job in jobs:
        under_way[start(lanes, job)] = job
        if len(under_way) >= ahead:
            yield from finished()
    while under_way:
        yield from finished()
    for job in again:
        yield job, outcome(job, start(lanes, job))


def start(lanes: Executor, job: Job) -> Future[str]:
    return lanes.submit(work, job.order.model_dump_json(), job.files)


def outcome(job: Job, future: Future[str]) -> StudentResult:
    """What came of a job. Raises UserError where nothing can be graded."""
    try:
        return StudentResult.model_validate_json(future.result())
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001, whatever broke on our side, there is a row
        return not_graded(job.order, f"{type(error).__name__}: {error}")


def not_graded(order: Order, reason: str) -> StudentResult:
    """The row of a hand-in that we failed to grade."""
    return StudentResult(
        student=order.student,
        exercises=nothing(order.sets, SORRY, Outcome.NOT_GRADED),
        handed_in=order.handed_in,
        notes=order.notes,
        flags=(f"not graded: {reason.strip().splitlines()[-1]}",),
        error=SORRY,
    )


def is_graded(result: StudentResult, set: str | None = None) -> bool:
    """Whether all exercises, of a problem set or at all, were judged."""
    return all(each.outcome is not Outcome.NOT_GRADED for each in result.chosen(set))


def merged(job: Job, new: StudentResult) -> StudentResult:
    """A new result together with the problem sets of the old one that were not graded again."""
    graded = job.order.sets
    old = job.old or StudentResult(student=new.student)
    exercises = new.exercises | {
        id: each for id, each in old.exercises.items() if id.split(".")[0] not in graded
    }
    keys = {set: key for set, key in split_keys(old.key).items() if set not in graded}
    keys |= {set: key for set, key in job.keys.items() if is_graded(new, set)}
    kept = tuple(
        flag for flag in old.flags if flag.partition(":")[0].partition(".")[0] in keys.keys() - set(graded)
    )
    return new.model_copy(
        update={
            "exercises": {id: exercises[id] for id in in_order(exercises)},
            "key": join_keys({set: keys[set] for set in in_order(keys)}),
            "flags": tuple(dict.fromkeys((*new.flags, *kept))),
        }
    )
