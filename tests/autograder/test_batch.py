"""A class is graded: no row is lost and none is graded twice, whatever is killed, broken or changed."""

from __future__ import annotations

import contextlib
import io
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
from autograder.batch import Graded, Job, Wish, carry_out, grade, not_graded, read_results
from autograder.bench import UNSAFE, Order, work
from autograder.commands import run
from autograder.keys import environment
from autograder.lanes import Died, Lanes, executor
from autograder.plugin import HIDDEN
from autograder.preview import regrade_aside
from autograder.results import ExerciseResult, Outcome, StudentResult
from autograder.settings import LimitSettings, Settings
from idc.errors import UserError
from idc.files import locked

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


# A definition that takes a while: so much time there is to interrupt whoever grades it.
SLOW = "import time\nBEGUN = time.sleep(1)\n\n"


def hand_in(submitted: Path, slow: bool = False) -> Path:
    """A class of eight; hugo's archive is none."""
    for student, source in CLASS.items():
        folder = submitted / student / "ps1_infonce"
        folder.mkdir(parents=True)
        if slow:
            source = SLOW + source.replace("(similarity):", "(similarity, begun=BEGUN):", 1)
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


def hear_ctrl_c() -> None:
    """In a new process: a shell's background jobs, and what they start, ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


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
        preexec_fn=hear_ctrl_c,
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


def test_a_batch_goes_on_where_it_was_interrupted_or_killed(tmp_path: Path) -> None:
    """Ctrl-C first; then a kill of all its processes, in the middle of writing; then it runs to its end."""
    submitted, out = hand_in(tmp_path / "submitted", slow=True), tmp_path / "grades"
    with started(submitted, out) as process:
        wait_for(process, out, 1)
        everybody = family(process)
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    assert said == "interrupted; the same command continues where it stopped\n"
    first = stamps(out)
    with started(submitted, out) as process:
        wait_for(process, out, len(first) + 1)
        everybody += family(process)
        wait_for(process, out, len(first) + 2)
        os.killpg(process.pid, signal.SIGKILL)
    second = stamps(out)
    assert len(everybody) >= 6  # twice the batch, a grader and a warm parent at least
    assert psutil.wait_procs(everybody, timeout=60)[1] == []
    (out / "results" / ".ada.json.x.json").write_text('{"student": "ada", "exer')
    done = subprocess.run(
        command(submitted, out), cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    last = stamps(out)
    assert 1 <= len(first) < len(second) < len(last) == len(POINTS)
    assert first.items() <= second.items() <= last.items()  # no row lost, none graded twice
    assert f"{len(POINTS)} students: {len(last) - len(second)} graded now, {len(second)} kept" in done.stdout
    assert done.stderr == ""  # no bar where nobody sees it
    assert {each.student: each.score("ps1") for each in read_results(out)} == POINTS
    assert not list((out / "results").glob(".*"))


@pytest.fixture(scope="module")
def lane() -> Iterator[Lanes]:
    """One grader's process for all tests here: it takes seconds to start."""
    with Lanes(1, patience=600) as found:
        yield found


@pytest.fixture(scope="module")
def in_lane(lane: Lanes) -> Iterator[None]:
    """Whatever is graded here is graded in that process."""

    @contextlib.contextmanager
    def here(jobs: int, dask: str | None, patience: float) -> Iterator[tuple[Executor, int]]:
        if dask is None:
            yield lane, 2
        else:
            with executor(jobs, dask, patience) as found:
                yield found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "executor", here)
        yield


def said(*words: object) -> str:
    """What a command prints; it ends with 0."""
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        run([str(word) for word in words])
    return told.getvalue()


@pytest.fixture(scope="module")
def course(in_lane: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with a class in `submitted` and `grades`, and what the command said."""
    place = tmp_path_factory.mktemp("course")
    submitted = hand_in(place / "submitted")
    return place, said("grade", submitted, "--out", place / "grades", "--sets", "ps1")


@pytest.fixture
def graded(course: tuple[Path, str], tmp_path: Path) -> Callable[..., Graded]:
    """Grades a copy of the class that is graded already, in this folder's `submitted` and `grades`."""
    shutil.copytree(course[0], tmp_path, dirs_exist_ok=True)

    def again(**more: Any) -> Graded:
        return grade(Wish(tmp_path / "submitted", tmp_path / "grades", **({"sets": ("ps1",)} | more)))

    return again


def test_every_hand_in_has_a_row_and_a_page(course: tuple[Path, str]) -> None:
    out = course[0] / "grades"
    results = {each.student: each for each in read_results(out)}
    assert {student: each.score("ps1") for student, each in results.items()} == POINTS
    assert all(list(each.exercises) == ["ps1.1", "ps1.2"] for each in results.values())
    assert results["dora"].exercises["ps1.1"].outcome is Outcome.STOPPED
    assert "hugo.zip" in results["hugo"].error
    assert results["ada"].isolation in ("namespaces", "uid")
    assert {path.stem for path in (out / "feedback").iterdir()} == POINTS.keys()
    pages = {"results", "feedback", "secret", "class.html", "grades.csv", "canvas.csv"}
    assert {path.name for path in out.iterdir()} - {".lock"} == pages


def test_the_end_tells_what_needs_a_look_and_where_the_pages_are(course: tuple[Path, str]) -> None:
    place, told = course
    lines = told.splitlines()
    assert 5 <= len(lines) <= 10
    assert "8 students: 8 graded now, 0 kept" in lines
    assert "points: median 3 of 10, from 0 to 10" in lines
    assert "look: could not be read: hugo" in lines
    assert "look: had code that was stopped: dora" in lines
    assert f"class report: {place / 'grades' / 'class.html'}" in lines


def fails(order: str, files: dict[str, bytes]) -> str:
    raise ZeroDivisionError("no grader today")


def test_what_could_not_be_graded_is_told_and_tried_by_the_next_batch(
    graded: Callable[..., Graded],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "submitted/ben/ps1_infonce/ps1_infonce.py").write_text(RIGHT)
    with monkeypatch.context() as patch:
        patch.setattr(batch, "work", fails)
        with pytest.raises(SystemExit) as ended:
            run(["grade", str(tmp_path / "submitted"), "--out", str(tmp_path / "grades"), "--sets", "ps1"])
    assert ended.value.code == 1
    told = capsys.readouterr().out
    assert "8 students: 1 graded now, 7 kept" in told
    assert "look: not graded, which is our fault; the same command tries again: ben" in told
    ben = StudentResult.read(tmp_path / "grades/results/ben.json")
    assert ben.flags == ("not graded: ZeroDivisionError: no grader today",)
    found = graded()
    assert found.now == ["ben"]
    assert {each.student: each.score() for each in found.results} == POINTS | {"ben": 10}


def test_reports_are_written_again_from_the_results(graded: Callable[..., Graded], tmp_path: Path) -> None:
    out = tmp_path / "grades"
    page, before = out / "class.html", stamps(out)
    text = page.read_text(encoding="utf-8")
    page.unlink()
    assert said("report", "--out", out).startswith("8 students\nclass report: ")
    assert page.read_text(encoding="utf-8") == text
    assert stamps(out) == before


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


def test_other_points_are_shown_and_not_published(graded: Callable[..., Graded], tmp_path: Path) -> None:
    out, page = tmp_path / "grades", tmp_path / "preview.html"
    before = stamps(out)
    words = ("--against", out, "--sets", "ps1", "--set", "ps1.1=3", "--page", page)
    told = said("preview", tmp_path / "submitted", *words)
    assert "Of 8 students, 0 would gain and 4 would lose points; 4 would keep their score." in told
    assert f"page: {page}" in told
    assert "cleo" in page.read_text(encoding="utf-8")
    assert stamps(out) == before


def test_sets_that_are_not_asked_for_stay(graded: Callable[..., Graded], tmp_path: Path) -> None:
    found = graded(sets=("ps2",), students=("ada",))
    (ada,) = (each for each in found.results if each.student == "ada")
    assert list(ada.exercises) == ["ps1.1", "ps1.2", "ps2.1", "ps2.2"]
    assert ada.score("ps1") == 10
    assert graded(sets=("ps1", "ps2"), students=("ada",)).now == []


def test_other_checks_are_tried_aside_and_concern_their_problem_set_only(
    graded: Callable[..., Graded], tmp_path: Path
) -> None:
    checks, out = tmp_path / "hidden", tmp_path / "grades"
    shutil.copytree(HIDDEN, checks, ignore=shutil.ignore_patterns("__pycache__"))
    graded(sets=("ps1", "ps2"), students=("ada", "ben"))
    before, files = {each.student: each for each in read_results(out)}, stamps(out)
    (checks / "test_ps1_more.py").write_text(
        "import pytest\n\n"
        "@pytest.mark.exercise('ps1.1')\n"
        "def test_never(student):\n"
        "    assert student.info_nce is None, 'too strict'\n"
    )
    wish = Wish(tmp_path / "submitted", out, sets=("ps1", "ps2"), students=("ada", "ben"), checks=checks)
    after = {each.student: each for each in regrade_aside(wish, tmp_path / "aside")}
    assert after["ada"].score("ps1") == 4
    assert after["ada"].exercises["ps1.1"].check == "test_never"
    for id in ("ps2.1", "ps2.2"):
        assert after["ada"].exercises[id] == before["ada"].exercises[id]  # times included: not asked again
    assert after["cleo"] == before["cleo"]
    assert stamps(out) == files


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


def test_a_dask_cluster_gives_the_same_points(course: tuple[Path, str], tmp_path: Path) -> None:
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, silence_logs=50
    ) as cluster:
        wish = Wish(course[0] / "submitted", tmp_path, sets=("ps1",), dask=cluster.scheduler_address)
        found = grade(wish)
    assert len(found.now) == len(POINTS)
    assert {each.student: each.score() for each in found.results} == POINTS


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            {"environment": "Python 2"},
            "the batch was started with Python 2. Install the same versions everywhere",
        ),
        ({"digests": {"ps1": "another"}}, "the checks of ps1 are not those that the batch was started with"),
    ],
)
def test_a_worker_that_is_another_grader_is_refused(more: dict[str, Any], words: str) -> None:
    order = Order(student="ada", sets=("ps1",), environment=environment())
    with pytest.raises(UserError, match=words):
        work(order.model_copy(update=more).model_dump_json(), {})


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
    out = tmp_path / "grades"
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom idc.files import locked\n"
        "with locked(Path(sys.argv[1]) / '.lock', 'busy'):\n    print('locked', flush=True)\n    time.sleep(600)\n"
    )
    first = subprocess.Popen(
        [sys.executable, "-c", script, str(out)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert first.stdout is not None
    try:
        assert first.stdout.readline() == "locked\n"
        wish = Wish(hand_in(tmp_path / "submitted"), out)
        with pytest.raises(UserError, match="somebody is grading into"):
            grade(wish)
        assert not (out / "results").exists()
    finally:
        first.kill()
        first.communicate()
    with locked(out / ".lock", "busy"):
        pass


def test_a_long_name_is_no_trouble_for_the_disk(tmp_path: Path) -> None:
    names = ["ada", "ada lovelace", "ж" * 60, "𠮷" * 60, "𠮷" * 59 + "a"]
    for name in names:
        StudentResult(student=name).write(batch.result_file(tmp_path, name))
    assert {each.student for each in read_results(tmp_path)} == set(names)
    assert batch.result_file(tmp_path, "ada lovelace").name == "ada lovelace.json"


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
