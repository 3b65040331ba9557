"""A class is graded: no row is lost and none is graded twice, whatever is killed, broken or changed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from autograder import batch
from autograder.batch import Graded, Job, Wish, carry_out, grade, locked, not_graded, read_results
from autograder.bench import UNSAFE, Order
from autograder.lanes import Died, Lanes
from autograder.plugin import HIDDEN
from autograder.results import ExerciseResult, Outcome, StudentResult
from autograder.settings import LimitSettings, Settings
from idc.errors import UserError

ROOT = Path(__file__).parents[2]
RIGHT = """
import torch.nn.functional as F

def info_nce(similarity):
    return (similarity.logsumexp(dim=1) - similarity.diagonal()).mean()

def info_nce_gradient(similarity):
    return (F.softmax(similarity, dim=1) - similarity.new_ones(len(similarity)).diag()) / len(similarity)
"""
WRONG = RIGHT.replace("dim=1", "dim=0")
CLASS = {
    "ada": RIGHT,
    "ben": WRONG,
    "cleo": RIGHT.replace("info_nce_gradient", "something_else"),
    "dora": "def info_nce(similarity):\n    import os\n    os._exit(0)\n",
    "emil": "def info_nce(similarity:\n",
    "finn": RIGHT,
    "gina": RIGHT + "print('hello')\n",
}
POINTS = {"ada": 10, "ben": 0, "cleo": 6, "dora": 0, "emil": 0, "finn": 10, "gina": 10, "hugo": 0}


def hand_in(submitted: Path) -> Path:
    """A class of eight; hugo's archive is none."""
    for student, source in CLASS.items():
        folder = submitted / student / "ps1_infonce"
        folder.mkdir(parents=True)
        (folder / "ps1_infonce.py").write_text(source, encoding="utf-8")
    (submitted / "hugo.zip").write_bytes(b"PK no archive")
    return submitted


def stamps(out: Path) -> dict[str, tuple[int, int]]:
    """Which file each result is, and when it was written: other numbers mean that it was graded again."""
    files = (out / "results").glob("[!.]*.json")
    return {path.stem: (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


def command(submitted: Path, out: Path, *more: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "autograder",
        "grade",
        str(submitted),
        "--out",
        str(out),
        "--sets",
        "ps1",
        *more,
    ]


@contextlib.contextmanager
def started(submitted: Path, out: Path) -> Iterator[subprocess.Popen[str]]:
    """A real batch in a session of its own."""
    process = subprocess.Popen(
        command(submitted, out, "--jobs", "1"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_for(process: subprocess.Popen[str], out: Path, count: int) -> None:
    """Until so many hand-ins are graded."""
    until = time.monotonic() + 240
    while len(stamps(out)) < count:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < until
        time.sleep(0.01)


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """A batch and all the processes that it started, whatever session they are in."""
    first = psutil.Process(process.pid)
    return [first, *first.children(recursive=True)]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A batch that is interrupted by Ctrl-C, then killed with all its processes, then runs to its end."""
    place = tmp_path_factory.mktemp("class")
    submitted, out = hand_in(place / "submitted"), place / "grades"
    told: dict[str, Any] = {"submitted": submitted, "out": out}
    with started(submitted, out) as process:
        wait_for(process, out, 1)
        everybody = family(process)
        os.killpg(process.pid, signal.SIGINT)
        told["said after Ctrl-C"], _ = process.communicate(timeout=120)
        told["code after Ctrl-C"] = process.returncode
    told["after Ctrl-C"] = stamps(out)
    with started(submitted, out) as process:
        wait_for(process, out, len(told["after Ctrl-C"]) + 2)
        everybody += family(process)
        os.killpg(process.pid, signal.SIGKILL)
    told["after the kill"] = stamps(out)
    _, told["outlived"] = psutil.wait_procs(everybody, timeout=60)
    told["processes"] = len(everybody)
    (out / "results" / ".ada.json.x.json").write_text(
        '{"student": "ada", "exer'
    )  # as if killed while writing
    done = subprocess.run(
        command(submitted, out, "--jobs", "2"), cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told["said"], told["warned"] = done.stdout, done.stderr
    told["in the end"] = stamps(out)
    return told


def test_no_row_is_lost_and_none_is_graded_twice(story: dict[str, Any]) -> None:
    first, second, last = story["after Ctrl-C"], story["after the kill"], story["in the end"]
    assert 1 <= len(first) < len(second) < len(last) == len(POINTS)
    assert first.items() <= second.items() <= last.items()
    assert (
        f"{len(POINTS)} students: {len(last) - len(second)} graded now, {len(second)} kept" in story["said"]
    )


def test_ctrl_c_says_what_to_do_and_nothing_lives_on(story: dict[str, Any]) -> None:
    assert story["code after Ctrl-C"] == 130
    assert story["said after Ctrl-C"] == "interrupted; the same command continues where it stopped\n"
    assert story["processes"] >= 6  # twice the batch, a grader and a warm parent at least
    assert story["outlived"] == []


def test_every_hand_in_has_a_row_and_a_page(story: dict[str, Any]) -> None:
    out = story["out"]
    results = {each.student: each for each in read_results(out)}
    assert {student: each.score("ps1") for student, each in results.items()} == POINTS
    assert all(list(each.exercises) == ["ps1.1", "ps1.2"] for each in results.values())
    assert results["dora"].exercises["ps1.1"].outcome is Outcome.STOPPED
    assert "hugo.zip" in results["hugo"].error
    assert results["ada"].isolation in ("namespaces", "uid")
    assert {path.stem for path in (out / "feedback").iterdir()} == POINTS.keys()
    assert {path.name for path in out.iterdir()} - {".lock"} == {
        "results", "feedback", "secret", "class.html", "grades.csv", "canvas.csv"
    }  # fmt: skip
    assert not list((out / "results").glob(".*"))


def test_the_end_tells_what_needs_a_look_and_where_the_pages_are(story: dict[str, Any]) -> None:
    lines = story["said"].splitlines()
    assert 5 <= len(lines) <= 10
    assert "points: median 3 of 10, from 0 to 10" in lines
    assert "look: could not be read: hugo" in lines
    assert "look: had code that was stopped: dora" in lines
    assert str(story["out"] / "class.html") in story["said"]
    assert story["warned"] == ""  # no bar where nobody sees it


@pytest.fixture(scope="module")
def lane() -> Iterator[Lanes]:
    """One grader's process for all tests here: it takes seconds to start."""
    with Lanes(1, patience=600) as found:
        yield found


@pytest.fixture
def graded(
    story: dict[str, Any], lane: Lanes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Graded]:
    """Grades a copy of the class that is graded already, in this folder's `submitted` and `grades`."""
    shutil.copytree(story["submitted"], tmp_path / "submitted")
    shutil.copytree(story["out"], tmp_path / "grades")

    @contextlib.contextmanager
    def here(*_: object) -> Iterator[tuple[Executor, int]]:
        yield lane, 2

    monkeypatch.setattr(batch, "executor", here)

    def run(**more: Any) -> Graded:
        return grade(Wish(tmp_path / "submitted", tmp_path / "grades", **({"sets": ("ps1",)} | more)))

    return run


def test_nothing_is_done_where_nothing_changed(graded: Callable[..., Graded], tmp_path: Path) -> None:
    before = stamps(tmp_path / "grades")
    assert graded().now == []
    assert stamps(tmp_path / "grades") == before


def test_only_a_changed_hand_in_is_graded_again(graded: Callable[..., Graded], tmp_path: Path) -> None:
    (tmp_path / "submitted/ben/ps1_infonce/ps1_infonce.py").write_text(RIGHT)
    shutil.rmtree(tmp_path / "submitted/gina")
    found = graded()
    assert found.now == ["ben"]
    assert found.strangers == ["gina"]
    assert {each.student: each.score() for each in found.results} == POINTS | {"ben": 10}


def test_a_new_time_is_noted_without_grading(graded: Callable[..., Graded], tmp_path: Path) -> None:
    (tmp_path / "submitted/ada/ps1_infonce/timestamp.txt").write_text("2026-03-02 21:00:00 UTC\n")
    found = graded()
    assert found.now == []
    (ada,) = (each for each in found.results if each.student == "ada")
    assert ada.handed_in["ps1"] is not None
    assert ada.handed_in["ps1"].hour == 21


def test_a_damaged_result_is_graded_again(graded: Callable[..., Graded], tmp_path: Path) -> None:
    path = tmp_path / "grades/results/ada.json"
    path.write_text(path.read_text()[:-100])
    assert graded().now == ["ada"]
    assert StudentResult.read(path).score("ps1") == 10


def test_other_checks_concern_their_problem_set_only(graded: Callable[..., Graded], tmp_path: Path) -> None:
    checks = tmp_path / "hidden"
    shutil.copytree(HIDDEN, checks, ignore=shutil.ignore_patterns("__pycache__"))
    graded(sets=("ps1", "ps2"), students=("ada", "ben"))
    before = {each.student: each for each in read_results(tmp_path / "grades")}
    (checks / "test_ps1_more.py").write_text(
        "import pytest\n\n"
        "@pytest.mark.exercise('ps1.1')\n"
        "def test_never(student):\n"
        "    assert student.info_nce is None, 'too strict'\n"
    )
    found = graded(sets=("ps1", "ps2"), students=("ada", "ben"), checks=checks)
    after = {each.student: each for each in found.results}
    assert found.now == ["ada", "ben"]
    assert after["ada"].score("ps1") == 4
    assert after["ada"].exercises["ps1.1"].check == "test_never"
    for id in ("ps2.1", "ps2.2"):
        assert after["ada"].exercises[id] == before["ada"].exercises[id]  # times included: not asked again
    assert after["cleo"] == before["cleo"]


def test_sets_that_are_not_asked_for_stay(graded: Callable[..., Graded], tmp_path: Path) -> None:
    found = graded(sets=("ps2",), students=("ada",))
    (ada,) = (each for each in found.results if each.student == "ada")
    assert list(ada.exercises) == ["ps1.1", "ps1.2", "ps2.1", "ps2.2"]
    assert ada.score("ps1") == 10
    assert graded(sets=("ps1", "ps2"), students=("ada",)).now == []


def test_limits_of_the_whole_hand_in(graded: Callable[..., Graded]) -> None:
    settings = Settings(limits=LimitSettings(student_seconds=1e-6))
    found = graded(settings=settings, students=("ada",))
    (ada,) = (each for each in found.results if each.student == "ada")
    assert {each.outcome for each in ada.exercises.values()} == {Outcome.STOPPED}


def test_without_a_wall_every_result_is_marked(graded: Callable[..., Graded]) -> None:
    found = graded(settings=Settings(isolation="none"), students=("ada", "hugo"))
    marked = {each.student: each for each in found.results if UNSAFE in each.flags}
    assert marked.keys() == {"ada", "hugo"}
    assert marked["ada"].isolation == "none"
    assert marked["ada"].score() == 10


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"sets": ("ps1", "ps9")}, "there is no problem set “ps9”; there are ps1, ps2"),
        ({"students": ("ada", "gian")}, "holds no hand-in of “gian”; did you mean “gina”?"),
    ],
)
def test_names_of_nothing_are_told(graded: Callable[..., Graded], more: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        graded(**more)


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "submitted").mkdir()
    with pytest.raises(UserError, match="holds no hand-ins"):
        grade(Wish(tmp_path / "submitted", tmp_path / "grades"))
    assert not (tmp_path / "grades").exists()


def test_a_second_batch_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom autograder.batch import locked\n"
        "with locked(Path(sys.argv[1])):\n    print('locked', flush=True)\n    time.sleep(600)\n"
    )
    first = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert first.stdout is not None
    try:
        assert first.stdout.readline() == "locked\n"
        with pytest.raises(UserError, match="somebody is grading into"), locked(tmp_path):
            raise AssertionError("two at once")
    finally:
        first.kill()
        first.communicate()
    with locked(tmp_path):
        pass


class Scripted(Executor):
    """Answers as a list says; what is submitted is noted."""

    def __init__(self, *answers: str | Exception):
        self.answers = list(answers)
        self.asked: list[str] = []

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        self.asked.append(json.loads(arguments[0])["student"])
        future: Future[Any] = Future()
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
        return future


def job(student: str) -> Job:
    return Job(Order(student=student, sets=("ps1", "ps6")), {}, {"ps1": "key1", "ps6": "key6"}, None)


def answer(student: str, outcome: Outcome) -> str:
    one = ExerciseResult(
        id="ps1.1", piece="info_nce", outcome=outcome, points=0, out_of=6, message="", check="x"
    )
    return StudentResult(student=student, exercises={"ps1.1": one}).model_dump_json()


def test_what_fails_on_our_side_is_tried_once_more_alone() -> None:
    lanes = Scripted(
        answer("ada", Outcome.STOPPED),
        Died("the grader's process ended with code -9"),
        answer("cleo", Outcome.NOT_GRADED),
        answer("dora", Outcome.TAMPERED),
        answer("ben", Outcome.RIGHT),
        Died("the grader's process ended with code -9"),
    )
    jobs = [job(student) for student in ("ada", "ben", "cleo", "dora")]
    found = {job.order.student: result for job, result in carry_out(jobs, lanes, ahead=1)}
    assert lanes.asked == ["ada", "ben", "cleo", "dora", "ben", "cleo"]
    assert {student: each.exercises["ps1.1"].outcome for student, each in found.items()} == {
        "ada": Outcome.STOPPED,
        "dora": Outcome.TAMPERED,
        "ben": Outcome.RIGHT,
        "cleo": Outcome.NOT_GRADED,
    }
    assert "code -9" in found["cleo"].flags[0]


def test_what_nobody_can_be_graded_with_ends_the_batch() -> None:
    lanes = Scripted(UserError("there is no wall"))
    with pytest.raises(UserError, match="there is no wall"):
        list(carry_out([job("ada")], lanes, ahead=1))


def test_what_was_not_graded_has_rows_and_no_keys() -> None:
    ada = job("ada")
    result = batch.merged(ada, not_graded(ada.order, "Traceback …\nMemoryError: too much"))
    assert list(result.exercises) == ["ps1.1", "ps1.2", "ps6.1"]
    assert result.score() == 0
    assert result.max_score() == 14
    assert result.key == ""
    assert result.flags == ("not graded: MemoryError: too much",)
    one_set = answer("ada", Outcome.NOT_GRADED)
    assert batch.merged(ada, StudentResult.model_validate_json(one_set)).key == "ps6=key6"


def test_flags_of_problem_sets_that_stay_are_kept() -> None:
    old = StudentResult(student="ada", flags=("ps1: odd", "ps2.1: odd", UNSAFE), key="ps1=a ps2=b")
    new = StudentResult(student="ada", flags=("ps1: new",))
    merged = batch.merged(replace(job("ada"), old=old), new)
    assert merged.flags == ("ps1: new", "ps2.1: odd")
    assert merged.key == "ps1=key1 ps2=b ps6=key6"
