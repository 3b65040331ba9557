"""python -m autograder.classroom FOLDER [--students 30] [--damage 0.05] [--seed 0]

A class that never was: hand-ins of problem sets 1 to 5 in nbgrader's layout, to try the grader on and to measure it with.

Its students write the solution, other right ways and the known mistakes, in cells that stand on nothing but the course;
some leave exercises out, some print and plot, a few write what never ends. What each exercise must come out as is known.
--damage spoils a share of the notebooks as editors, clouds and people do.
"""

from __future__ import annotations

import argparse
import ast
import copy
import functools
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from autograder.checks import SETS, exercise, exercises
from autograder.results import Outcome
from idc.errors import UserError, command

ROOT = Path(__file__).resolve().parent.parent
WRITTEN = ("ps1", "ps2", "ps3", "ps4", "ps5")
HOLE = re.compile(r"^( *)# YOUR CODE HERE\n *raise NotImplementedError$", re.MULTILINE)
MARKS = re.compile(r"^ *### (BEGIN|END) SOLUTION\n?", re.MULTILINE)
DUE = datetime(2026, 3, 2, 22, tzinfo=timezone.utc)
FIRST = [
    "ada",
    "zoë",
    "jürgen",
    "małgorzata",
    "søren",
    "chiara",
    "nguyễn",
    "siobhán",
    "tomáš",
    "ayşe",
    "björn",
    "inês",
    "luka",
    "fatima",
    "émile",
    "kofi",
]
FAMILY = [
    "okafor",
    "müller",
    "kowalska",
    "åkesson",
    "rossi",
    "thị_hoa",
    "ó_briain",
    "novák",
    "yılmaz",
    "lindqvist",
    "souza",
]
OTHERS = (
    "陈_伟",
    "山田_花子",
    "김_민준",
    "амина_петрова",
    "γιώργος_νικολάου",
    "أمينة_حسن",
    "smith-jones.k",
    "x1234567",
)
Notebook = dict[str, Any]
Rng = np.random.Generator


@dataclass(frozen=True)
class Answered:
    """What an exercise must come out as. idea: the key of the idea that is missed. how: where its code comes from."""

    outcome: Outcome
    idea: str = ""
    how: str = ""


@dataclass(frozen=True)
class Damage:
    """What was done to a notebook. recoverable: whether its answers are still there to be found."""

    kind: str
    recoverable: bool


@dataclass(frozen=True)
class Expected:
    """One student: what each exercise comes out as while its notebook is whole; damage: of the notebooks, by set."""

    student: str
    exercises: dict[str, Answered] = field(default_factory=dict)
    damage: dict[str, Damage] = field(default_factory=dict)

    def lost(self, id: str) -> bool:
        """Whether the answer to an exercise cannot be found any more."""
        damage = self.damage.get(id.split(".")[0])
        return damage is not None and not damage.recoverable


def make_class(
    folder: Path,
    students: int = 30,
    seed: int = 0,
    damage: float = 0.0,
    stopping: float = 0.1,
    sets: Sequence[str] = WRITTEN,
) -> dict[str, Expected]:
    """Write `folder`/<student>/<set>/<set>.ipynb, such as ada_okafor/ps1_infonce/ps1_infonce.ipynb, for a class.

    damage: share of the notebooks that are spoilt. stopping: share of the students one of whose answers never ends or
    ends its process. sets: with "ps6", report folders come along. Equal arguments write equal bytes. Returns what must come
    out, by student. Raises UserError for a folder that holds something.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty; name another folder, or empty this one first.")
    ids = [id for id, each in exercises().items() if each.set in sets]
    expected = {}
    for number, student in enumerate(tqdm(names(students), desc="class", unit="student", disable=None)):
        rng = np.random.default_rng([seed, number])
        skill = rng.random()
        stops = rng.choice(ids) if rng.random() < stopping else ""
        answers = {id: stopping_answer(id, rng) if id == stops else answer(id, rng, skill) for id in ids}
        expected[student] = Expected(student, {id: due for id, (_, due) in answers.items()})
        for set in sets:
            place = folder / student / SETS[set]
            place.mkdir(parents=True)
            texts = {id: text for id, (text, _) in answers.items() if exercise(id).set == set}
            (place / f"{SETS[set]}.ipynb").write_bytes(as_json(filled(set, texts, rng)))
            late = timedelta(minutes=float(rng.normal(-600, 900)))
            (place / "timestamp.txt").write_text(f"{DUE + late:%Y-%m-%d %H:%M:%S.%f} UTC\n")
            if set == "ps6":
                expected[student].exercises["ps6.1"] = write_report(place / "report", rng)
    spoil(folder, expected, sets, damage, np.random.default_rng([seed, students, 1]))
    return expected


def write_report(folder: Path, rng: Rng) -> Answered:
    """What a training run left behind, or part of it, in place of one: the curves and figures are made up."""
    how = str(rng.choice(["whole", "whole", "whole", "no figure", "a loss that does not fall", "nothing"]))
    if how == "nothing":
        return Answered(Outcome.NOT_ATTEMPTED, how="no report")
    folder.mkdir()
    fall = 0.0 if how == "a loss that does not fall" else 3.0
    losses = [3.5 - fall * step / 100 + 0.05 * rng.random() for step in range(0, 100, 10)]
    lines = [json.dumps({"step": 10 * step, "loss/caption": loss}) for step, loss in enumerate(losses)]
    figures = {"BLEU-4": round(0.4 + 0.2 * rng.random(), 4), "CIDEr": round(1 + rng.random(), 4)}
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "results.json").write_text(json.dumps({split: {"all": figures} for split in ("val", "test")}))
    (folder / "pieces.json").write_text(json.dumps({"info_nce": solution("ps1.1")}))
    if how != "no figure":
        Image.fromarray(rng.integers(0, 255, (60, 120, 3), dtype=np.uint8)).save(folder / "triples.png")
    return Answered(Outcome.RIGHT if how == "whole" else Outcome.WRONG, how=f"a report: {how}")


def names(students: int) -> list[str]:
    """Names of people, all different, as folders; one in five is not written in Latin letters."""
    found: list[str] = []
    for number in range(students):
        name = f"{FAMILY[number % len(FAMILY)]}_{FIRST[number % len(FIRST)]}"
        if number % 5 == 3:
            name = OTHERS[number // 5 % len(OTHERS)]
        again = found.count(name) + sum(
            each.startswith(f"{name}_") and each[len(name) + 1 :].isdigit() for each in found
        )
        found.append(f"{name}_{again + 1}" if again else name)
    return found


# What is written: solutions, proven alternatives, known mistakes, nothing.


def answer(id: str, rng: Rng, skill: float) -> tuple[str, Answered]:
    """The source of an exercise's cell, and what it must come out as. skill: from 0 to 1."""
    chance = rng.random()
    wrong, honest = entries(id)["wrong"], entries(id)["honest"]
    if chance < 0.3 * (1 - skill):
        return stub(id), Answered(Outcome.NOT_ATTEMPTED, how="stub")
    if chance < 0.6 * (1 - skill):
        if rng.random() < 0.1:
            return with_body(id, 'results = {}\nreturn results["mine"]'), Answered(
                Outcome.WRONG, how="an exception"
            )
        key = str(rng.choice(sorted(wrong)))
        text, due = written(id, "wrong", key), Answered(Outcome.WRONG, key, f"wrong: {key}")
    elif rng.random() < 0.4:
        key = str(rng.choice(sorted(honest)))
        text, due = written(id, "honest", key), Answered(Outcome.RIGHT, how=f"honest: {key}")
    else:
        text, due = solution(id), Answered(Outcome.RIGHT, how="solution")
    return noisy(text, rng) if rng.random() < 0.3 else text, due


def stopping_answer(id: str, rng: Rng) -> tuple[str, Answered]:
    """Code that never ends, or ends its process."""
    bodies = {
        "endless loop": "while True:\n    pass",
        "os._exit": "import os\nos._exit(0)",
        "segmentation fault": "import ctypes\nctypes.string_at(0)",
    }
    how = str(rng.choice(sorted(bodies)))
    return with_body(id, bodies[how]), Answered(Outcome.STOPPED, how=how)


@functools.cache
def notebook(folder: str, set: str) -> Notebook:
    """A notebook of the course. Raises UserError when it is not there."""
    path = ROOT / folder / SETS[set] / f"{SETS[set]}.ipynb"
    if not path.is_file():
        raise UserError(
            f"there is no {path}; a class is written from a clone of the course, after `make assignments`."
        )
    return json.loads(path.read_text(encoding="utf-8"))


def hole(id: str, found: Notebook) -> dict[str, Any]:
    """The cell of a notebook in which an exercise is written."""
    defines = re.compile(rf"^(def|class) {exercise(id).piece}\b", re.MULTILINE)
    return next(
        cell
        for cell in found["cells"]
        if cell["metadata"].get("nbgrader", {}).get("solution") and defines.search("".join(cell["source"]))
    )


def stub(id: str) -> str:
    return "".join(hole(id, notebook("assignments", exercise(id).set))["source"])


def solution(id: str) -> str:
    return MARKS.sub("", "".join(hole(id, notebook("solutions", exercise(id).set))["source"])).rstrip("\n")


def with_body(id: str, body: str) -> str:
    """The stub with lines written where it says so."""
    return HOLE.sub(lambda found: "\n".join(found[1] + line for line in body.splitlines()), stub(id))


def entries(id: str) -> dict[str, dict[str, ast.expr]]:
    """The known mistakes ("wrong") and the other right ways ("honest") of an exercise, as they are written."""
    module = Source.of(f"autograder/banks/{exercise(id).set}.py")
    banks: Any = module.definitions["BANKS"]
    (bank,) = (
        value for key, value in zip(banks.value.keys, banks.value.values, strict=True) if key.value == id
    )
    parts = {keyword.arg: keyword.value for keyword in bank.keywords}
    return {
        kind: {key.value: value for key, value in zip(parts[kind].keys, parts[kind].values, strict=True)}
        for kind in ("wrong", "honest")
    }


def written(id: str, kind: str, key: str) -> str:
    """An entry of a bank as a student's cell: all that it stands on comes with it, under names of its own."""
    each = exercise(id)
    copier = Copier(each.piece, brought(id))
    entry, module = entries(id)[kind][key], Source.of(f"autograder/banks/{each.set}.py")
    origin = module.find(entry.id) if isinstance(entry, ast.Name) else None
    if origin:
        copier.take(*origin, each.piece)
    else:
        target = ast.Name(each.piece, ast.Store())
        copier.statements.append(ast.Assign([target], copier.within(module).visit(copy.deepcopy(entry))))
    given = ast.parse(stub(id)).body
    last = copier.statements[-1]
    document = docstring(next(node for node in given if getattr(node, "name", "") == each.piece))
    if document and isinstance(last, ast.FunctionDef | ast.ClassDef):
        last.body.insert(0, ast.Expr(ast.Constant(document)))
    before = [node for node in given if getattr(node, "name", "") != each.piece]
    statements = [*before, *copier.statements]
    parts = [ast.unparse(ast.fix_missing_locations(node)) for node in statements]
    return "\n\n\n".join(["\n".join(sorted(copier.imports)), *parts]).lstrip("\n")


def docstring(node: ast.stmt) -> str | None:
    return ast.get_docstring(node, clean=False) if isinstance(node, ast.FunctionDef | ast.ClassDef) else None


def brought(id: str) -> set[str]:
    """The pieces that an exercise builds on and that its notebook has at hand."""
    sources = ["".join(cell["source"]) for cell in notebook("assignments", exercise(id).set)["cells"]]
    pieces = {exercise(need).piece for need in needs(id)}
    return {name for name in pieces if any(re.search(rf"^{name} = mine\(", text, re.M) for text in sources)}


def needs(id: str) -> Iterator[str]:
    for need in exercise(id).needs:
        yield need
        yield from needs(need)


@dataclass(frozen=True)
class Source:
    """A module of the project as it is written. imports: the module and the name that a name comes from."""

    definitions: dict[str, ast.stmt]
    imports: dict[str, tuple[str, str]]

    @staticmethod
    @functools.cache
    def of(path: str) -> Source:
        definitions: dict[str, ast.stmt] = {}
        imports: dict[str, tuple[str, str]] = {}
        for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                definitions[node.name] = node
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                definitions[node.targets[0].id] = node
            elif isinstance(node, ast.Import):
                imports |= {each.asname or each.name: (each.name, "") for each in node.names}
            elif isinstance(node, ast.ImportFrom):
                imports |= {each.asname or each.name: (str(node.module), each.name) for each in node.names}
        return Source(definitions, imports)

    def find(self, name: str) -> tuple[Source, str] | None:
        """Where in the project a name is defined; None for one that comes from elsewhere."""
        if name in self.definitions:
            return self, name
        module, original = self.imports.get(name, ("", ""))
        if not module.startswith("idc.pieces."):
            return None
        return Source.of(f"{module.replace('.', '/')}.py").find(original)


class Copier:
    """Collects the definitions that a piece stands on, the deepest first, under names that nothing else has.

    brought: pieces that the notebook has at hand; they are called by their names.
    """

    def __init__(self, piece: str, brought: set[str]):
        self.piece, self.brought = piece, brought
        self.statements: list[ast.stmt] = []
        self.imports: set[str] = set()
        self.taken: dict[int, str] = {}

    def within(self, module: Source) -> Renamed:
        return Renamed(self, module)

    def take(self, module: Source, name: str, new: str = "") -> str:
        """Copy a definition, unless that was done, and give its new name."""
        node = module.definitions[name]
        if id(node) not in self.taken:
            # A piece's own wrong form may call the right one: both cannot bear the piece's name.
            self.taken[id(node)] = new or (
                f"plain_{name}" if name == self.piece else f"{name}_in_{self.piece}"
            )
            made: Any = self.within(module).visit(copy.deepcopy(node))
            if isinstance(made, ast.Assign):
                made.targets = [ast.Name(self.taken[id(node)], ast.Store())]
            else:
                made.name = self.taken[id(node)]
            self.statements.append(made)
        return self.taken[id(node)]

    def name(self, module: Source, name: str) -> str:
        """What a name of a module is called in the cell."""
        if name in self.brought and name not in module.definitions:
            return name
        origin = module.find(name)
        if origin and is_record(origin[0].definitions[origin[1]]):
            self.imports.add(f"from idc.pieces import {name}")
        elif origin and name in self.brought:
            return name
        elif origin:
            return self.take(*origin)
        elif name in module.imports:
            package, original = module.imports[name]
            as_name = f" as {name}" if name != (original or package) else ""
            self.imports.add(
                f"from {package} import {original}{as_name}" if original else f"import {package}{as_name}"
            )
        return name


class Renamed(ast.NodeTransformer):
    """Source with new names for what is copied along, without docstrings and with plain annotations only."""

    plain = frozenset({"Tensor", "int", "float", "bool", "str", "None", "tuple", "list", "dict"})

    def __init__(self, copier: Copier, module: Source):
        self.copier, self.module = copier, module
        self.local: list[set[str]] = []

    def visit_Name(self, node: ast.Name) -> ast.Name:
        if isinstance(node.ctx, ast.Load) and not any(node.id in names for names in self.local):
            return ast.Name(self.copier.name(self.module, node.id), node.ctx)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if (
            isinstance(node.value, ast.Name) and node.value.id == "pieces"
        ):  # the library's word for the chosen piece
            return ast.Name(self.chosen(node.attr), node.ctx)
        self.generic_visit(node)
        return node

    def chosen(self, name: str) -> str:
        if name in self.copier.brought:
            return name
        library = Source.of("idc/pieces/__init__.py").find(name)
        assert library is not None, name
        return self.copier.take(*library)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        arguments = node.args
        arguments.defaults = [self.visit(value) for value in arguments.defaults]
        arguments.kw_defaults = [value and self.visit(value) for value in arguments.kw_defaults]
        node.decorator_list = [self.visit(value) for value in node.decorator_list]
        for each in ast.walk(arguments):
            if isinstance(each, ast.arg):
                each.annotation = self.annotation(each.annotation)
        node.returns = self.annotation(node.returns)
        inner = [part for statement in node.body for part in ast.walk(statement)]
        stored = {part.id for part in inner if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
        stored |= {part.name for part in inner if isinstance(part, ast.FunctionDef)}
        self.local.append(stored | {each.arg for each in ast.walk(arguments) if isinstance(each, ast.arg)})
        node.body = [self.visit(statement) for statement in without_docstring(node.body)]
        self.local.pop()
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.Lambda:
        node.args.defaults = [self.visit(value) for value in node.args.defaults]
        self.local.append({each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg)})
        node.body = self.visit(node.body)
        self.local.pop()
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        node.body = without_docstring(node.body)
        self.generic_visit(node)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        value = node.value and self.visit(node.value)
        annotation = self.annotation(node.annotation)
        if annotation is None and value is not None:
            return ast.Assign([node.target], value)
        return ast.AnnAssign(node.target, annotation or ast.Name("object", ast.Load()), value, node.simple)

    def annotation(self, node: ast.expr | None) -> ast.expr | None:
        """An annotation that any notebook understands; None for another."""
        used = [] if node is None else list(ast.walk(node))
        strange = any(isinstance(part, ast.Name) and part.id not in self.plain for part in used)
        return None if strange or any(isinstance(part, ast.Attribute) for part in used) else node


def without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    documented = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
    return (body[1:] or [ast.Pass()]) if documented else body


def is_record(node: ast.stmt) -> bool:
    """Whether a definition is one of the library's records, which everybody has."""
    return isinstance(node, ast.ClassDef) and any(
        "dataclass" in ast.unparse(each) for each in node.decorator_list
    )


# What surrounds it in a notebook.

LINES = (
    'print("so far so good")',
    'import sys; print("still here", file=sys.stderr)',
    'import warnings; warnings.warn("is this the right axis?")',
    'import logging; logging.warning("called")',
    "from tqdm import tqdm; _ = [None for _ in tqdm(range(3), leave=False)]",
)
CELLS = (
    "import matplotlib.pyplot as plt\n\nplt.plot([3, 1, 2])\nplt.title('what is going on here?')\nplt.show()",
    "from time import sleep\nfrom tqdm.auto import tqdm\n\nfor step in tqdm(range(3), desc='thinking'):\n    sleep(0)",
    "%%time\ntotal = sum(range(1000))\nprint(total)",
    "!echo here I am",
    "# 试一试\nprint('形状', torch.zeros(2, 3).shape)",
    "def unfinished(x:\n    return x +",
)


def noisy(text: str, rng: Rng) -> str:
    """The source with a line more, which says something and changes nothing, in the last method or function."""
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    if not functions:
        return text
    function = max(functions, key=lambda node: node.lineno)
    first = without_docstring(function.body)[0]
    if not hasattr(first, "lineno") or first.lineno == function.lineno:
        return text
    lines = text.splitlines()
    lines.insert(first.lineno - 1, " " * first.col_offset + str(rng.choice(LINES)))
    return "\n".join(lines)


def filled(set: str, texts: dict[str, str], rng: Rng) -> Notebook:
    """The notebook of a problem set with the sources in their cells, some cells of one's own, and what they showed."""
    found = copy.deepcopy(notebook("assignments", set))
    for id, text in texts.items():
        cell = hole(id, found)
        cell["source"] = text.splitlines(keepends=True)
        if rng.random() < 0.25:
            place = found["cells"].index(cell) + 1
            own: dict[str, Any] = {
                "cell_type": "code",
                "metadata": {},
                "outputs": [],
                "execution_count": None,
            }
            source = str(rng.choice(CELLS)).splitlines(keepends=True)
            found["cells"].insert(place, own | {"id": f"{id.replace('.', '-')}-own", "source": source})
    for number, cell in enumerate(code(found), start=1):
        cell["execution_count"] = number
        if rng.random() < 0.2:
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["fine\n"]}]
    return found


def code(found: Notebook) -> list[dict[str, Any]]:
    return [cell for cell in found["cells"] if cell["cell_type"] == "code"]


def solutions_in(found: Notebook) -> list[dict[str, Any]]:
    """The cells with the answers."""
    return [cell for cell in code(found) if cell["metadata"].get("nbgrader", {}).get("solution")]


def as_json(found: Notebook) -> bytes:
    return (json.dumps(found, indent=1, ensure_ascii=False) + "\n").encode()


# What may happen to a notebook on its way.


def spoil(folder: Path, expected: dict[str, Expected], sets: Sequence[str], share: float, rng: Rng) -> None:
    """Damage a share of the notebooks, every kind about as often as another, and note it in `expected`."""
    every = [(student, set) for student in expected for set in sets]
    kinds = rng.permutation(sorted(DAMAGES))
    for turn, place in enumerate(rng.permutation(len(every))[: round(share * len(every))]):
        student, set = every[place]
        kind = str(kinds[turn % len(kinds)])
        recoverable, change = DAMAGES[kind]
        path = folder / student / SETS[set] / f"{SETS[set]}.ipynb"
        content = change(json.loads(path.read_text(encoding="utf-8")), rng)
        if kind == "another name":
            path.unlink()
            path = path.with_name(f"Copy of {path.stem} (1).ipynb")
        path.write_bytes(content)
        expected[student].damage[set] = Damage(kind, recoverable)


def truncated(found: Notebook, rng: Rng) -> bytes:
    content = as_json(found)
    return content[: len(content) // 3]


def junk(found: Notebook, rng: Rng) -> bytes:
    return rng.bytes(20_000)


def conflict(found: Notebook, rng: Rng) -> bytes:
    """What git leaves behind where two versions meet, here in what stands below the cells."""
    *lines, end = as_json(found).decode().splitlines(keepends=True)
    cut = len(as_json({"metadata": found["metadata"]}).splitlines())
    above, below = lines[:-cut], lines[-cut:]
    return "".join([*above, "<<<<<<< HEAD\n", *below, "=======\n", *below, ">>>>>>> mine\n", end]).encode()


def duplicated(found: Notebook, rng: Rng) -> bytes:
    for cell in [cell for cell in code(found) if "nbgrader" in cell["metadata"]]:
        found["cells"].insert(found["cells"].index(cell) + 1, copy.deepcopy(cell))
    return as_json(found)


def checks_deleted(found: Notebook, rng: Rng) -> bytes:
    def is_check(cell: dict[str, Any]) -> bool:
        roles = cell["metadata"].get("nbgrader", {})
        return roles.get("grade", False) and not roles["solution"]

    found["cells"] = [cell for cell in found["cells"] if not is_check(cell)]
    return as_json(found)


def stripped(found: Notebook, rng: Rng) -> bytes:
    for cell in found["cells"]:
        cell["metadata"] = {}
        cell.pop("id", None)
    return as_json(found | {"metadata": {}, "nbformat_minor": 4})


def retyped(found: Notebook, rng: Rng) -> bytes:
    for cell, kind in zip(solutions_in(found), ("markdown", "raw") * 9, strict=False):
        cell["cell_type"] = kind
        del cell["outputs"], cell["execution_count"]
    return as_json(found)


def split(found: Notebook, rng: Rng) -> bytes:
    """Every answer cut in two cells below its first line or docstring, as Ctrl-Shift-Minus does."""
    for cell in solutions_in(found):
        nodes = [
            node for node in ast.walk(ast.parse("".join(cell["source"]))) if isinstance(node, ast.FunctionDef)
        ]
        if nodes and (body := without_docstring(max(nodes, key=lambda node: node.lineno).body)):
            cut = getattr(body[0], "lineno", 1) - 1
            below = copy.deepcopy(cell) | {"id": f"{cell['id']}-2", "metadata": {}}
            cell["source"], below["source"] = cell["source"][:cut], cell["source"][cut:]
            found["cells"].insert(found["cells"].index(cell) + 1, below)
    return as_json(found)


def moved(found: Notebook, rng: Rng) -> bytes:
    answers = solutions_in(found)
    found["cells"] = [cell for cell in found["cells"] if cell not in answers] + answers
    return as_json(found)


def renamed(found: Notebook, rng: Rng) -> bytes:
    """Another name for what is written first, in its own cell only."""
    cell = solutions_in(found)[0]
    pieces = "|".join(each.piece for each in exercises().values())
    source = re.sub(
        rf"^((?:def|class) )({pieces})\b", r"\1my_\2", "".join(cell["source"]), flags=re.MULTILINE
    )
    cell["source"] = source.splitlines(keepends=True)
    return as_json(found)


def format_3(found: Notebook, rng: Rng) -> bytes:
    cells = []
    for cell in found["cells"]:
        old = {"cell_type": cell["cell_type"], "metadata": cell["metadata"]}
        if cell["cell_type"] == "code":
            old |= {"input": cell["source"], "language": "python", "collapsed": False, "outputs": []}
        else:
            old |= {"source": cell["source"]}
        cells.append(old)
    whole = {"metadata": {"name": "Untitled"}, "nbformat": 3, "nbformat_minor": 0}
    return as_json(whole | {"worksheets": [{"metadata": {}, "cells": cells}]})


def large_output(found: Notebook, rng: Rng) -> bytes:
    line = "loss 0.6931471805599453 " * 2**17
    code(found)[-1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": [line] * 2}]
    return as_json(found)


def from_colab(found: Notebook, rng: Rng) -> bytes:
    for cell in found["cells"]:
        cell.pop("id")
        cell["metadata"] = {"id": "".join(rng.choice(list("abcdefghijkmXYZ_0123456789"), 12))}
    about = {
        "colab": {"provenance": [], "collapsed_sections": []},
        "kernelspec": {"name": "python3", "display_name": "Python 3"},
    }
    return json.dumps(found | {"metadata": about, "nbformat_minor": 0}, ensure_ascii=True).encode()


def from_vs_code(found: Notebook, rng: Rng) -> bytes:
    for cell in found["cells"]:
        cell["id"] = rng.bytes(4).hex()
        cell["metadata"] = {"vscode": {"languageId": "python"}} if cell["cell_type"] == "code" else {}
        cell["source"] = "".join(cell["source"]).replace("\n", "\r\n")
    return b"\xef\xbb\xbf" + as_json(found)


def unchanged(found: Notebook, rng: Rng) -> bytes:
    return as_json(found)


DAMAGES: dict[str, tuple[bool, Callable[[Notebook, Rng], bytes]]] = {
    "truncated": (False, truncated),
    "binary junk": (False, junk),
    "empty file": (False, lambda found, rng: b""),
    "merge conflict": (True, conflict),
    "duplicated cells": (True, duplicated),
    "deleted check cells": (True, checks_deleted),
    "metadata stripped": (True, stripped),
    "retyped cells": (True, retyped),
    "split cells": (True, split),
    "moved cells": (True, moved),
    "renamed function": (True, renamed),
    "nbformat 3": (True, format_3),
    "large output": (True, large_output),
    "saved by Colab": (True, from_colab),
    "saved by VS Code": (True, from_vs_code),
    "another name": (True, unchanged),
}  # kind -> whether the answers are still there, what happens


@command
def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m autograder.classroom",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--students", type=int, default=30)
    parser.add_argument("--damage", type=float, default=0.0, help="share of the notebooks that are spoilt")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    expected = make_class(arguments.folder, arguments.students, arguments.seed, arguments.damage)
    spoilt = sum(len(each.damage) for each in expected.values())
    print(
        f"{arguments.folder}: {len(expected)} students, {len(expected) * len(WRITTEN)} notebooks, {spoilt} of them damaged"
    )


if __name__ == "__main__":
    main()
