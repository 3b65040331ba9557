"""A student's pieces, read from notebooks and .py files.

Only definitions are executed: imports, functions, classes, constants, and `X = mine("X")`. Cells that train or draw are
passed over, so reading a folder takes a moment and has no effect beyond it.
"""

from __future__ import annotations

import ast
import json
import linecache
import re
import types
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autograder.bridges.published import BRIDGES, OURS, is_published
from autograder.checks import exercises
from autograder.checks.exercise import Status, Verdict
from autograder.student import Local
from idc.errors import UserError

QUIET = (
    ast.Constant, ast.Name, ast.Load, ast.Tuple, ast.List, ast.Dict, ast.Set, ast.UnaryOp, ast.USub, ast.BinOp,
    ast.operator, ast.Attribute,
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """A piece of source. where: the file and, in a notebook, the number of the cell, for people."""

    where: str
    source: str


@dataclass
class Own:
    """What was found. pieces: by name. where: the cell each comes from. notes: what could not be read, in sentences."""

    pieces: dict[str, Any] = field(default_factory=dict)
    where: dict[str, Cell] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_own(folder: str | Path) -> Own:
    """The pieces that notebooks and .py files below a folder (or one such file) define.

    Where two files define a piece, the one of the problem set it belongs to counts, else the last. Raises UserError for a
    path that does not exist or holds no such file.
    """
    files = source_files(Path(folder))
    reader = Reader({file.stem: file for file in files if file.suffix == ".py"})
    for file in files:
        reader.read(file)
    return reader.own


def source_files(folder: Path) -> list[Path]:
    """Notebooks and .py files, by name; checkpoints and hidden folders left out. Raises UserError when there are none."""
    if folder.is_file():
        found = [folder]
    elif folder.is_dir():
        found = sorted(
            file
            for file in folder.rglob("*")
            if file.suffix in (".ipynb", ".py")
            and file.is_file()
            and not any(part.startswith((".", "__")) for part in file.relative_to(folder).parts)
        )
    else:
        raise UserError(f"there is no folder or file {folder}; give the folder that holds your notebooks.")
    if not found:
        raise UserError(f"{folder} holds no notebooks (.ipynb) and no .py files.")
    return found


def belongs(file: Path, set: str) -> bool:
    """Whether a file lies in the folder of a problem set, or bears its name."""
    return any(part.startswith((f"{set}_", f"{set}.")) for part in (file.parent.name, file.name))


def cells(file: Path) -> Iterator[Cell]:
    """The code of a file. Raises UserError for a notebook that cannot be read."""
    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".py":
            yield Cell(str(file), text)
            return
        for number, cell in enumerate(json.loads(text)["cells"], start=1):
            if cell["cell_type"] == "code":
                yield Cell(f"{file}, cell {number}", without_magic("".join(cell["source"])))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} cannot be read ({error}); save it again in JupyterLab.") from error


def without_magic(source: str) -> str:
    """The source with %magic, !commands and ?questions turned into `pass`; "" for a cell in another language."""
    lines = source.splitlines()
    if lines and lines[0].startswith("%%"):
        return ""
    return "\n".join(re.sub(r"^(\s*)[%!?].*", r"\1pass", line) for line in lines)


class Reader:
    """Executes the definitions of files and keeps those that are pieces.

    modules: the .py files by name; one that imports another gets what was read of it.
    """

    def __init__(self, modules: dict[str, Path]):
        self.modules = modules
        self.own = Own()
        self.done: dict[Path, dict[str, Any]] = {}
        self.exercises = {each.piece: each for each in exercises().values()}

    def read(self, file: Path) -> dict[str, Any]:
        """What the file defines, by name."""
        if file in self.done:
            return self.done[file]
        names = self.done[file] = vars(types.ModuleType(f"own_{file.stem}"))
        for cell in cells(file):
            try:
                tree = ast.parse(cell.source)
            except SyntaxError as error:
                self.own.notes.append(
                    f"{cell.where} is no Python (line {error.lineno}: {error.msg}); passed over."
                )
                continue
            lines = cell.source.splitlines(keepends=True)
            linecache.cache[cell.where] = (len(cell.source), None, lines, cell.where)
            for node in tree.body:
                if is_definition(node, self.exercises):
                    self.execute(node, cell, names)
        return names

    def execute(self, node: ast.stmt, cell: Cell, names: dict[str, Any]) -> None:
        """Execute one definition in the names of its file."""
        names["mine"] = self.mine
        try:
            if isinstance(node, ast.ImportFrom) and (other := self.neighbour(node)):
                theirs = self.read(other)
                names |= {each.asname or each.name: theirs[each.name] for each in node.names}
                return
            exec(compile(ast.Module([node], []), cell.where, "exec"), names)
        except Exception as error:  # noqa: BLE001, student code may raise anything
            if not isinstance(node, ast.Assign | ast.AnnAssign):  # those may stand on cells that are not run
                self.own.notes.append(f"{cell.where}, line {node.lineno}: {type(error).__name__}: {error}")
            return
        name = getattr(node, "name", None)
        if name is None:
            return
        found = names[name]
        if is_published(name, found):
            name, found = OURS[name], BRIDGES[name](found)
        if name in self.exercises and not self.found_at_home(name):
            self.own.pieces[name], self.own.where[name] = found, cell

    def neighbour(self, node: ast.ImportFrom) -> Path | None:
        """The file that `from .other import X` or `from models.other import X` means, if it was handed in, too."""
        return self.modules.get((node.module or "").split(".")[-1])

    def mine(self, name: str, piece: Any = None) -> Any:
        """The piece if it passes its check, else the library's."""
        import idc.pieces

        piece = self.own.pieces.get(name) if piece is None else piece
        each = self.exercises.get(name)
        if piece is not None and each and each.judge(Local({name: piece})).status is Status.RIGHT:
            return piece
        return getattr(idc.pieces, name)

    def found_at_home(self, name: str) -> bool:
        """Whether a piece was already found in the problem set it belongs to."""
        if name not in self.own.where:
            return False
        return belongs(Path(self.own.where[name].where.split(", cell ")[0]), self.exercises[name].set)


def is_definition(node: ast.stmt, pieces: Container[str]) -> bool:
    """Whether a statement defines something and does nothing else; a decorator, such as @interact, may do anything."""
    if isinstance(node, ast.FunctionDef):
        return not node.decorator_list or node.name in pieces
    if isinstance(node, ast.Import | ast.ImportFrom | ast.ClassDef):
        return True
    if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
        return False
    value = node.value
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "mine":
        return True
    return all(isinstance(part, QUIET) for part in ast.walk(value))


def judge_own(own: Own) -> dict[str, Verdict]:
    """A verdict on every piece that was found, in the order of the course."""
    return {
        each.piece: each.judge(Local({each.piece: own.pieces[each.piece]}))
        for each in exercises().values()
        if each.piece in own.pieces
    }
