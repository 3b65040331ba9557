"""A pytest plugin: hidden checks are ordinary tests, asked of a student's pieces.

    pytest autograder/checks/hidden -p autograder.plugin --student=submitted/ada

Fixtures: `student`, the pieces by name (`student.info_nce(x)`); `ask`, the same person for `Exercise.judge` and raw calls;
`exercise`, what is asked; `questions`, the calls that the marker `asks` names; `seed` and `rng`, random numbers that differ
from student to student and come again.
Markers: `exercise("ps1.1")`, which every test needs; `points(2)`, what it earns by itself; `timeout(20)`, seconds for the
student's answers in one test; `asks(calls=…)`, what a test asks whatever is answered, so that it can be sent ahead.

`Judge` asks the same tests of many students and imports them once.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import inspect
import math
import os
import sys
import time
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from _pytest.config import _prepareconfig

from autograder.checks import exercise as exercise_by_id
from autograder.checks import exercises
from autograder.checks.exercise import Exercise, Status, Verdict
from autograder.hidden import unseen
from autograder.proxy import Pieces
from autograder.results import ExerciseResult, Outcome, TestResult
from autograder.student import Answer, Call, Failure, Local, Student, ask_all
from idc.errors import UserError

NAME = "hidden checks"  # of the plugin that keeps them
ROOT = Path(__file__).resolve().parents[1]
HIDDEN = ROOT / "autograder" / "checks" / "hidden"
FIRST = ("test_visible", "test_new_questions")  # modules whose tests are asked before all others
# How a student's process may end instead of answering, and what is said when only a hidden check saw it.
ENDS = {
    "Crashed": "the process in which it runs ended",
    "OutOfTime": "it took more time than there is",
    "OutOfMemory": "it asked for more memory than there is",
    "Tampered": "something else than an answer came from the process in which it runs",
}
LONG = 2000  # letters of a test's message that are kept
MARKERS = (
    "exercise(id): the exercise that a hidden check belongs to",
    "points(number): what this test earns by itself; the tests of an exercise must add up to its points",
    "asks(calls): calls(exercise, seed) gives the calls of this test, none of which depends on an answer; they are "
    "sent ahead, and the fixture `questions` has them",
    "timeout(seconds): for the student's answers in one test",
)

StudentOf = Callable[[str, tuple[str, ...]], Student]  # exercise id, lent pieces -> whom to ask


def seed_of(secret: bytes, student: str) -> str:
    """The seed of a student's questions: nobody without the secret can work it out, and it is the same every time."""
    return hmac.new(secret, student.encode(), hashlib.sha256).hexdigest()


class Watched:
    """A student of whom it is noticed when there is no more to be expected.

    fate: how their process ended. broken: what went wrong on our side. until: when the time for the current test is up.
    """

    def __init__(self, student: Student):
        self.student = student
        self.fate: Failure | None = None
        self.broken = ""
        self.until = math.inf

    def __call__(self, call: Call) -> Answer:
        return self.many([call])[0]

    def many(self, calls: Sequence[Call]) -> list[Answer]:
        if self.fate is None and time.monotonic() > self.until:
            self.fate = Failure("OutOfTime", ENDS["OutOfTime"])
        if self.fate is not None:
            return [Answer(failure=self.fate)] * len(calls)
        try:
            answers = ask_all(self.student, calls)
        except Exception as error:
            self.broken = f"{type(error).__name__}: {error}"
            raise
        ends = [each.failure for each in answers if each.failure is not None and each.failure.kind in ENDS]
        self.fate = ends[0] if ends else None
        return answers

    def foresee(self, calls: Callable[[], Sequence[Call]]) -> None:
        """Calls that will come soon, for a student who can be asked ahead."""
        if self.fate is None and hasattr(self.student, "foresee"):
            self.student.foresee(calls())


@dataclass
class Asked:
    """What came out for one exercise so far."""

    lent: tuple[str, ...] = ()
    student: Watched | None = None
    verdict: Verdict | None = None
    broken: str = ""
    earlier: Asked | None = None  # a first try
    tests: list[TestResult] = field(default_factory=list)
    earned: float = 0.0

    @property
    def fate(self) -> Failure | None:
        """How the student's process ended; None while it lives."""
        return self.student.fate if self.student else None

    @property
    def outcome(self) -> Outcome:
        if self.fate is not None:
            return Outcome.TAMPERED if self.fate.kind == "Tampered" else Outcome.STOPPED
        if self.broken or not self.tests:
            return Outcome.NOT_GRADED
        if self.verdict is not None and self.verdict.status is Status.NOT_ATTEMPTED:
            return Outcome.NOT_ATTEMPTED
        return Outcome.RIGHT if all(test.passed for test in self.tests) else Outcome.WRONG

    @property
    def is_over(self) -> bool:
        """Whether more tests would tell nothing."""
        over = (Outcome.TAMPERED, Outcome.STOPPED, Outcome.NOT_ATTEMPTED)
        return bool(self.broken) or self.outcome in over


class Sitting:
    """One student being asked: their pieces for each exercise, and what came out. seed: of their questions."""

    def __init__(self, student_of: StudentOf, seed: str):
        self.student_of = student_of
        self.seed = seed
        self.asked: dict[str, Asked] = {}
        self.questions: dict[str, list[Call]] = {}  # of tests that say beforehand what they ask, by their ids

    def of(self, id: str) -> Asked:
        return self.asked.setdefault(id, Asked())

    def student(self, id: str) -> Watched:
        """Whom to ask, made at the first use."""
        asked = self.of(id)
        if asked.student is None:
            asked.lent = self.lent(id)
            asked.student = Watched(self.student_of(id, asked.lent))
        return asked.student

    def lent(self, id: str) -> tuple[str, ...]:
        """The pieces below an exercise that are not known to be right."""
        right = {each for each, asked in self.asked.items() if asked.outcome is Outcome.RIGHT}
        return tuple(exercise_by_id(each).piece for each in below(id) if each not in right)

    def deserves_another(self, id: str) -> bool:
        """Whether what went wrong may come from another exercise, asked before in the same process.

        A known mistake is the student's own. For the second try there is a process of its own.
        """
        asked = self.of(id)
        bad = asked.outcome in (Outcome.WRONG, Outcome.STOPPED, Outcome.TAMPERED)
        return bad and len(self.asked) > 1 and not (asked.verdict and asked.verdict.idea)

    def hear(self, id: str, name: str, points: float, report: pytest.TestReport) -> None:
        """Note a report of pytest on one phase of a test."""
        asked = self.of(id)
        asked.verdict = next(
            (value for _, value in report.user_properties if isinstance(value, Verdict)), asked.verdict
        )
        if asked.student is not None and asked.student.broken:
            asked.broken = asked.student.broken
        if report.when != "call":
            asked.broken = asked.broken or (text(report) if report.failed else "")
        elif not report.skipped:
            asked.tests.append(
                TestResult(name=name, passed=report.passed, message=text(report), seconds=report.duration)
            )
            asked.earned += points * report.passed

    def result(self, id: str, marked: Container[str]) -> ExerciseResult:
        """What came out for an exercise. marked: those whose tests earn points each."""
        each, asked = exercise_by_id(id), self.of(id)
        outcome, verdict = asked.outcome, asked.verdict or Verdict(Status.WRONG, "")
        nothing = outcome in (Outcome.TAMPERED, Outcome.NOT_ATTEMPTED, Outcome.NOT_GRADED)
        whole = float(each.points if outcome is Outcome.RIGHT else 0)
        failed = next((test.name for test in asked.tests if not test.passed), "")
        return ExerciseResult(
            id=id,
            piece=each.piece,
            outcome=outcome,
            points=whole if id not in marked else 0.0 if nothing else asked.earned,
            out_of=each.points,
            message=message(each, asked),
            idea=verdict.idea,
            check=verdict.check or failed,
            lent=asked.lent,
            flags=flags(asked),
            tests=tuple(asked.tests),
            seconds=sum(test.seconds for test in asked.tests),
        )


def below(id: str) -> list[str]:
    """The exercises that one builds on, and those that these build on, in the order of the course."""
    found: set[str] = set()
    open_ = [id]
    while open_:
        needs = set(exercise_by_id(open_.pop()).needs) - found
        found |= needs
        open_ += needs
    return [each for each in exercises() if each in found]


def message(each: Exercise, asked: Asked) -> str:
    """What the student is told: the visible check's words, or neutral ones; nothing of a hidden check."""
    about, outcome, verdict = f"{each.id} {each.title}", asked.outcome, asked.verdict
    if outcome is Outcome.NOT_GRADED:
        return f"{about}: could not be graded, which is not your fault. Your instructor sees why."
    if outcome is Outcome.TAMPERED:
        return f"{about}: no points, because {ENDS['Tampered']}. Ask your instructor."
    if verdict is not None and (verdict.status is not Status.RIGHT or outcome is Outcome.RIGHT):
        return verdict.message
    if asked.fate is not None:
        how = f"on inputs that this check does not hold {ENDS[asked.fate.kind]}"
        return f"{about}: not yet. It passes the check in the notebook, but {how}."
    return unseen(each)


def flags(asked: Asked) -> tuple[str, ...]:
    """What an instructor should look at."""
    found: list[str] = []
    if asked.earlier is not None and asked.earlier.outcome is Outcome.TAMPERED:
        found += flags(asked.earlier)
    if asked.outcome is Outcome.NOT_GRADED:
        found.append(f"the grader failed: {asked.broken or 'no test was run'}")
    if asked.outcome is Outcome.TAMPERED and asked.fate:
        found.append(f"something else than an answer came: {asked.fate.message}")
    if asked.outcome is Outcome.WRONG and asked.verdict and asked.verdict.status is Status.RIGHT:
        found.append(
            "right on the recorded questions, not on others: learned by heart, or some inputs forgotten"
        )
    return tuple(dict.fromkeys(found))


def text(report: pytest.TestReport) -> str:
    """Why a test failed, without the way there."""
    crash = getattr(report.longrepr, "reprcrash", None)
    return "" if report.passed else (crash.message if crash else report.longreprtext)[:LONG]


class Checks:
    """The hidden checks of a pytest session, by exercise, and the student who is asked."""

    def __init__(self) -> None:
        self.items: dict[str, list[pytest.Item]] = {}
        self.by_name: dict[str, pytest.Item] = {}
        self.sitting: Sitting | None = None
        self.errors: list[str] = []
        self.notes: list[str] = []  # for people, about the one student of a run

    def now(self) -> Sitting:
        if self.sitting is None:
            raise pytest.UsageError("whose pieces? Give --student=FOLDER_OR_NOTEBOOK.")
        return self.sitting

    @property
    def points(self) -> dict[str, float]:
        """What the marked tests of each exercise earn together, where there are any."""
        together = {id: sum(map(points_of, items)) for id, items in self.items.items()}
        return {id: points for id, points in together.items() if points}

    def ask(self, id: str) -> None:
        """Ask all that there is about one exercise; every test starts from nothing, so that any may be the last."""
        self.foresee(id)
        for item in self.items[id]:
            if self.now().of(id).is_over:
                return
            item.user_properties.clear()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)

    def foresee(self, id: str) -> None:
        """Tell the student what will be asked, as far as the tests say."""
        asked = self.now().of(id)
        try:
            self.now().student(id).foresee(
                lambda: [call for item in self.items[id] for call in self.foreseen(item)]
            )
        except Exception as error:  # noqa: BLE001, whatever the checks raise
            asked.broken = f"{type(error).__name__}: {error}"

    def foreseen(self, item: pytest.Item) -> list[Call]:
        """What a test asks whatever is answered: what the marker `asks` says, or else its first question."""
        known = self.now().questions
        if item.nodeid not in known:
            each, seed, marker = exercise_by_id(id_of(item)), self.seed(item), item.get_closest_marker("asks")
            known[item.nodeid] = (
                marker.kwargs["calls"](each, seed) if marker else first_question(item, each, seed)
            )
        return known[item.nodeid]

    def seed(self, item: pytest.Item) -> int:
        """A number of this student and this test."""
        words = f"{id_of(item)} {name_of(item)}"
        return int(seed_of(self.now().seed.encode(), words)[:15], 16)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.errors.append(report.longreprtext)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """The order of the course; for an exercise, the first modules first."""
        order = list(exercises())
        items.sort(key=lambda item: (order.index(id_of(item)), rank(item)))
        self.items = {id: [item for item in items if id_of(item) == id] for id in order}
        self.by_name = {item.nodeid: item for item in items}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if self.now().of(id_of(item)).is_over:
            pytest.skip("nothing more is to be learned about this exercise")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        item = self.by_name[report.nodeid]
        if self.sitting is not None:
            self.sitting.hear(id_of(item), name_of(item), points_of(item), report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        if not session.config.option.collectonly:
            self.now()

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self.sitting is None:
            return
        terminalreporter.section("exercises")
        for id in self.sitting.asked:
            result = self.sitting.result(id, self.points)
            terminalreporter.write_line(f"{result.points:g} of {result.out_of:g}  {result.message}")


class FirstAsked(BaseException):
    """A question was asked where nobody answers; no test catches it."""


class Nobody:
    """A student who is asked once. calls: what it was."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def __call__(self, call: Call) -> Answer:
        return self.many([call])[0]

    def many(self, calls: Sequence[Call]) -> list[Answer]:
        self.calls += calls
        raise FirstAsked


def first_question(item: pytest.Item, each: Exercise, seed: int) -> list[Call]:
    """What a test asks first: it is run until then. No calls for a test that wants other fixtures than those of here.

    Nothing was answered before, so there is nothing of an answer in them.
    """
    assert isinstance(item, pytest.Function)
    nobody = Nobody()
    given = {
        "ask": nobody, "student": Pieces(nobody), "exercise": each, "seed": seed, "rng": np.random.default_rng(seed),
        **getattr(getattr(item, "callspec", None), "params", {}),
    }  # fmt: skip
    names = inspect.signature(item.function).parameters.keys()
    if names <= given.keys():
        with random_numbers(seed), contextlib.suppress(FirstAsked, Exception):
            item.function(**{name: given[name] for name in names})
    return nobody.calls


def id_of(item: pytest.Item) -> str:
    """The exercise that a test belongs to. Raises UsageError."""
    marker = item.get_closest_marker("exercise")
    if marker is None or len(marker.args) != 1:
        raise pytest.UsageError(
            f'{item.nodeid} belongs to no exercise; mark it with @pytest.mark.exercise("ps1.1").'
        )
    if marker.args[0] not in exercises():
        raise pytest.UsageError(f"{item.nodeid} belongs to “{marker.args[0]}”, which is no exercise.")
    return str(marker.args[0])


def name_of(item: pytest.Item) -> str:
    return item.name.removesuffix(f"[{id_of(item)}]")


def points_of(item: pytest.Item) -> float:
    marker = item.get_closest_marker("points")
    return float(marker.args[0]) if marker else 0.0


def rank(item: pytest.Item) -> int:
    return FIRST.index(item.path.stem) if item.path.stem in FIRST else len(FIRST)


READ: set[Path] = set()  # folders of checks that were read in this process


def forget(folders: Iterable[Path]) -> None:
    """Let modules be read anew, and those of another folder with the same names be read at all."""
    for name, module in list(sys.modules.items()):
        file = Path(getattr(module, "__file__", None) or "nowhere")
        if any(file.is_relative_to(folder) for folder in folders):
            del sys.modules[name]


class Judge:
    """The hidden checks, read once, to be asked of many students in this process.

    checks: the folder of the tests. pytest.main would read the tests, run them and forget them; here its first steps are
    taken one by one, and later every test goes through the hook `pytest_runtest_protocol`, as in any run. No plugin but this
    one is loaded, nothing is written and nothing printed. Raises UserError for tests that cannot be read, belong to no
    exercise, or whose points do not add up.
    """

    def __init__(self, checks: Path | None = None):
        folder = HIDDEN if checks is None else checks.resolve()
        forget(READ)
        READ.add(folder)
        arguments = [
            str(folder), "-c", str(HIDDEN / "pytest.ini"), f"--rootdir={folder.anchor}", f"--confcutdir={folder}",
            "--disable-plugin-autoload", "-p", "no:terminal", "-p", "no:logging", "-p", "no:faulthandler", "--capture=no",
        ]  # fmt: skip
        meant_for_others = os.environ.pop("PYTEST_ADDOPTS", None)
        try:
            config = _prepareconfig(arguments)
            config.option.tbstyle = "line"
            config._do_configure()
            self.session = session = pytest.Session.from_config(config)
            config.hook.pytest_sessionstart(session=session)
            config.hook.pytest_collection(session=session)
        except pytest.UsageError as error:
            raise UserError(f"the hidden checks cannot be used: {error}") from error
        finally:
            if meant_for_others is not None:
                os.environ["PYTEST_ADDOPTS"] = meant_for_others
        self.prepared: dict[str, dict[str, list[Call]]] = {}  # of a seed, the questions of tests
        self.checks = checks_of(config)
        if self.checks.errors:
            raise UserError("the hidden checks cannot be read: " + "\n".join(self.checks.errors))
        for id, points in self.checks.points.items():
            if points != exercise_by_id(id).points:
                raise UserError(
                    f"the tests of {id} earn {points:g} points together, the exercise {exercise_by_id(id).points}; "
                    "make them equal."
                )

    def prepare(self, ids: Iterable[str], seed: str) -> None:
        """Make the questions that are known beforehand, for a `judge` with the same seed that comes next."""
        sitting = self.checks.sitting = Sitting(lambda id, lent: Nobody(), seed)
        try:
            for item in (item for id in ids for item in self.checks.items[id]):
                with contextlib.suppress(Exception):  # it comes again when the exercise is judged
                    self.checks.foreseen(item)
        finally:
            self.checks.sitting = None
        self.prepared = {seed: sitting.questions}

    def judge(self, student_of: StudentOf, ids: Iterable[str], seed: str) -> dict[str, ExerciseResult]:
        """Judge exercises in the order of the course. seed: of the student's questions, see `seed_of`.

        student_of: whom to ask for an exercise, where the named pieces of the course stand in for the student's own: those
        that the exercise builds on and that did not come out right. Raises UserError for an id that is none.
        """
        wanted = {exercise_by_id(id).id for id in ids}
        sitting = self.checks.sitting = Sitting(student_of, seed)
        sitting.questions = self.prepared.pop(seed, {})
        try:
            for id in exercises():
                if id in wanted:
                    self.checks.ask(id)
                    if sitting.deserves_another(id):
                        first = sitting.asked.pop(id)
                        self.checks.ask(id)
                        sitting.of(id).earlier = first
        except BaseException:  # in the middle of a test, whose fixtures still hold this student
            self.session._setupstate.teardown_exact(None)
            raise
        finally:
            self.checks.sitting = None
        return {id: sitting.result(id, self.checks.points) for id in exercises() if id in wanted}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("autograder")
    group.addoption("--student", type=Path, help="the folder or notebook whose pieces are asked")
    group.addoption("--seed", default="", help="of the questions; the same asks the same again")
    group.addoption(
        "--unsafe",
        action="store_true",
        help="run the student's code in this very process, without protection",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    if early_config.inipath == ROOT / "pyproject.toml":  # pytest took the student's folder for one of tests
        raise pytest.UsageError(
            "the settings of this repository's own tests were taken; write --student=FOLDER with an equals sign, and "
            "name a folder of checks that has a pytest.ini."
        )


def pytest_configure(config: pytest.Config) -> None:
    for line in MARKERS:
        config.addinivalue_line("markers", line)
    checks = Checks()
    config.pluginmanager.register(checks, NAME)
    place = config.getoption("student")
    if place is None:
        return
    way = in_this_process if config.getoption("unsafe") else behind_the_wall
    stack = contextlib.ExitStack()
    config.add_cleanup(stack.close)
    try:
        student_of, checks.notes = stack.enter_context(way(place))
    except UserError as error:
        raise pytest.UsageError(str(error)) from error
    checks.sitting = Sitting(student_of, config.getoption("seed"))


def checks_of(config: pytest.Config) -> Checks:
    found = config.pluginmanager.get_plugin(NAME)
    assert isinstance(found, Checks)
    return found


def pytest_report_header(config: pytest.Config) -> list[str]:
    return checks_of(config).notes


@contextlib.contextmanager
def in_this_process(place: Path) -> Iterator[tuple[StudentOf, list[str]]]:
    """A student whose code runs here, and what is to be said about that. Nothing is lent."""
    from autograder.submission import read_own

    own = read_own(place)
    student = Local(own.pieces)
    loud = "UNSAFE: the code of this student runs in this very process and may do whatever you may do."
    yield lambda id, lent: student, [loud, *own.notes]


@contextlib.contextmanager
def behind_the_wall(place: Path) -> Iterator[tuple[StudentOf, list[str]]]:
    """A student whose code runs in a sandbox, and what was refused or repaired. Raises UserError."""
    from autograder.intake import read_handin
    from autograder.warm import NoRoom, open_parent

    if not place.exists():
        raise UserError(f"there is no folder or file {place}; give what one student handed in.")
    handin = read_handin(place)
    if handin.error:
        raise UserError(f"{place} cannot be read: {handin.error}")
    with contextlib.ExitStack() as stack:
        parent = stack.enter_context(open_parent())
        try:
            room = stack.enter_context(parent.room(handin.files))
        except NoRoom as error:
            raise UserError(f"{place} cannot be read: {error}") from error
        yield room.student, [f"isolation: {parent.isolation}", *handin.notes, *room.notes]


@contextlib.contextmanager
def random_numbers(seed: int) -> Iterator[None]:
    """The same ones from torch for the same seed, and others afterwards as if nothing had happened."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


@pytest.fixture(autouse=True)
def same_random_numbers(seed: int) -> Iterator[None]:
    with random_numbers(seed):
        yield


@pytest.fixture
def exercise(request: pytest.FixtureRequest) -> Exercise:
    """What is asked."""
    return exercise_by_id(id_of(request.node))


@pytest.fixture
def ask(request: pytest.FixtureRequest) -> Watched:
    """The student, who takes calls and gives answers."""
    found = sitting_of(request).student(id_of(request.node))
    marker = request.node.get_closest_marker("timeout")
    limit = (marker.args[0] if marker.args else marker.kwargs.get("timeout")) if marker else None
    found.until = time.monotonic() + limit if limit else math.inf
    return found


@pytest.fixture
def student(ask: Watched) -> Pieces:
    """The student's pieces by name, to be called like functions and classes of torch."""
    return Pieces(ask)


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """A number of this student and this test."""
    return checks_of(request.config).seed(request.node)


@pytest.fixture
def questions(request: pytest.FixtureRequest) -> list[Call]:
    """The calls that the marker `asks` of this test told of."""
    return checks_of(request.config).foreseen(request.node)


@pytest.fixture
def rng(seed: int) -> np.random.Generator:
    """Random numbers of this student and this test."""
    return np.random.default_rng(seed)


def sitting_of(request: pytest.FixtureRequest) -> Sitting:
    return checks_of(request.config).now()
