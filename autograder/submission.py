"""A student's pieces, read from notebooks and .py files.

Only definitions are executed: imports, functions, classes, constants, what a piece needs, and `X = mine("X")`. Cells
that train or draw are passed over, so reading a folder takes a moment and has no effect beyond it.
"""

from __future__ import annotations

import ast
import json
import linecache
import sys
import tokenize
import types
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autograder.bridges.published import BRIDGES, OURS, is_published
from autograder.checks import exercises
from autograder.checks.exercise import Status, Verdict
from autograder.student import Local, aside
from idc.errors import UserError

QUIET = (
    ast.Constant, ast.Name, ast.Load, ast.Tuple, ast.List, ast.Dict, ast.Set, ast.UnaryOp, ast.USub, ast.BinOp,
    ast.operator, ast.Attribute,
)  # fmt: skip
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef
STILL_PYTHON = ("%%time", "%%capture")  # of cells whose code counts all the same


@dataclass(frozen=True)
class Cell:
    """A piece of source. where: the file and, in a notebook, the number of the cell, for people."""

    where: str
    source: str
    file: Path


@dataclass
class Own:
    """What was found. pieces: by name. where: the cell each comes from. notes: what could not be read, in sentences."""

    pieces: dict[str, Any] = field(default_factory=dict)
    where: dict[str, Cell] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_own(folder: str | Path) -> Own:
    """The pieces that notebooks and .py files below a folder (or one such file) define.

    Where two files define a piece, the one of the problem set it belongs to counts; else the last definition. Raises
    UserError for a path that does not exist or holds no such file.
    """
    files = source_files(Path(folder))
    reader = Reader([file for file in files if file.suffix == ".py"])
    with aside():
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
    """The code of a file. Raises UserError for one that cannot be read."""
    try:
        if file.suffix == ".py":
            with tokenize.open(file) as opened:  # in the encoding that it names
                yield Cell(str(file), opened.read(), file)
            return
        notebook = json.loads(file.read_text(encoding="utf-8-sig"))
        for number, cell in enumerate(notebook["cells"], start=1):
            if cell["cell_type"] == "code":
                source = "".join(cell["source"]).removeprefix("\ufeff")
                yield Cell(f"{file}, cell {number}", without_magic(source), file)
    except (ValueError, KeyError, TypeError, SyntaxError) as error:
        raise UserError(
            f"{file} cannot be read ({type(error).__name__}: {error}); save it again in JupyterLab."
        ) from error


def without_magic(source: str) -> str:
    """The source with %magic, !commands and ?questions as calls, which are no definitions."""
    from IPython.core.inputtransformer2 import TransformerManager

    first, _, rest = source.partition("\n")
    if first.split() and first.split()[0] in STILL_PYTHON:
        source = f"pass\n{rest}"
    try:
        return TransformerManager().transform_cell(source).rstrip("\n")
    except SyntaxError:
        return source


class Reader:
    """Executes the definitions of files and keeps those that are pieces.

    modules: the .py files; one that imports another gets what was read of it.
    """

    def __init__(self, modules: list[Path]):
        self.modules = modules
        self.own = Own()
        self.done: dict[Path, types.ModuleType] = {}
        self.exercises = {each.piece: each for each in exercises().values()}

    def read(self, file: Path) -> types.ModuleType:
        """What the file defines."""
        if file in self.done:
            return self.done[file]
        module = self.done[file] = types.ModuleType(f"own_{file.stem}")
        sys.modules[module.__name__] = module  # where dataclasses look for it
        statements = list(self.statements(file))
        wanted = needed([node for node, _ in statements], self.exercises.keys() | OURS.keys())
        for node, cell in statements:
            if is_definition(node, wanted):
                self.execute(node, cell, vars(module))
        return module

    def statements(self, file: Path) -> Iterator[tuple[ast.stmt, Cell]]:
        """The statements of a file's cells; what is no Python is noted."""
        for cell in cells(file):
            try:
                tree = ast.parse(cell.source)
            except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                line = getattr(error, "lineno", None)
                reason = f"line {line}: {error.msg}" if line else error  # type: ignore[union-attr]
                self.own.notes.append(f"{cell.where} is no Python ({reason}); passed over.")
                continue
            lines = cell.source.splitlines(keepends=True)
            linecache.cache[cell.where] = (len(cell.source), None, lines, cell.where)
            yield from ((node, cell) for node in tree.body)

    def execute(self, node: ast.stmt, cell: Cell, names: dict[str, Any]) -> None:
        """Execute one definition in the names of its file."""
        names["mine"] = self.mine
        try:
            if isinstance(node, ast.Import | ast.ImportFrom) and self.take_from_neighbour(node, cell, names):
                return
            # Annotations are not evaluated: this file's own `from __future__` holds for what it compiles.
            exec(compile(ast.Module([node], []), cell.where, "exec"), names)
            for name in sorted(bound(node) & names.keys()):
                self.keep(name, names[name], cell)
        except (KeyboardInterrupt, MemoryError):
            raise
        except BaseException as error:  # noqa: BLE001, student code may raise anything
            if not isinstance(node, ast.Assign | ast.AnnAssign):  # those may stand on cells that are not run
                self.own.notes.append(f"{cell.where}, line {node.lineno}: {type(error).__name__}: {error}")

    def keep(self, name: str, found: Any, cell: Cell) -> None:
        """Note a piece, unless an earlier one counts more: that of the problem set it belongs to."""
        if is_published(name, found):
            name, found = OURS[name], BRIDGES[name](found)
        if name not in self.exercises:
            return
        home, earlier = self.exercises[name].set, self.own.where.get(name)
        if earlier is None or belongs(cell.file, home) or not belongs(earlier.file, home):
            self.own.pieces[name], self.own.where[name] = found, cell

    def take_from_neighbour(
        self, node: ast.Import | ast.ImportFrom, cell: Cell, names: dict[str, Any]
    ) -> bool:
        """Import from a file that was handed in, too. Whether it was one."""
        if isinstance(node, ast.Import):
            (each, *more) = node.names
            other = self.neighbour(each.name, 0, cell.file)
            if more or other is None or ("." in each.name and each.asname is None):
                return False
            names[each.asname or each.name] = self.read(other)
            return True
        other = self.neighbour(node.module or "", node.level, cell.file)
        if other is None:
            return False
        theirs = vars(self.read(other))
        for each in node.names:
            if each.name == "*":
                names |= {name: found for name, found in theirs.items() if not name.startswith("_")}
            elif each.name in theirs:
                names[each.asname or each.name] = theirs[each.name]
            else:
                raise ImportError(f"{other.name} defines no “{each.name}”")
        return True

    def neighbour(self, module: str, level: int, file: Path) -> Path | None:
        """The file that `helpers`, `.helpers` or `models.helpers` means, if it was handed in; the nearest one."""
        first, last = module.split(".")[0], module.split(".")[-1]
        if first in sys.modules and not level:  # torch.py does not hide torch
            return None
        found = [each for each in self.modules if each.stem == last and each != file]
        return min(found, key=lambda each: each.parent != file.parent, default=None)

    def mine(self, name: str, piece: Any = None) -> Any:
        """The piece if it passes its check, else the library's."""
        import idc.pieces

        piece = self.own.pieces.get(name) if piece is None else piece
        each = self.exercises.get(name)
        if piece is not None and each and each.judge(Local({name: piece})).status is Status.RIGHT:
            return piece
        return getattr(idc.pieces, name)


def needed(nodes: Iterable[ast.stmt], pieces: Iterable[str]) -> set[str]:
    """The names of the pieces and of all that they stand on."""
    wanted: set[str] = set(pieces)
    while more := {name for node in nodes if bound(node) & wanted for name in looked_up(node)} - wanted:
        wanted |= more
    return wanted


def bound(node: ast.stmt) -> set[str]:
    """The names that a statement defines; none for an import, and none for a stand-in."""
    if isinstance(node, FUNCTION | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None and not stands_in(node.value):
        return {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and is_stored(part)}
    return set().union(*map(bound, branches(node)))


def looked_up(node: ast.stmt) -> set[str]:
    """The names that a statement takes from around it."""
    names = [part for part in ast.walk(node) if isinstance(part, ast.Name)]
    local = {part.arg for part in ast.walk(node) if isinstance(part, ast.arg)}
    local |= {part.id for part in names if is_stored(part)}
    return {part.id for part in names} - local


def is_stored(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def branches(node: ast.stmt) -> list[ast.stmt]:
    """The statements inside `if` and `try`."""
    if isinstance(node, ast.If):
        return node.body + node.orelse
    if isinstance(node, ast.Try):
        handled = [each for handler in node.handlers for each in handler.body]
        return node.body + handled + node.orelse + node.finalbody
    return []


def stands_in(value: ast.expr) -> bool:
    """Whether a value is `mine(…)`."""
    if not isinstance(value, ast.Call):
        return False
    return getattr(value.func, "id", getattr(value.func, "attr", "")) == "mine"


def is_definition(node: ast.stmt, wanted: Set[str]) -> bool:
    """Whether a statement defines something and does nothing else, or defines what is wanted.

    A call, or a decorator such as @interact, may do anything.
    """
    if isinstance(node, ast.Import | ast.ImportFrom | ast.ClassDef):
        return True
    if isinstance(node, FUNCTION):
        return not node.decorator_list or node.name in wanted
    if inner := branches(node):
        all_define = all(isinstance(each, ast.Pass) or is_definition(each, wanted) for each in inner)
        return all_define and bool(bound(node) & wanted)
    if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
        return False
    if stands_in(node.value):
        return isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name)
    return bool(bound(node) & wanted) or is_quiet(node.value)


def is_quiet(value: ast.AST) -> bool:
    """Whether working a value out calls nothing."""
    parts = [value]
    while parts:
        part = parts.pop()
        if isinstance(part, ast.Lambda):
            continue
        if not isinstance(part, QUIET):
            return False
        parts.extend(ast.iter_child_nodes(part))
    return True


def judge_own(own: Own) -> dict[str, Verdict]:
    """A verdict on every piece that was found, in the order of the course."""
    return {
        each.piece: each.judge(Local({each.piece: own.pieces[each.piece]}))
        for each in exercises().values()
        if each.piece in own.pieces
    }
