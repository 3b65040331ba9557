"""The generated class: what its students write comes out as is said of them, and damage is what it is called."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import idc.pieces
from autograder.banks import bank
from autograder.checks import SETS, exercise, exercises
from autograder.checks.exercise import Status
from autograder.classroom import DAMAGES, Expected, brought, entries, make_class, names, written
from autograder.handin import check_handin
from autograder.results import Outcome
from autograder.student import Local
from autograder.submission import judge_own, read_own
from idc.errors import UserError
from idc.pieces.attention import join_heads

IN_NOTEBOOK = {
    "torch": torch, "nn": nn, "F": F, "Tensor": Tensor, "math": math, "np": np, "Callable": Callable, "Mapping": Mapping,
    "join_heads": join_heads,
}  # fmt: skip


@pytest.mark.parametrize("id", exercises())
def test_a_bank_is_written_as_cells_that_stand_alone(id: str) -> None:
    each = exercise(id)
    assert entries(id)["wrong"].keys() == bank(id).wrong.keys()
    assert entries(id)["honest"].keys() == bank(id).honest.keys()
    for kind, found in entries(id).items():
        for key in found:
            own = (
                {"__name__": __name__}
                | IN_NOTEBOOK
                | {name: getattr(idc.pieces, name) for name in brought(id)}
            )
            # Annotations are evaluated, as in a notebook.
            exec(compile(written(id, kind, key), f"{id} {key}", "exec", dont_inherit=True), own)
            verdict = each.judge(Local({each.piece: own[each.piece]}))
            assert (verdict.status is Status.RIGHT) == (kind == "honest"), (kind, key, verdict)
            assert verdict.idea == (key if kind == "wrong" else ""), (kind, key, verdict)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Expected]]:
    folder = tmp_path_factory.mktemp("class") / "submitted"
    return folder, make_class(folder, students=3, seed=1, stopping=0)


def test_the_class_comes_out_as_expected(whole: tuple[Path, dict[str, Expected]]) -> None:
    folder, expected = whole
    for student, each in expected.items():
        verdicts = judge_own(read_own(folder / student))
        got = {id: verdicts[exercise(id).piece] for id in each.exercises}
        assert {id: (verdict.status.value, verdict.idea) for id, verdict in got.items()} == {
            id: (due.outcome.value, due.idea) for id, due in each.exercises.items()
        }, student
    outcomes = {due.outcome for each in expected.values() for due in each.exercises.values()}
    assert outcomes == {Outcome.RIGHT, Outcome.WRONG, Outcome.NOT_ATTEMPTED}


def test_the_layout_is_nbgraders(whole: tuple[Path, dict[str, Expected]]) -> None:
    folder, expected = whole
    assert sorted(each.name for each in folder.iterdir()) == sorted(expected)
    for student in expected:
        for set in list(SETS.values())[:5]:
            assert {each.name for each in (folder / student / set).iterdir()} == {
                f"{set}.ipynb",
                "timestamp.txt",
            }
            when = (folder / student / set / "timestamp.txt").read_text()
            assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6} UTC\n", when)


def test_nobody_takes_the_courses_answers(whole: tuple[Path, dict[str, Expected]]) -> None:
    """In the student kit the library's pieces are stubs, so what stands on them would not work there."""
    for path in whole[0].rglob("*.ipynb"):
        sources = [
            "".join(cell["source"])
            for cell in json.loads(path.read_text())["cells"]
            if cell["cell_type"] == "code"
        ]
        text = "\n".join(sources)
        assert "autograder.banks" not in text, path
        for taken in re.findall(r"^from idc\.pieces\S* import (.*)$", text, re.M):
            assert not set(taken.split(", ")) & {each.piece for each in exercises().values()}


def test_equal_arguments_write_equal_bytes(tmp_path: Path) -> None:
    for name, seed in (("first", 3), ("again", 3), ("other", 4)):
        make_class(tmp_path / name, 2, seed, damage=0.5, sets=("ps1", "ps3"))
    contents = {
        name: {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.is_file()
        }
        for name in ("first", "again", "other")
    }
    assert contents["first"] == contents["again"]
    assert contents["first"] != contents["other"]


def test_more_students_do_not_change_the_first_ones(tmp_path: Path) -> None:
    few, many = (
        make_class(tmp_path / "few", 2, sets=("ps1",)),
        make_class(tmp_path / "many", 4, sets=("ps1",)),
    )
    assert {student: many[student] for student in few} == few


def test_some_never_come_back(tmp_path: Path) -> None:
    expected = make_class(tmp_path, 6, stopping=1, sets=("ps1",))
    stopped = {
        student: [(id, due.how) for id, due in each.exercises.items() if due.outcome is Outcome.STOPPED]
        for student, each in expected.items()
    }
    assert {len(found) for found in stopped.values()} == {1}
    traces = {
        "endless loop": "while True:",
        "os._exit": "os._exit(0)",
        "segmentation fault": "ctypes.string_at(0)",
    }
    for student, [(_, how)] in stopped.items():
        assert traces[how] in (tmp_path / student / "ps1_infonce" / "ps1_infonce.ipynb").read_text()


def test_problem_set_6_comes_with_a_report(tmp_path: Path) -> None:
    expected = make_class(tmp_path, 8, sets=("ps6",))
    due = {student: each.exercises["ps6.1"] for student, each in expected.items()}
    assert {each.outcome for each in due.values()} == {Outcome.RIGHT, Outcome.WRONG, Outcome.NOT_ATTEMPTED}
    for student, each in due.items():
        assert (tmp_path / student / "ps6_train" / "ps6_train.ipynb").is_file()
        points = check_handin(tmp_path / student / "ps6_train" / "report")
        assert points.verdict.status.value == each.outcome.value, each


def test_damage_is_counted_and_named(tmp_path: Path) -> None:
    expected = make_class(tmp_path, 16, damage=0.5, sets=("ps1", "ps2"))
    damages = {
        (student, number): damage
        for student, each in expected.items()
        for number, damage in each.damage.items()
    }
    assert len(damages) == 16
    assert {damage.kind for damage in damages.values()} == set(DAMAGES)
    for (student, number), damage in damages.items():
        assert damage.recoverable == DAMAGES[damage.kind][0]
        assert expected[student].lost(f"{number}.1") != damage.recoverable
        (path,) = (tmp_path / student / SETS[number]).glob("*.ipynb")
        if damage.kind in ("truncated", "binary junk", "empty file", "merge conflict"):
            with pytest.raises(ValueError, match=r"."):
                json.loads(path.read_bytes())
        else:
            assert json.loads(path.read_text(encoding="utf-8-sig"))["nbformat"] == (
                3 if damage.kind == "nbformat 3" else 4
            )
    undamaged = next(each for each in expected.values() if "ps1" not in each.damage)
    assert not undamaged.lost("ps1.1")


@pytest.mark.parametrize("kind", [kind for kind, (recoverable, _) in DAMAGES.items() if recoverable])
def test_recoverable_damage_leaves_every_answer_in_the_file(
    kind: str, whole: tuple[Path, dict[str, Expected]]
) -> None:
    """All lines of the answers are still there, wherever they went."""
    student = next(iter(whole[1]))
    found = json.loads((whole[0] / student / "ps1_infonce" / "ps1_infonce.ipynb").read_text())
    lines = [
        line.strip()
        for cell in found["cells"]
        if cell["cell_type"] == "code" and cell["metadata"].get("nbgrader", {}).get("solution")
        for line in cell["source"]
    ]
    content = DAMAGES[kind][1](found, np.random.default_rng(0)).decode("utf-8-sig")
    spoilt = json.loads(re.sub(r"<<<<<<< HEAD\n(.*)=======.*>>>>>>> mine\n", r"\1", content, flags=re.DOTALL))
    cells = spoilt["cells"] if "cells" in spoilt else spoilt["worksheets"][0]["cells"]
    text = "\n".join("".join(cell.get("source", cell.get("input", ""))) for cell in cells)
    missing = [line for line in lines if line not in text]
    assert len(missing) == (1 if kind == "renamed function" else 0), missing


def test_names_are_of_all_kinds_and_differ() -> None:
    many = names(300)
    assert len(set(many)) == 300
    assert len({name.casefold() for name in many}) == 300
    assert sum(name.isascii() for name in many) > 20
    assert sum(not name.isascii() for name in many) > 20


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        make_class(tmp_path, 1)
    assert [each.name for each in tmp_path.iterdir()] == ["thesis.txt"]


def test_the_command_says_what_it_made(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "autograder.classroom",
        str(tmp_path / "submitted"),
        "--students",
        "2",
        "--damage",
        "0.2",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"{tmp_path / 'submitted'}: 2 students, 10 notebooks, 2 of them damaged\n"
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 2
    assert again.stderr.startswith("error: ")
