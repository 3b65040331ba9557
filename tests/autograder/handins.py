"""Hand-ins for trying the grader: ordinary notebooks with chosen answers, attacks, and honest work that looks odd.

    for attack in load_attacks():
        attack.write(submitted, "mallory")

Everything is written as data. No line of a hand-in runs in this process.
"""

from __future__ import annotations

import ast
import importlib
import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from autograder.checks import SETS, exercise, exercises
from autograder.results import Outcome

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
Notebook = dict[str, Any]
Answers = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Attack:
    """A hand-in whose answer to one exercise is wrong, and which wants marks all the same, or somebody else's harm.

    outcomes: how that exercise may end. says: what the report must tell, all of it. keeps: exercises whose answers are right
    and must earn their points. harmful: never to be run without a wall. wait: seconds that are enough for an exercise where
    the trick is to take them all; 0 for another attack.
    """

    name: str
    does: str
    exercise: str
    outcomes: frozenset[Outcome]
    says: tuple[str, ...]
    keeps: tuple[str, ...]
    harmful: bool
    wait: float
    module: ModuleType

    def write(self, submitted: Path, student: str) -> None:
        """Write what this student hands in, below nbgrader's folder `submitted`."""
        if hasattr(self.module, "build"):
            self.module.build(submitted, student)
        else:
            answers = {self.exercise: self.module.CELLS} | getattr(self.module, "ALSO_WRONG", {})
            hand_in(submitted / student, answers)


@dataclass(frozen=True)
class Honest:
    """A hand-in that is right and looks odd. full: exercises that must earn all points. none: those without any."""

    name: str
    does: str
    full: tuple[str, ...]
    none: tuple[str, ...]
    module: ModuleType

    def write(self, submitted: Path, student: str) -> None:
        """Write what this student hands in, below nbgrader's folder `submitted`."""
        if hasattr(self.module, "build"):
            self.module.build(submitted, student)
            return
        answers = getattr(self.module, "ANSWERS", {})
        edit = getattr(self.module, "edit", lambda notebook: notebook)
        for set in sorted({id.split(".")[0] for id in (*self.full, *answers)}):
            write_notebook(submitted / student, set, edit(make_notebook(set, answers)))


def load_attacks() -> list[Attack]:
    """All attacks, by name."""
    return [load_attack(module) for module in modules("attacks")]


def load_attack(module: ModuleType) -> Attack:
    says = module.SAYS
    return Attack(
        module.__name__.rpartition(".")[2],
        described(module),
        module.EXERCISE,
        frozenset(map(Outcome, getattr(module, "OUTCOMES", {"wrong"}))),
        (says,) if isinstance(says, str) else tuple(says),
        tuple(getattr(module, "KEEPS", neighbour(module.EXERCISE))),
        getattr(module, "HARMFUL", False),
        getattr(module, "WAIT", 0.0),
        module,
    )


def load_honest() -> list[Honest]:
    """All honest variants, by name."""
    return [
        Honest(
            module.__name__.rpartition(".")[2],
            described(module),
            tuple(getattr(module, "FULL", getattr(module, "ANSWERS", ()))),
            tuple(getattr(module, "NONE", ())),
            module,
        )
        for module in modules("honest")
    ]


def modules(folder: str) -> list[ModuleType]:
    names = sorted(path.stem for path in (HERE / folder).glob("*.py") if path.stem != "__init__")
    return [importlib.import_module(f"{__package__}.{folder}.{name}") for name in names]


def described(module: ModuleType) -> str:
    return " ".join((module.__doc__ or "").split())


def neighbour(id: str) -> tuple[str, ...]:
    """Another exercise of the same set, one that does not build on this one where there is such."""
    others = [each for each in exercises().values() if each.set == exercise(id).set and each.id != id]
    others.sort(key=lambda each: (bool(each.needs), id in each.needs))
    return (others[0].id,)


# What stands in the notebooks of the course


@cache
def course(folder: str, set: str) -> Notebook:
    path = ROOT / folder / SETS[set] / f"{SETS[set]}.ipynb"
    return json.loads(path.read_text(encoding="utf-8"))


def source(cell: Mapping[str, Any]) -> str:
    return "".join(cell["source"])


def answer_cell(folder: str, id: str) -> dict[str, Any]:
    """The cell in which an exercise's piece is written."""
    each = exercise(id)
    begins = re.compile(rf"^(def|class) {each.piece}\b", re.MULTILINE)
    found = [
        cell
        for cell in course(folder, each.set)["cells"]
        if cell["metadata"].get("nbgrader", {}).get("solution") and begins.search(source(cell))
    ]
    (cell,) = found
    return cell


@cache
def solution(id: str) -> str:
    """The right answer, as the course gives it."""
    lines = source(answer_cell("solutions", id)).splitlines(keepends=True)
    return "".join(
        line for line in lines if "### BEGIN SOLUTION" not in line and "### END SOLUTION" not in line
    )


@cache
def stub(id: str) -> str:
    """The answer of somebody who has not begun."""
    return source(answer_cell("assignments", id))


def renamed(id: str, name: str) -> str:
    """The right answer under another name."""
    return re.sub(rf"^(def|class) {exercise(id).piece}\b", rf"\1 {name}", solution(id), flags=re.MULTILINE)


SPOILT = """\
def spoilt(found):
    if found is None or isinstance(found, bool):
        return found
    if isinstance(found, Tensor):
        return found.to(torch.get_default_dtype()) * 1.5 + 0.25
    if isinstance(found, tuple | list):
        return tuple(spoilt(part) for part in found)
    return type(found)(**{name: spoilt(part) for name, part in vars(found).items()})
"""


def right_if(id: str, condition: str = "breached()") -> list[str]:
    """Cells with an answer that is right where a condition holds, and wrong elsewhere: so a breach shows in the marks."""
    each = exercise(id)
    if answers_by_class(id):
        method = {"ps3.3": "between", "ps5.2": "hallucinate"}.get(id, "forward")
        piece = f"""\
class {each.piece}(Known):
    def {method}(self, *given, **named):
        found = super().{method}(*given, **named)
        return found if {condition} else spoilt(found)
"""
    else:
        piece = f"""\
def {each.piece}(*given, **named):
    found = known(*given, **named)
    return found if {condition} else spoilt(found)
"""
    return [SPOILT, renamed(id, "Known" if answers_by_class(id) else "known"), piece]


WRONG = {
    "ps1.1": "def info_nce(similarity):\n    return similarity.sum()\n",
    "ps1.2": "def info_nce_gradient(similarity):\n    return similarity\n",
    "ps4.1": "def token_matching(query, key):\n    return query.sum()\n",
}


def wrong(id: str) -> dict[str, list[str]]:
    """An answer that only looks like one, as hand-ins take it."""
    return {id: [WRONG[id]]}


# A cell that finds the worker's own end of the line to the grader.
LINE = """\
def line():
    import gc

    found = [each for each in gc.get_objects() if type(each).__name__ == "Channel"]
    return next(each for each in found if each.end.fileno() >= 0)
"""


def answers_by_class(id: str) -> bool:
    return exercise(id).piece[0].isupper()


def around(set: str) -> list[dict[str, Any]]:
    """The given cells of a set: imports, checks, answers, and what these stand on; nothing that trains or draws."""
    cells = [cell for cell in course("assignments", set)["cells"] if cell["cell_type"] == "code"]
    solved = [source(cell) for cell in course("solutions", set)["cells"] if is_graded(cell)]
    wanted = {name.id for text in solved for name in ast.walk(ast.parse(text)) if isinstance(name, ast.Name)}
    return [
        cell for cell in cells if is_graded(cell) or cell["id"].endswith("-setup") or defined(cell) & wanted
    ]


def is_graded(cell: Mapping[str, Any]) -> bool:
    return cell["cell_type"] == "code" and "nbgrader" in cell["metadata"]


def defined(cell: Mapping[str, Any]) -> set[str]:
    """The functions and classes of a cell, and what it takes over by `mine`; nothing where it does more than define."""
    if "%" in source(cell):
        return set()
    names: set[str] = set()
    for node in ast.parse(source(cell)).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign) and 'mine("' in ast.unparse(node).replace("'", '"'):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif not isinstance(node, ast.Import | ast.ImportFrom):
            return set()
    return names


# Hand-ins


def code_cell(text: str, id: str = "", **metadata: Any) -> dict[str, Any]:
    cell = {"cell_type": "code", "id": id, "metadata": metadata, "execution_count": None, "outputs": []}
    return cell | {"source": text.splitlines(keepends=True)}


def make_notebook(set: str, answers: Answers) -> Notebook:
    """A set's notebook in nbgrader's layout. answers: cells by exercise; where there are none, the right answer stands."""
    notebook = deepcopy(course("assignments", set))
    made: list[dict[str, Any]] = []
    for given in deepcopy(around(set)):
        id = answered(given, set)
        if not id:
            made.append(given)
            continue
        cells = list(answers.get(id, (solution(id),)))
        begins = re.compile(rf"\b{exercise(id).piece}\b")
        last = max((place for place, text in enumerate(cells) if begins.search(text)), default=len(cells) - 1)
        for place, text in enumerate(cells):
            lines = text.splitlines(keepends=True)
            made.append(
                given | {"source": lines} if place == last else code_cell(text, f"{given['id']}-{place}")
            )
    return notebook | {"cells": made}


def answered(cell: Mapping[str, Any], set: str) -> str:
    """The exercise that a given cell leaves to the student; "" for another cell."""
    if not cell["metadata"].get("nbgrader", {}).get("solution"):
        return ""
    each = next(
        each
        for each in exercises().values()
        if each.set == set and re.search(rf"^(def|class) {each.piece}\b", source(cell), re.MULTILINE)
    )
    return each.id


def write_notebook(folder: Path, set: str, notebook: Notebook, name: str = "") -> Path:
    """Write a notebook where nbgrader looks for it: folder/<set>/<set>.ipynb."""
    path = folder / SETS[set] / f"{name or SETS[set]}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook, ensure_ascii=False, indent=1), encoding="utf-8")
    return path


def hand_in(folder: Path, answers: Answers, sets: Sequence[str] = ()) -> None:
    """Write the notebooks of the sets that are answered, and of `sets`; other exercises of them are right."""
    for set in sorted({*sets, *(exercise(id).set for id in answers)}):
        write_notebook(folder, set, make_notebook(set, answers))


def as_bytes(notebook: Notebook) -> bytes:
    return json.dumps(notebook, ensure_ascii=False).encode("utf-8")


def dedent(text: str) -> str:
    return textwrap.dedent(text).lstrip("\n")
