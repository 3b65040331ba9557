"""Student code behind the wall: rooms, workers, and what becomes of those that misbehave."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch

from autograder.banks import CANARY, bank
from autograder.checks import exercise
from autograder.checks.exercise import Status
from autograder.namespaces import Limits, of_python_below
from autograder.plugin import Judge
from autograder.results import Outcome
from autograder.sandbox import find_way
from autograder.student import Answer, Call
from autograder.warm import NoRoom, Parent, Remote, choose, open_parent, worker_sources
from idc.errors import UserError

ROOT = Path(__file__).parents[2]
TIGHT = Limits(memory=2**30, processes=16, disk=2**20, load=10, call=2, exercise=4)
SOLUTIONS = {
    f"{path.parent.name}/{path.name}": path.read_bytes()
    for path in sorted((ROOT / "solutions").glob("*/*.ipynb"))
}


@pytest.fixture(scope="module")
def parent(without: Callable[[str, str], None]) -> Iterator[Parent]:
    try:
        find_way()
    except UserError as error:
        without("no wall can be built here", str(error))
    with open_parent(limits=TIGHT) as parent:
        yield parent


def code(body: str, before: str = "") -> dict[str, bytes]:
    """A hand-in whose InfoNCE has this body, and whose gradient is right."""
    lines = "\n    ".join(body.splitlines())
    return {
        "ps1_infonce/ps1_infonce.py": f"""
import torch, os, sys, time
{before}

def info_nce(similarity):
    {lines}

def info_nce_gradient(similarity):
    return (similarity.softmax(1) - torch.eye(len(similarity), dtype=similarity.dtype)) / len(similarity)
""".encode()
    }


ASK = Call("info_nce", (torch.eye(3),))
RIGHT = "return torch.nn.functional.cross_entropy(similarity, torch.arange(len(similarity)))"


def first_answer(parent: Parent, body: str, before: str = "") -> Answer:
    with parent.room(code(body, before)) as room:
        return room.student("ps1.1")(ASK)


def left(parent: Parent) -> list[str]:
    """Processes below the warm parent."""
    deadline = time.monotonic() + 5
    found: list[str] = []
    while time.monotonic() < deadline:
        found = []
        for each in psutil.Process(parent.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if each.status() != psutil.STATUS_ZOMBIE:
                    found.append(" ".join(each.cmdline()))
        if len(found) <= 2:  # bubblewrap's own first process, and the warm parent
            break
        time.sleep(0.05)
    return found[2:]


def test_all_solutions_are_right_behind_it(parent: Parent) -> None:
    with parent.room(SOLUTIONS) as room:
        assert room.where["info_nce"].startswith("ps1_infonce/ps1_infonce.ipynb, cell")
        for id in ("ps1.1", "ps2.1", "ps3.1", "ps3.5", "ps4.3", "ps5.3", "ps5.4"):
            verdict = exercise(id).judge(room.student(id))
            assert verdict.status is Status.RIGHT, verdict.message
        assert not room.flags
        assert room.memory() < 150 * 2**20, "what comes from the warm parent is not counted"


def test_a_worker_that_will_be_asked_starts_with_the_room(parent: Parent) -> None:
    """Not one for an exercise that builds on others: it will want lent pieces."""
    for ids, started in ((["ps1.1", "ps1.2"], 1), (["ps3.3"], 0), ([], 0)):
        with parent.room(SOLUTIONS, ids) as room:
            assert room.workers == started
            room.student("ps1.2")
            assert room.workers == 1


def test_something_can_be_done_while_a_room_opens(parent: Parent) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    done: list[str] = []
    with parent.room(SOLUTIONS, meanwhile=lambda: done.append("this")) as room:
        assert done == ["this"]
        assert room.student("ps1.1")(ASK).failure is None
    with pytest.raises(ZeroDivisionError):
        parent.room(code("while True: pass"), meanwhile=fail)
    assert left(parent) == []


ENDS = {
    "os._exit(0)": ("Crashed", "exit code 0"),
    "os._exit(7)": ("Crashed", "exit code 7"),
    "os.abort()": ("Crashed", "SIGABRT"),
    "import ctypes; ctypes.string_at(0)": ("Crashed", "SIGSEGV"),
    "os.kill(os.getpid(), 9)": ("Crashed", "SIGKILL"),
    "while True: pass": ("OutOfTime", "within 2 seconds"),
    "os.close_range = None\nos.closerange(3, 99)": ("Crashed", "ended"),
    "x = bytearray(2**31)": ("MemoryError", ""),
    "return torch.zeros(2**30)": ("RuntimeError", "memory"),
    "while True: os.fork()": ("BlockingIOError", ""),
    "open('/tmp/x', 'wb').write(b'x' * 2**22)": ("OSError", ""),
    "sys.exit(0)": ("SystemExit", "0"),
    "raise KeyboardInterrupt": ("KeyboardInterrupt", ""),
    "return info_nce(similarity)": ("RecursionError", ""),
    "raise type('A' * 10**6, (Exception,), {})('B' * 10**6)": ("A" * 512, "B" * 100),
    "[os.write(n, b'idc1' + b'x' * 99) for n in range(3, 99) if os.path.exists(f'/proc/self/fd/{n}')]": (
        "Tampered",
        "else",
    ),
}


@pytest.mark.parametrize(("body", "end"), ENDS.items(), ids=list(ENDS))
def test_however_it_ends_there_is_an_answer(parent: Parent, body: str, end: tuple[str, str]) -> None:
    with parent.room(code(body)) as room:
        failure = room.student("ps1.1")(ASK).failure
        assert failure is not None
        assert (failure.kind, end[1] in failure.message) == (end[0], True), failure
        other = exercise("ps1.2").judge(room.student("ps1.2"))
        assert other.status is Status.RIGHT, other.message
    assert left(parent) == []


def test_memory_is_counted_for_all_processes_together() -> None:
    body = "for n in range(4):\n  if not os.fork():\n    x = b'x' * (100 * 2**20); time.sleep(60)\ntime.sleep(60)"
    with open_parent(limits=replace(TIGHT, memory=350 * 2**20, call=30, exercise=30)) as parent:
        failure = first_answer(parent, body).failure
        assert failure is not None and (failure.kind, "GiB" in failure.message) == ("OutOfMemory", True), (
            failure
        )


def test_a_definition_that_ends_the_process_costs_only_its_own_exercise(parent: Parent) -> None:
    sources = code(RIGHT, "def torn(x=os._exit(1)): pass")
    with parent.room(sources) as room:
        assert exercise("ps1.1").judge(room.student("ps1.1")).status is Status.RIGHT, "nobody stands on it"
    with parent.room(code("return torn(similarity)", "def torn(x, y=os._exit(1)): return x.sum()")) as room:
        failure = room.student("ps1.1")(ASK).failure
        assert failure is not None and failure.kind == "Crashed"
        assert exercise("ps1.2").judge(room.student("ps1.2")).status is Status.RIGHT


def test_nothing_is_left_for_the_next_exercise(parent: Parent) -> None:
    write = "open('/tmp/left', 'w').write('x'); open('/dev/shm/left', 'w').write('x'); torch.eye = None"
    look = "return torch.tensor(float(os.path.exists('/tmp/left') or os.path.exists('/dev/shm/left')))"
    body = f"if similarity[0, 0] == 5:\n  {write}\n  if not os.fork(): os.setsid(); time.sleep(60)\n{look}"
    with parent.room(code(body)) as room:
        student = room.student("ps1.1")
        assert student(Call("info_nce", (torch.full((2, 2), 5.0),))).outputs[""] == 1
        assert (
            room.student("ps1.2", ["attention"])(Call("info_nce_gradient", (torch.eye(2),))).failure is None
        )
        fresh = room.student("ps1.1")
        assert fresh is not student
        assert fresh(ASK).outputs[""] == 0
    assert left(parent) == []


def test_what_another_exercise_broke_is_tried_alone(parent: Parent) -> None:
    """InfoNCE is right and replaces what the gradient, right as well, stands on."""
    sources = code(f"torch.Tensor.softmax = lambda *a, **k: 0 / 0\n{RIGHT}")
    each = exercise("ps1.2")
    with parent.room(sources) as room:
        assert exercise("ps1.1").judge(room.student("ps1.1")).status is Status.RIGHT
        assert each.judge(room.student("ps1.2")).status is Status.WRONG
        assert each.judge(room.student("ps1.2")).status is Status.RIGHT
    with parent.room(sources) as room:
        results = Judge().judge(room.student, ["ps1.1", "ps1.2"], "seed")
    assert [result.outcome for result in results.values()] == [Outcome.RIGHT, Outcome.RIGHT]


def test_it_knows_no_answers(parent: Parent) -> None:
    """Walks through all that can be read: no reference, no hidden check, no recorded answer, nobody else's work."""
    body = """
names = ["idc/pieces/infonce.py", "checks/answers", "checks/hidden", "banks", "solutions", "gradebook.db", "lender.py"]
found = []
for top, folders, files in os.walk("/"):
    if top.startswith(("/proc", "/sys", "/usr")) or "/site-packages/" in top:
        folders[:] = []
        continue
    for name in [*folders, *files]:
        path = os.path.join(top, name)
        if any(each in path for each in names[1:]) or name.endswith(".npz") and "/kit/" in path:
            found.append(path)
        if path.startswith("/kit") and path.endswith(".py"):
            text = open(path).read()
            if CANARY in text or "logsumexp" in text and "/pieces/" in path:
                found.append(path)
import importlib.util
for name in ("autograder.banks", "autograder.hidden", "autograder.plugin", "autograder.checks.hidden", "autograder.lender"):
    if importlib.util.find_spec(name.rpartition(".")[0]) and importlib.util.find_spec(name):
        found.append(name)
raise ValueError(" ".join(found) or "nothing")
"""
    failure = first_answer(parent, body, f"CANARY = {CANARY[:9]!r} + {CANARY[9:]!r}").failure
    assert failure is not None
    assert failure.message == "nothing"


def test_the_sources_of_a_worker_hold_no_canary(tmp_path: Path) -> None:
    worker_sources(tmp_path)
    assert not [
        path for path in tmp_path.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()
    ]
    assert not list(tmp_path.rglob("*.npz"))
    stub = (tmp_path / "idc" / "pieces" / "infonce.py").read_text(encoding="utf-8")
    assert "is yours to write" in stub and "logsumexp" not in stub


@pytest.mark.parametrize("where", ["/proc/1/mem", "/proc/1/environ", "/proc/1/fd", "/proc/1/maps"])
def test_its_room_is_closed_to_it(parent: Parent, where: str) -> None:
    look = "os.listdir" if where.endswith("fd") else "open"
    failure = first_answer(parent, f"raise ValueError(str({look}({where!r})))").failure
    assert failure is not None and failure.kind == "PermissionError", failure


def test_it_sees_only_itself_and_its_room(parent: Parent) -> None:
    failure = first_answer(
        parent, "raise ValueError(sorted(filter(str.isdigit, os.listdir('/proc'))).__len__())"
    ).failure
    assert failure is not None and failure.message == "2"


def test_it_cannot_make_worlds_of_its_own(parent: Parent) -> None:
    body = "import ctypes\nraise ValueError(ctypes.CDLL(None).unshare(0x10000000), 'told')"
    failure = first_answer(parent, body).failure
    assert failure is not None and failure.message.startswith("(-1, "), failure


@pytest.mark.parametrize("what", ["torch.equal", "torch.Tensor.clone", "torch.autograd.grad", "len"])
def test_what_it_replaces_is_noticed_and_does_not_hide_a_change(parent: Parent, what: str) -> None:
    owner, _, name = what.rpartition(".")
    body = f"""
setattr({owner or "__builtins__"}, {name!r}, (lambda *a, **k: True) if {name!r} == "equal" else lambda *a, **k: OLD(*a, **k))
result = similarity.logsumexp(1).mean() - similarity.diagonal().mean()
similarity += 1
return result
"""
    old = f"import builtins as __builtins__\nOLD = {what}"
    with parent.room(code(body, old)) as room:
        answer = room.student("ps1.1")(ASK)
        assert answer.failure is None and answer.changed == (0,)
        assert any(name in flag for flag in room.flags)


def test_who_replaces_the_worker_itself_is_thrown_out(parent: Parent) -> None:
    body = f"import autograder.student\nautograder.student.differs = lambda *a: False\n{RIGHT}"
    with parent.room(code(body)) as room:
        failure = room.student("ps1.1")(ASK).failure
        assert failure is not None and failure.kind == "Tampered"
        assert "autograder.student.differs" in room.flags[0]


def test_what_is_lent_is_worked_out_elsewhere(parent: Parent) -> None:
    """ps3.3 builds on ps3.1 and ps3.2: with wrong ones it is wrong, with lent ones right, gradients included."""
    wrong = {
        name: text.replace(b"softmax(", b"sigmoid(").replace(b"dim=-1", b"") if "ps3" in name else text
        for name, text in SOLUTIONS.items()
    }
    each = exercise("ps3.3")
    with parent.room(wrong) as room:
        assert exercise("ps3.1").judge(room.student("ps3.1")).status is Status.WRONG
        assert each.judge(room.student("ps3.3")).status is Status.WRONG
        lent = room.student("ps3.3", ["attention", "split_heads"])
        verdict = each.judge(lent)
        assert verdict.status is Status.RIGHT, verdict.message
        call = next(record.call for record in each.records() if record.call.want is not None)
        reference = bank("ps3.3").right
        from autograder.student import Local

        expected = Local({each.piece: reference})(call).gradients
        found = lent(call).gradients
        assert found.keys() == expected.keys()
        for name, gradient in expected.items():
            assert gradient is None or torch.allclose(found[name], gradient)  # type: ignore[arg-type]


def test_a_class_is_lent_to_those_that_inherit_from_it(parent: Parent) -> None:
    broken = {
        name: text.replace(b"def hallucinate", b"def dream") if "ps5" in name else text
        for name, text in SOLUTIONS.items()
    }
    each = exercise("ps5.3")
    with parent.room(broken) as room:
        assert each.judge(room.student("ps5.3")).status is not Status.RIGHT
        verdict = each.judge(room.student("ps5.3", ["Hallucination", "info_nce"]))
        assert verdict.status is Status.RIGHT, verdict.message


def test_only_what_was_lent_is_told(parent: Parent) -> None:
    body = """
from autograder.worker import Lender
import gc
lender = next(each for each in gc.get_objects() if isinstance(each, Lender))
from autograder.student import Call
return lender(Call("info_nce", (similarity,))).outputs[""]
"""
    with parent.room(code(body)) as room:
        failure = room.student("ps1.1")(ASK).failure
        assert failure is not None and failure.kind == "Tampered"
        assert "not lent" in room.flags[0]


def question(number: float, size: int = 3) -> Call:
    return Call("info_nce", (torch.full((size, size), number),))


ECHO = "return similarity[0, 0].clone()"


def test_foreseen_calls_are_answered_as_others_are(parent: Parent) -> None:
    """In any order, some asked twice, some not foreseen, some foreseen and never asked."""
    with parent.room(
        code("CALLS.append(float(similarity[0, 0]))\nreturn torch.tensor(CALLS)", "CALLS = []")
    ) as room:
        student = room.student("ps1.1")
        student.foresee([question(number) for number in (1, 2, 1, 3, 4)])
        assert student(question(3)).outputs[""].tolist() == [1, 2, 1, 3]
        assert student(question(1)).outputs[""].tolist() == [1]
        both = student.many([question(1), question(9)])
        assert [answer.outputs[""].tolist() for answer in both] == [[1, 2, 1], [1, 2, 1, 3, 4, 9]]
        assert student(question(1)).outputs[""].tolist()[-2:] == [9, 1], "foreseen twice, asked three times"
        room.student("ps1.2")
        again = room.student("ps1.1")
        assert again is student
        assert again(question(4)).outputs[""].tolist()[-2:] == [1, 4], (
            "what was not asked in time is forgotten"
        )


def test_more_may_be_foreseen_than_the_line_holds(parent: Parent) -> None:
    """Questions of 60 KB and answers of 1 MB: neither side waits for the other to read."""
    calls = [question(number, 90) for number in range(60)]
    with parent.room(code("return similarity[:1, :1].expand(512, 512).clone()")) as room:
        student = room.student("ps1.1")
        student.foresee(calls)
        assert student(question(-1)).outputs[""][0, 0] == -1
        assert [int(student(call).outputs[""][0, 0]) for call in reversed(calls)] == [*range(59, -1, -1)]


@pytest.mark.parametrize("act", ["os._exit(1)", "while True: pass"])
def test_who_ends_at_a_foreseen_call_has_answered_the_earlier_ones(parent: Parent, act: str) -> None:
    with parent.room(code(f"if similarity[0, 0] == 11:\n  {act}\n{ECHO}")) as room:
        student = room.student("ps1.1")
        student.foresee([question(number) for number in range(20)])
        answers = [student(question(number)) for number in range(20)]
        kinds = [answer.failure and answer.failure.kind for answer in answers]
        assert kinds[:9] == [None] * 9, "one, and then eight together"
        assert len(set(kinds[9:])) == 1 and kinds[9] in ("Crashed", "OutOfTime")
        assert exercise("ps1.2").judge(room.student("ps1.2")).status is Status.RIGHT


def test_an_endless_loop_costs_the_time_of_one_call(parent: Parent) -> None:
    """Not that of all calls in the message."""
    with parent.room(code("while True: pass")) as room:
        room.limits = replace(TIGHT, exercise=60)
        started = time.monotonic()
        verdict = exercise("ps1.1").judge(room.student("ps1.1"))
        assert "within 2 seconds" in verdict.message
        assert time.monotonic() - started < 6 * TIGHT.call


def test_a_foreseen_call_that_nobody_asks_harms_nobody(parent: Parent) -> None:
    with parent.room(code(f"if similarity[0, 0] == 1: os._exit(1)\n{ECHO}")) as room:
        room.student("ps1.1").foresee([question(1)])
        assert exercise("ps1.2").judge(room.student("ps1.2")).status is Status.RIGHT


def test_what_is_put_between_foreseen_answers_is_noticed(parent: Parent) -> None:
    forged = """
from autograder.channel import Channel
import gc
answer = {"outputs": [], "kind": "", "gradients": {}, "changed": [], "failure": None}
for line in gc.get_objects():
    if isinstance(line, Channel) and line.end.fileno() >= 0:
        line.send({"number": 3, "answers": [answer] * 8, "replaced": []})
"""
    with parent.room(code(f"if similarity[0, 0] == 3:\n  exec({forged!r})\n{ECHO}")) as room:
        student, calls = room.student("ps1.1"), [question(number) for number in range(24)]
        student.foresee(calls)
        kinds = [answer.failure and answer.failure.kind for answer in map(student, calls)]
        assert kinds == [None] + ["Tampered"] * 23, (
            "the forged answer to the third message came before that to the second"
        )


def test_who_is_lent_pieces_is_asked_one_by_one(parent: Parent) -> None:
    each = exercise("ps3.3")
    calls = [record.call for record in each.records()]
    with parent.room(SOLUTIONS) as room:
        lent = room.student("ps3.3", ["attention"])
        lent.foresee(calls)
        assert not lent.under_way
        assert each.judge(lent).status is Status.RIGHT


def test_a_hand_in_that_is_no_notebook_has_a_note(parent: Parent) -> None:
    with parent.room({"ps1_infonce/ps1_infonce.ipynb": b"\x00\xff" * 50}) as room:
        assert "cannot be read" in room.notes[0]
        failure = room.student("ps1.1")(ASK).failure
        assert failure is not None and failure.kind == "Missing"


def test_reading_has_its_limits(parent: Parent) -> None:
    deep = b'{"cells": ' + b"[" * 10**6 + b"]" * 10**6 + b"}"
    with parent.room({"a/ps1_infonce.ipynb": deep}) as room:
        assert room.notes
    huge = b'{"cells": [' + b"1," * (60 * 2**20) + b"1]}"
    try:
        with parent.room({"a/ps1_infonce.ipynb": huge}) as room:
            assert room.notes
    except NoRoom as error:
        assert "hand-in" in str(error)


def test_time_is_counted_for_an_exercise_as_a_whole(parent: Parent) -> None:
    with parent.room(code(f"time.sleep(1.5)\n{RIGHT}")) as room:
        student = room.student("ps1.1")
        kinds = [answer.failure and answer.failure.kind for answer in (student(ASK) for _ in range(4))]
        assert kinds == [None, None, "OutOfTime", "OutOfTime"]


def test_a_parent_that_dies_is_told(parent: Parent) -> None:
    with open_parent(limits=TIGHT) as other:
        other.process.kill()
        other.process.wait()
        with pytest.raises((NoRoom, UserError)):
            other.room(code(RIGHT))


def test_nothing_is_left_of_a_parent() -> None:
    with open_parent(limits=TIGHT) as other:
        room = other.room(code("os.fork() or time.sleep(60)\ntime.sleep(60)"))
        assert isinstance(room.student("ps1.1"), Remote)
        processes = psutil.Process(other.process.pid).children(recursive=True)
        assert len(processes) >= 3
    _, alive = psutil.wait_procs(processes, timeout=5)
    assert [each for each in alive if each.status() != psutil.STATUS_ZOMBIE] == []
    room.close()


def test_python_below_tmp_stays_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    below = tmp_path.resolve() / "venv"
    (below / "lib" / "site-packages").mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(below / "lib" / "site-packages"), str(below / "none"), "/usr/lib"])
    monkeypatch.setattr(sys, "prefix", str(below))
    assert str(below) in of_python_below(str(tmp_path.parent.resolve()))
    assert not any(place.startswith(f"{below}/") for place in of_python_below(str(tmp_path.parent.resolve())))
    assert of_python_below("/dev/shm") == []


def test_unknown_ways_are_named() -> None:
    with pytest.raises(UserError, match="auto, namespaces, uid and none"):
        choose("docker")


def test_without_isolation_it_works_too() -> None:
    with open_parent("none", TIGHT) as other, other.room(code(RIGHT)) as room:
        assert other.isolation == "none"
        assert exercise("ps1.1").judge(room.student("ps1.1")).status is Status.RIGHT
        assert first_answer(other, "os._exit(3)").failure is not None


UID = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from autograder import warm
from autograder.namespaces import Limits, of_python_below
from autograder.plugin import Judge
from autograder.results import Outcome
from autograder.student import Call
import torch
warm.os.__file__ = sys.argv[1]  # Python's own place is not what is tried here
warm.is_open_to_all = lambda path, real=warm.is_open_to_all: str(path) == sys.argv[1] or real(path)
look = "import os, torch\\ndef info_nce(s):\\n    {}\\n"
def ask(body):
    with parent.room({"a.py": look.format(body).encode()}) as room:
        answer = room.student("ps1.1")(Call("info_nce", (torch.eye(2),)))
        return answer.failure and f"{answer.failure.kind} {answer.failure.message}"
with warm.open_parent("uid", Limits(processes=16, call=2)) as parent:
    print(ask("raise ValueError(os.getuid())"))
    print(ask(f"open({str(Path(sys.argv[1]) / 'autograder' / 'lender.py')!r})"))
    print(ask("open('/proc/%d/mem' % os.getppid(), 'rb')"))
    print(ask("os.fork() or os.setsid() or __import__('time').sleep(99)"))
    print(ask("return s.sum()"))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_by_user_it_cannot_read_the_project(tmp_path: Path) -> None:
    project = tmp_path / "project"
    for package in ("idc", "autograder"):
        shutil.copytree(
            ROOT / package, project / package, ignore=shutil.ignore_patterns("__pycache__", "assets")
        )
    project.chmod(0o700)
    done = subprocess.run(
        [sys.executable, "-c", UID, str(project)],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        cwd=project,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 5, done.stderr[-2000:]
    assert re.fullmatch(r"ValueError [1-9]\d+", lines[0])
    assert lines[1].startswith("PermissionError") and lines[2].startswith("PermissionError")
    assert lines[3:] == ["None", "None"]
    uid = lines[0].split()[1]
    found = subprocess.run(["pgrep", "-u", uid, "-r", "R,S,D"], capture_output=True, text=True, check=False)
    assert found.stdout == ""


def test_a_project_that_all_can_read_is_not_graded_by_user(monkeypatch: pytest.MonkeyPatch) -> None:
    from autograder import warm

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(warm, "is_open_to_all", lambda path: True)
    with pytest.raises(UserError, match="chmod 700"):
        choose("uid")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(UserError, match="needs root"):
        choose("uid")
