"""A student's pieces, read from notebooks and .py files.

Only definitions are executed: imports, functions, classes, constants, and `X = mine("X")`. Cells that train or draw are
passed over, so reading a folder takes a moment and has no effect beyond it.
"""

from __future__ import annotations

import ast
import json
import linecache
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autograder.checks import SETS, exercise_of, exercises
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


def read_own(folder: str | Path, only: str | None = None) -> Own:
    """The pieces that notebooks and .py files below a folder (or one such file) define.

    only: a problem set, such as "ps3"; its folder alone is read. Where two files define a piece, the one of the problem
    set it belongs to counts, else the last. Raises UserError for a path that does not exist.
    """
    folder = Path(folder)
    own = Own()
    for file in source_files(folder):
        if only is None or belongs(file, only):
            collect(file, own)
    return own


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
    """The lines that are Python; %magic, !commands and ?questions become empty lines."""
    lines = source.splitlines()
    if lines and lines[0].startswith("%%"):
        return ""
    return "\n".join("" if line.lstrip().startswith(("%", "!", "?")) else line for line in lines)


def collect(file: Path, own: Own) -> None:
    """Execute the definitions of a file and keep those that are pieces."""
    module = types.ModuleType(f"own_{file.stem}")
    names = {each.piece: each for each in exercises().values()}

    def mine(name: str, piece: Any = None) -> Any:
        return right_or_library(name, own.pieces.get(name) if piece is None else piece)

    for cell in cells(file):
        try:
            tree = ast.parse(cell.source)
        except SyntaxError as error:
            own.notes.append(
                f"{cell.where} is no Python (line {error.lineno}: {error.msg}); it was passed over."
            )
            continue
        linecache.cache[cell.where] = (
            len(cell.source),
            None,
            cell.source.splitlines(keepends=True),
            cell.where,
        )
        for node in filter(is_definition, tree.body):
            vars(module)["mine"] = mine
            try:
                exec(compile(ast.Module([node], []), cell.where, "exec"), vars(module))
            except Exception as error:  # noqa: BLE001, student code may raise anything
                own.notes.append(f"{cell.where}, line {node.lineno}: {type(error).__name__}: {error}")
                continue
            name = getattr(node, "name", None)
            if name in names and (
                name not in own.pieces or not belongs_elsewhere(own, name, names[name].set)
            ):
                own.pieces[name], own.where[name] = vars(module)[name], cell


def belongs_elsewhere(own: Own, name: str, set: str) -> bool:
    """Whether a piece was already found in the problem set it belongs to."""
    return belongs(Path(own.where[name].where.split(", cell ")[0]), set)


def is_definition(node: ast.stmt) -> bool:
    """Whether a statement defines something and does nothing else."""
    if isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef):
        return True
    if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
        return False
    value = node.value
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "mine":
        return True
    return all(isinstance(part, QUIET) for part in ast.walk(value))


def right_or_library(name: str, piece: Any) -> Any:
    """The piece if it passes its check, else the library's."""
    import idc.pieces

    each = exercise_of(name)
    if piece is not None and each and each.judge(Local({name: piece})).status is Status.RIGHT:
        return piece
    return getattr(idc.pieces, name)


def judge_own(own: Own) -> dict[str, Verdict]:
    """A verdict on every piece that was found, in the order of the course."""
    return {
        each.piece: each.judge(Local({each.piece: own.pieces[each.piece]}))
        for each in exercises().values()
        if each.piece in own.pieces
    }


def folder_of(set: str) -> str:
    """The folder of a problem set: ps1 -> ps1_infonce."""
    return SETS[set]
