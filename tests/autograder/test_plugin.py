"""One judge for many students: what it asks, how an exercise ends, what it earns, and what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import torch
from torch import Tensor

from autograder import plugin
from autograder.banks import bank, ids
from autograder.checks import exercise, exercises
from autograder.checks.exercise import Asking, holds
from autograder.hidden import unseen
from autograder.plugin import Judge, below, seed_of
from autograder.results import ExerciseResult, Outcome
from autograder.student import Answer, Call, Failure, Local, Student
from idc.errors import UserError
from tests.autograder.test_hidden import ByHeart, content

ROOT = Path(__file__).parents[2]
REFERENCES = {exercise(id).piece: bank(id).right for id in ids()}
WALL = ("Crashed", "OutOfTime", "OutOfMemory", "Tampered")


@cache
def judge() -> Judge:
    return Judge()


def one(student: Student, id: str = "ps1.2", by: Judge | None = None, seed: str = "a seed") -> ExerciseResult:
    return (by or judge()).judge(lambda asked, lent: student, [id], seed)[id]


class Heard:
    """The reference, and what it was asked."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __call__(self, call: Call) -> Answer:
        self.calls.append(content(call))
        return Local(REFERENCES)(call)


class Ends:
    """Right, until the process ends. after: that many calls."""

    def __init__(self, kind: str, after: int):
        self.kind, self.left = kind, after

    def __call__(self, call: Call) -> Answer:
        self.left -= 1
        if self.left >= 0:
            return Local(REFERENCES)(call)
        return Answer(failure=Failure(self.kind, "the wall's own words"))


def checks(folder: Path, source: str) -> Judge:
    """A judge whose only checks are these."""
    folder.mkdir(exist_ok=True)
    (folder / "test_mine.py").write_text(f"import pytest\n{dedent(source)}")
    return Judge(folder)


# what is asked


def test_the_visible_check_comes_first_then_new_questions() -> None:
    for id, items in judge().checks.items.items():
        names = [item.name for item in items]
        assert names[:2] == [f"test_visible_check[{id}]", f"test_new_questions[{id}]"]
        assert len(names) >= 2 + 2 + 3 or id == "ps2.1"
        by_hand = {name.split("[")[0] for name in names[2:]} - {"test_nothing_is_remembered"}
        assert len(by_hand) >= 4


def test_a_seed_asks_the_same_again_and_another_one_something_else() -> None:
    heard = []
    for seed in ("ada", "ada", "bob"):
        student = Heard()
        one(student, "ps3.1", seed=seed)
        heard.append(student.calls)
    assert heard[0] == heard[1] != heard[2]
    visible = Heard()
    exercise("ps3.1").judge(visible)
    both = set(heard[0]) & set(heard[2])
    assert set(visible.calls) <= both
    assert len(set(heard[0]) - both) > len(both) / 2


def test_seeds_come_from_the_secret_and_the_student() -> None:
    found = {seed_of(secret, student) for secret in (b"one", b"two") for student in ("ada", "bob")}
    assert len(found) == 4
    assert seed_of(b"one", "ada") in found


def test_exercises_are_judged_in_the_order_of_the_course_and_whole_sets_may_be_left_out() -> None:
    asked: list[str] = []

    def student_of(id: str, lent: tuple[str, ...]) -> Student:
        asked.append(id)
        return Local(REFERENCES)

    results = judge().judge(student_of, ["ps2.2", "ps1.2", "ps2.1"], "")
    assert asked == list(results) == ["ps1.2", "ps2.1", "ps2.2"]


def test_an_unknown_exercise_is_named() -> None:
    with pytest.raises(UserError, match=r"ps9\.9"):
        judge().judge(lambda id, lent: Local({}), ["ps9.9"], "")


# what is said beforehand


class Ahead(Heard):
    """The reference, with answers that are off by a little; what it was asked, and what was foreseen."""

    def __init__(self, off: float = 0.0) -> None:
        super().__init__()
        self.off = off
        self.foreseen: list[str] = []

    def foresee(self, calls: Sequence[Call]) -> None:
        self.foreseen += map(content, calls)

    def __call__(self, call: Call) -> Answer:
        answer = super().__call__(call)
        outputs = {
            name: each * (1 + self.off) if each.is_floating_point() else each
            for name, each in answer.outputs.items()
        }
        return replace(answer, outputs=outputs)


@pytest.mark.parametrize("id", ids())
def test_what_is_foreseen_is_asked_and_holds_nothing_of_an_answer(id: str) -> None:
    """Otherwise a worker would see in a question what it is to find in another one."""
    exact, off = Ahead(), Ahead(1e-7)
    assert one(exact, id).outcome is Outcome.RIGHT
    assert not Counter(exact.foreseen) - Counter(exact.calls)
    assert len(exact.foreseen) >= 0.6 * len(exact.calls)
    for each in exercise(id).properties:
        for student in (exact, off):
            student.calls.clear()
            holds(each, Asking(student))
        assert off.calls == exact.calls[: len(off.calls)], each.name


def test_a_test_says_what_it_will_ask(tmp_path: Path) -> None:
    by = checks(
        tmp_path / "said",
        """
from autograder.student import Call, ask_all
import torch

def sizes(exercise, seed):
    return [Call(exercise.piece, (torch.full((size, size), float(seed % 7)),)) for size in (2, 3)]

@pytest.mark.exercise("ps1.2")
@pytest.mark.asks(calls=sizes)
def test_sizes(ask, questions):
    assert [len(answer.outputs[""]) for answer in ask_all(ask, questions)] == [2, 3]
""",
    )
    student = Ahead()
    assert one(student, by=by).outcome is Outcome.RIGHT
    assert student.foreseen == student.calls and len(student.calls) == 2


def test_a_test_that_cannot_say_what_it_asks_is_the_graders_fault(tmp_path: Path) -> None:
    by = checks(
        tmp_path / "broken",
        """
@pytest.mark.exercise("ps1.2")
@pytest.mark.asks(calls=lambda exercise, seed: 1 / 0)
def test_nothing(ask): pass
""",
    )
    by.prepare(["ps1.2"], "a seed")
    result = one(Ahead(), by=by)
    assert result.outcome is Outcome.NOT_GRADED
    assert "ZeroDivisionError" in result.flags[0]


FIRST = """
import torch
from contextlib import suppress

MADE = []

@pytest.mark.exercise("ps1.2")
@pytest.mark.parametrize("size", [2, 3])
def test_two_questions(student, rng, size):
    similarity = torch.rand(size, size) + float(rng.random())
    MADE.append(size)
    for _ in range(2):
        with suppress(Exception):
            similarity = similarity + student.info_nce_gradient(similarity)

@pytest.mark.exercise("ps1.2")
def test_that_needs_a_folder(student, tmp_path):
    student.info_nce_gradient(torch.ones(4, 4))
"""


def test_of_other_tests_the_first_question_is_foreseen(tmp_path: Path) -> None:
    """It is the same one, with the same random numbers, and nobody's random numbers are spent on it."""
    student, before = Ahead(), torch.random.get_rng_state()
    assert one(student, by=checks(tmp_path / "first", FIRST)).outcome is Outcome.RIGHT
    assert torch.equal(torch.random.get_rng_state(), before)
    assert student.foreseen == [student.calls[0], student.calls[2]]
    assert len(student.calls) == 5


def test_a_test_that_fails_before_it_asks_foresees_nothing(tmp_path: Path) -> None:
    student = Ahead()
    failing = """
@pytest.mark.exercise("ps1.2")
def test_fails(student):
    assert 1 > 2
    student.info_nce_gradient(torch.ones(2, 2))
"""
    assert one(student, by=checks(tmp_path / "fails", failing)).outcome is Outcome.WRONG
    assert student.foreseen == []


@pytest.mark.parametrize(("seed", "times"), [("a seed", 2), ("another seed", 3)])
def test_what_is_prepared_is_foreseen_for_its_seed_once(tmp_path: Path, seed: str, times: int) -> None:
    by = checks(tmp_path / f"prepared{times}", FIRST)
    made = by.checks.items["ps1.2"][0].function.__globals__["MADE"]  # type: ignore[attr-defined]
    by.prepare(["ps1.2"], seed)
    assert made == [2, 3]
    for more in (0, 2):
        student = Ahead()
        one(student, by=by)
        assert student.foreseen == [student.calls[0], student.calls[2]]
        assert made.count(2) == times + more


# what is lent


def test_what_an_exercise_stands_on() -> None:
    assert below("ps1.1") == []
    assert below("ps5.2") == ["ps3.1", "ps3.2"]
    assert below("ps4.3") == ["ps3.1", "ps3.2", "ps3.3", "ps3.5", "ps4.1"]


def test_wrong_and_missing_pieces_are_lent_to_what_builds_on_them() -> None:
    own = REFERENCES | {"token_matching": bank("ps4.1").wrong["sum"]}
    del own["attention"]
    lent: dict[str, tuple[str, ...]] = {}

    def student_of(id: str, names: tuple[str, ...]) -> Student:
        lent[id] = names
        return Local(own)

    wanted = ["ps3.1", "ps3.2", "ps3.3", "ps3.4", "ps4.1", "ps4.2", "ps5.2"]
    results = judge().judge(student_of, wanted, "")
    assert lent == {
        "ps3.1": (), "ps3.2": (), "ps3.3": ("attention",), "ps3.4": ("attention",), "ps4.1": (),
        "ps4.2": ("token_matching",), "ps5.2": ("attention",),
    }  # fmt: skip
    assert {id: result.lent for id, result in results.items()} == lent
    assert [id for id, result in results.items() if result.points == 0] == ["ps3.1", "ps4.1"]


def test_what_was_not_judged_is_lent() -> None:
    """One does not know whether it is right."""
    assert one(Local(REFERENCES), "ps4.2").lent == ("token_matching",)


# how it ends


def test_a_right_answer() -> None:
    result = one(Local(REFERENCES), "ps1.1")
    assert (result.outcome, result.points, result.out_of, result.piece) == (Outcome.RIGHT, 6, 6, "info_nce")
    assert result.message == "ps1.1 InfoNCE: right."
    assert (result.idea, result.check, result.flags, result.lent) == ("", "", (), ())
    assert all(test.passed and test.message == "" for test in result.tests)
    assert (
        len({test.name for test in result.tests}) == len(result.tests) == len(judge().checks.items["ps1.1"])
    )


def test_a_known_mistake_is_asked_to_the_end() -> None:
    result = one(Local({"info_nce": bank("ps1.1").wrong["columns"]}), "ps1.1")
    assert (result.outcome, result.points, result.idea, result.check) == (
        Outcome.WRONG,
        0,
        "columns",
        "values",
    )
    assert "the softmax runs over the wrong axis" in result.message
    assert len(result.tests) == len(judge().checks.items["ps1.1"])
    assert {test.passed for test in result.tests} == {True, False}


def test_only_a_hidden_check_fails() -> None:
    result = one(ByHeart(exercise("ps1.2")))
    assert (result.outcome, result.points, result.message) == (Outcome.WRONG, 0, unseen(exercise("ps1.2")))
    assert result.check == "test_new_questions"
    assert result.tests[0].passed


@pytest.mark.parametrize("kind", WALL)
def test_a_process_that_ends_in_the_visible_check(kind: str) -> None:
    result = one(Ends(kind, after=1))
    assert result.outcome is (Outcome.TAMPERED if kind == "Tampered" else Outcome.STOPPED)
    assert result.points == 0
    assert len(result.tests) == 1, "nobody is left to be asked"
    assert ("came from the process" if kind == "Tampered" else "the wall's own words") in result.message
    assert bool(result.flags) is (kind == "Tampered")


@pytest.mark.parametrize("kind", WALL)
def test_a_process_that_ends_in_a_hidden_check(kind: str) -> None:
    visible = Heard()
    exercise("ps1.2").judge(visible)
    result = one(Ends(kind, after=len(visible.calls)))
    assert result.outcome is (Outcome.TAMPERED if kind == "Tampered" else Outcome.STOPPED)
    assert result.points == 0
    assert [test.passed for test in result.tests] == [True, False]
    assert plugin.ENDS[kind] in result.message
    assert "the wall's own words" not in result.message


def test_one_exercise_that_ends_leaves_the_others_alone() -> None:
    def student_of(id: str, lent: tuple[str, ...]) -> Student:
        return Ends("Crashed", after=0) if id == "ps2.1" else Local(REFERENCES)

    results = judge().judge(student_of, ["ps1.2", "ps2.1", "ps2.2"], "")
    assert [result.outcome for result in results.values()] == [Outcome.RIGHT, Outcome.STOPPED, Outcome.RIGHT]


def test_an_exercise_that_another_may_have_broken_is_tried_again() -> None:
    """A second process is asked, and a tampering in the first one is not forgotten."""
    tries: list[str] = []

    def student_of(id: str, lent: tuple[str, ...]) -> Student:
        tries.append(id)
        return Ends("Tampered", after=0) if tries == ["ps1.1", "ps1.2"] else Local(REFERENCES)

    results = judge().judge(student_of, ["ps1.1", "ps1.2"], "")
    assert tries == ["ps1.1", "ps1.2", "ps1.2"]
    assert results["ps1.2"].outcome is Outcome.RIGHT
    assert results["ps1.2"].flags == ("something else than an answer came: the wall's own words",)


def test_a_known_mistake_is_not_tried_again() -> None:
    tries: list[str] = []

    def student_of(id: str, lent: tuple[str, ...]) -> Student:
        tries.append(id)
        return Local(REFERENCES | {"info_nce_gradient": bank("ps1.2").wrong["sign"]})

    assert judge().judge(student_of, ["ps1.1", "ps1.2"], "")["ps1.2"].idea == "sign"
    assert tries == ["ps1.1", "ps1.2"]


def test_when_the_grader_fails_it_is_not_the_students_fault() -> None:
    def broken(call: Call) -> Answer:
        raise OSError("the disk of the grader is full")

    def nobody(id: str, lent: tuple[str, ...]) -> Student:
        raise OSError("no room could be built")

    for result, words in (
        (one(broken), "the disk of the grader is full"),
        (judge().judge(nobody, ["ps1.2"], "")["ps1.2"], "no room could be built"),
    ):
        assert (result.outcome, result.points) == (Outcome.NOT_GRADED, 0)
        assert "not your fault" in result.message and words not in result.message
        assert words in result.flags[0]
        assert len(result.tests) <= 1
    assert one(Local(REFERENCES)).outcome is Outcome.RIGHT, "and the next one is judged"


def test_students_do_not_meet() -> None:
    """Many in turn, by the same tests: each result is that of a judge who has seen nobody else."""
    students = {"right": REFERENCES, "wrong": {"info_nce": bank("ps1.1").wrong["sum"]}, "nobody": {}}
    alone = {name: plain(one(Local(own), "ps1.1")) for name, own in students.items()}
    for _ in range(2):
        for name, own in students.items():
            assert plain(one(Local(own), "ps1.1")) == alone[name]


def plain(result: ExerciseResult) -> dict[str, Any]:
    """Without times."""
    found = result.model_dump(exclude={"seconds", "tests"})
    return found | {"tests": [(test.name, test.passed, test.message) for test in result.tests]}


def test_an_interrupted_judge_can_go_on() -> None:
    def impatient(call: Call) -> Answer:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        one(impatient)
    assert one(Local(REFERENCES)).outcome is Outcome.RIGHT


# points, time, and checks that cannot be used


SHARED = """
@pytest.mark.exercise("ps1.2")
@pytest.mark.points(1)
def test_one_question(student):
    import torch
    assert student.info_nce_gradient(torch.zeros(1, 1)).shape == (1, 1)

@pytest.mark.exercise("ps1.2")
@pytest.mark.points(3)
@pytest.mark.parametrize("size", [2])
def test_many(student, size):
    import torch
    same = student.info_nce_gradient(torch.zeros(size, size))
    assert same[0, 0] < 0
"""


def test_marked_tests_earn_points_of_their_own(tmp_path: Path) -> None:
    by = checks(tmp_path / "shared", SHARED)
    downhill = {"info_nce_gradient": bank("ps1.2").wrong["sign"]}
    for own, points, outcome in (
        (REFERENCES, 4, Outcome.RIGHT),
        (downhill, 1, Outcome.WRONG),
        ({}, 0, Outcome.WRONG),
    ):
        result = one(Local(own), by=by)
        assert (result.points, result.outcome) == (points, outcome)
        assert result.message in (unseen(exercise("ps1.2")), "ps1.2 Its gradient, by hand: right.")
    assert [test.name for test in result.tests] == ["test_one_question", "test_many[2]"]


def test_who_tampers_earns_nothing(tmp_path: Path) -> None:
    by = checks(tmp_path / "shared", SHARED)
    assert one(Ends("Tampered", after=1), by=by).points == 0
    assert one(Ends("Crashed", after=1), by=by).points == 1


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def test_x(student): pass", "belongs to no exercise"),
        ('@pytest.mark.exercise("ps9.9")\ndef test_x(): pass', "“ps9.9”, which is no exercise"),
        ('@pytest.mark.exercise("ps1.2")\n@pytest.mark.points(3)\ndef test_x(): pass', "earn 3 points together"),
        ('@pytest.mark.exercise("ps1.2")\n@pytest.mark.pionts(4)\ndef test_x(): pass', "pionts"),
        ("def test_x(:", "SyntaxError"),
        ("import nowhere_to_be_found", "nowhere_to_be_found"),
    ],
)  # fmt: skip
def test_checks_that_cannot_be_used_are_refused(tmp_path: Path, source: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        checks(tmp_path / "odd", source)


TIMED = """
import torch

@pytest.mark.exercise("ps1.2")
@pytest.mark.timeout(10)
def test_quick(student):
    student.info_nce_gradient(torch.zeros(2, 2))
    student.info_nce_gradient(torch.ones(2, 2))

@pytest.mark.exercise("ps1.2")
def test_without_haste(student):
    student.info_nce_gradient(torch.zeros(2, 2))
    student.info_nce_gradient(torch.ones(2, 2))
"""


@pytest.mark.parametrize(("pause", "outcome"), [(6, Outcome.RIGHT), (11, Outcome.STOPPED)])
def test_a_test_may_limit_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pause: float, outcome: Outcome
) -> None:
    """By a clock that stands still but for the student's answers."""
    now = [0.0]
    monkeypatch.setattr(plugin.time, "monotonic", lambda: now[0])

    def slow(call: Call) -> Answer:
        now[0] += pause
        return Local(REFERENCES)(call)

    result = one(slow, by=checks(tmp_path / "timed", TIMED))
    assert result.outcome is outcome
    assert [test.name for test in result.tests if not test.passed] == (["test_quick"] if pause == 11 else [])


def test_checks_are_read_once_and_anew_by_the_next_judge(tmp_path: Path) -> None:
    source = """
    from pathlib import Path
    with (Path(__file__).parent / "log").open("a") as log:
        log.write("read ")

    @pytest.mark.exercise("ps1.2")
    def test_it(student):
        assert {right}
    """
    by = checks(tmp_path / "same_name", source.format(right=True))
    for _ in range(3):
        assert one(Local(REFERENCES), by=by).outcome is Outcome.RIGHT
    assert (tmp_path / "same_name" / "log").read_text() == "read "
    changed = checks(tmp_path / "same_name", source.format(right="not 'changed'"))
    assert one(Local(REFERENCES), by=changed).outcome is Outcome.WRONG
    assert one(Local(REFERENCES), by=by).outcome is Outcome.RIGHT
    assert (tmp_path / "same_name" / "log").read_text() == "read read "


def test_a_judge_leaves_no_traces_and_minds_nobody_elses_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "--no-such-option -x")
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    by = checks(tmp_path / "checks", SHARED)
    one(Local({}), by=by)
    assert os.environ["PYTEST_ADDOPTS"] == "--no-such-option -x"
    assert sys.path == path
    left = {
        each.relative_to(tmp_path).as_posix()
        for each in tmp_path.rglob("*")
        if "__pycache__" not in each.parts
    }
    assert left == {"checks", "checks/test_mine.py"}
    assert capfd.readouterr() == ("", "")


def test_what_is_printed_decides_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    def prints(similarity: Tensor) -> Tensor:
        print("PASSED 4/4", file=sys.stderr)
        return torch.zeros_like(similarity)

    assert one(Local({"info_nce_gradient": prints})).points == 0
    assert capfd.readouterr() == ("", "")


def test_every_exercise_has_its_checks_in_points_that_the_course_knows() -> None:
    assert list(judge().checks.items) == list(exercises())
    assert judge().checks.points == {}, "all or nothing, as in the notebook"


# by hand, for people


@pytest.fixture(scope="module")
def hand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One right answer and one wrong one."""
    file = tmp_path_factory.mktemp("hand-in") / "ps1_infonce.py"
    file.write_text(
        dedent("""
        import torch

        def info_nce(similarity):
            return torch.nn.functional.cross_entropy(similarity.T, torch.arange(len(similarity)))

        def info_nce_gradient(similarity):
            return (similarity.softmax(1) - torch.eye(len(similarity), dtype=similarity.dtype)) / len(similarity)
        """)
    )
    return file


BY_HAND = ["autograder/checks/hidden", "-p", "autograder.plugin", "-k", "ps1"]


def run_by_hand(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", *BY_HAND, *options],
        cwd=ROOT,
        env={**os.environ, "PYTEST_ADDOPTS": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_settings_of_other_tests_are_refused() -> None:
    done = run_by_hand("--student", "solutions/ps1_infonce")
    assert done.returncode == 4
    assert "write --student=FOLDER with an equals sign" in done.stderr
    assert "Traceback" not in done.stderr


def test_one_student_by_hand_behind_the_wall(hand_in: Path) -> None:
    done = run_by_hand(f"--student={hand_in}")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "isolation: namespaces" in done.stdout
    assert "4 of 4  ps1.2 Its gradient, by hand: right." in done.stdout
    assert (
        "0 of 6  ps1.1 InfoNCE: not yet. It looks like this: the softmax runs over the wrong axis"
        in done.stdout
    )


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--student={}", "--unsafe"], 1, ["UNSAFE", "4 of 4  ps1.2"]),
        ([], 4, ["Give --student=FOLDER_OR_NOTEBOOK"]),
        (["--student=nobody"], 4, ["there is no folder or file nobody"]),
    ],
)
def test_by_hand_it_says_what_it_did(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    hand_in: Path,
    options: list[str],
    code: int,
    words: list[str],
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    assert pytest.main([*BY_HAND, *(option.format(hand_in) for option in options)]) == code
    said = "".join(capfd.readouterr())
    assert all(each in said for each in words), said
    assert "Traceback" not in said
