"""A student's pieces, read from notebooks and .py files.

    sources = Sources({"ps1_infonce/ps1_infonce.ipynb": content, ...})      parses, executes nothing
    sources.where["info_nce"]                                               "ps1_infonce/ps1_infonce.ipynb, cell 9"
    sources.execute(["info_nce"]).pieces["info_nce"]

Only definitions are executed, and only those that the wanted pieces stand on: imports, functions, classes, constants, and
`X = mine("X")`. Cells that train or draw are passed over, so it takes a moment and has no effect beyond it.

A piece is found by its name. Where its name stands only over an unwritten stub, the cell of its exercise is looked at, and
then whatever resembles it, so that a cell that was copied, moved, renamed or turned into text counts all the same; `notes`
tell the student.
"""

from __future__ import annotations

import ast
import builtins
import difflib
import inspect
import itertools
import linecache
import re
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from autograder.bridges.published import BRIDGES, OURS, is_published
from autograder.cells import FUNCTION, LOOP, Cell, Script, Statement, Unreadable, plain, read_script
from autograder.checks import SETS, exercises
from autograder.checks.exercise import Exercise, Status, Verdict
from autograder.student import Failure, Local, aside, failure
from idc.errors import UserError

MOST_CODE = 8 * 2**20  # letters of all cells together
MOST_NOTES = 60
MOST_COMPARED = 1_000  # functions and classes that may be a renamed piece
Policy = Callable[[str, Any], Any]
# How the exercises' functions and classes begin: what a renamed one is recognised by.
STUBS = """
def info_nce(similarity): "The contrastive loss of a similarity matrix, in nats."
def info_nce_gradient(similarity): "The gradient of `info_nce` with respect to the similarity matrix, (B, B)."
def sinusoidal_encoding(length, dim): "A row of sines and cosines for every position."
def grid_encoding(column, row): "A vector for every cell of a grid: the vector of its column, then the vector of its row."
def attention(query, key, value, mask=None): "Scaled dot-product attention."
def split_heads(x, heads): "Cut the width of every token into heads: (B, L, D) -> (B, H, L, d), with d = D / H."
class MultiHeadAttention: "What self- and cross-attention share: three projections and H heads."
class SelfAttention: "Every token of a sequence looks at the sequence."
class CrossAttention: "Every token of a sequence looks at a memory."
def token_matching(query, key): "The similarity of every query set with every key set, by their best fitting tokens."
def multi_head_token_matching(query, key, heads, mode="joint", match=None): "Token matching with the width cut into heads: query (A, N, D), key (B, M, D) -> (A, B)."
class CrossViewLayer: "Each picture is rebuilt from the other; how well the two match gives a similarity."
def difference_tokens(before, after, weight, bias): "What a cell of both rebuilt pictures tells about the change: (B, N, D)."
def sentence_vector(words, word_mask, mean="length"): "One vector for each sentence: the mean of its words."
class Hallucination: "The after picture as the sentence makes one imagine it: before (B, N, D), sentence (B, D) -> (B, N, D)."
class CrossModalBackwardReasoning: "A loss that is low when the words tell what changed."
def joint_loss(parts, weights): "The loss that is trained: every part, in nats, times its weight."
"""  # noqa: E501
ALIKE = 0.75  # how alike two names must be, their arguments being the same
SAME_WORDS = 0.9  # how alike two docstrings must be
NOTHING_NEW = {
    "my",
    "new",
    "final",
    "fixed",
    "v",
    "ver",
    "version",
    "copy",
    "solution",
    "solved",
}  # in a name


@dataclass
class Own:
    """What was found.

    pieces: by name. where: the cell each comes from. notes: what could not be executed, in sentences. failures: of pieces
    whose definition stopped.
    """

    pieces: dict[str, Any] = field(default_factory=dict)
    where: dict[str, Cell] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    failures: dict[str, Failure] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """A definition that counts as a piece. name: what it is called there."""

    script: Script
    statement: Statement
    name: str


def read_own(folder: str | Path) -> Own:
    """The pieces that notebooks and .py files below a folder (or one such file) define.

    Where two files define a piece, the one of the problem set it belongs to counts; else the last definition that is more
    than the stub. Raises UserError for a path that does not exist, holds no such file or a file that cannot be read.
    """
    contents = {}
    for file in source_files(Path(folder)):
        try:
            contents[file.as_posix()] = file.read_bytes()
        except OSError as error:
            raise UserError(f"{file} cannot be read ({error.strerror}); look at its permissions.") from error
    sources = Sources(contents)
    if sources.unread:
        raise UserError(next(iter(sources.unread.values())))
    own = sources.execute(each.piece for each in exercises().values())
    own.notes[:0] = sources.notes
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
            and not any(part.startswith((".", "__py", "__MAC")) for part in file.relative_to(folder).parts)
        )
    else:
        raise UserError(f"there is no folder or file {folder}; give the folder that holds your notebooks.")
    if not found:
        raise UserError(f"{folder} holds no notebooks (.ipynb) and no .py files.")
    return found


def belongs(script: Script, set: str) -> int:
    """How much a file is that of a problem set: 2 its notebook, 1 in its folder or so called, 0 not."""
    parts = (script.file.parent.name, script.file.name)
    if script.file.name == f"{SETS[set]}.ipynb":
        return 2
    named = [
        re.search(r"(?<![a-z0-9])(ps[1-6])(?![a-z0-9])", part.lower().replace("_", " ")) for part in parts
    ]
    if any(named):
        return int(any(match and match[1] == set for match in named))
    return int(any(id.startswith(f"{set}-") for id in script.ids))


class Sources:
    """What files hold. notes: what was repaired or could not be read. where: the file and cell of each piece.

    files: contents by relative name; what is neither .ipynb nor .py is ignored. unread: by name, files of which nothing can
    be read.
    """

    def __init__(self, files: Mapping[str, bytes]):
        self.notes: list[str] = []
        self.unread: dict[str, str] = {}
        self.scripts: list[Script] = []
        self.exercises = {each.piece: each for each in exercises().values()}
        self.left = MOST_CODE
        for name, content in files.items():
            if name.lower().endswith((".ipynb", ".py")):
                self.read(name, content)
        self.chosen = Choice(self.scripts, self.exercises, self.notes).made()
        self.where = {piece: found.statement.cell.where for piece, found in self.chosen.items()}
        if len(self.notes) > MOST_NOTES:
            self.notes[MOST_NOTES:] = [f"There are {len(self.notes) - MOST_NOTES} more such notes."]

    def read(self, name: str, content: bytes) -> None:
        try:
            script = read_script(name, content)
        except Unreadable as error:
            self.unread[name] = f"{name} cannot be read ({plain(error)}); save it again in JupyterLab."
            self.notes.append(self.unread[name])
            return
        self.left -= sum(len(cell.source) for cell in {each.cell for each in script.statements})
        if self.left < 0:
            self.notes.append(
                f"{name} was passed over: all files together hold more than {MOST_CODE} letters of code."
            )
            return
        self.notes += script.notes
        self.scripts.append(script)
        if name.lower().endswith(".ipynb"):
            for inner, code in script.inner.items():
                self.read(inner, code)

    def execute(
        self, pieces: Iterable[str], given: Mapping[str, Any] | None = None, mine: Policy | None = None
    ) -> Own:
        """Execute what some pieces stand on, and nothing else. Returns those that are there.

        given: by name, what stands everywhere in the place of the student's piece of that name; these are not among the
        pieces that come back. mine(name, own): what `mine("X")` gives in a student's file, where `own` is the student's
        piece or None; without it one's own if it is right, else the library's.
        """
        run = Run(self, given or {}, own_if_right if mine is None else mine)
        wanted = [name for name in dict.fromkeys(pieces) if name not in run.given and name in self.chosen]
        with aside():
            for script in self.scripts:
                run.need(
                    script, [self.chosen[name].name for name in wanted if self.chosen[name].script is script]
                )
        own = run.own
        own.notes = list(dict.fromkeys(own.notes))[:MOST_NOTES]
        own.pieces = {name: own.pieces[name] for name in wanted if name in own.pieces}
        own.where = {name: own.where[name] for name in own.pieces}
        return own

    def bindings(self, script: Script, name: str) -> list[Statement]:
        """The statements of a file that make a name what it is there, in their order."""
        found = self.chosen.get(name)
        here = found is not None and found.script is script
        if found and here and found.name != name and found.name not in OURS:
            name_there = found.name
            stand_ins = [each for each in script.by_name.get(name, []) if each.stands_in]
            return in_order([*self.bindings(script, name_there), *stand_ins])
        there = script.by_name.get(name, [])
        stand_ins = [each for each in there if each.stands_in]
        live = [each for each in there if not each.stands_in]
        written = [each for each in live if not each.is_stub]
        if found and here:
            self_made = name in found.statement.looks_up
            live = [each for each in written if self_made and each.order < found.statement.order]
            live = [*live, found.statement]
        elif written or (found and not found.statement.is_stub):
            live = [each for each in written if each.cell.code] or written
        live = [each for each in live if not is_loop(each)] or live
        return in_order([*live, *stand_ins, *changes(script, name, live)])


def in_order(statements: Iterable[Statement]) -> list[Statement]:
    return sorted(set(statements), key=lambda each: each.order)


def is_loop(statement: Statement) -> bool:
    """Whether a statement may run for long, or is there for something else than to define."""
    return isinstance(statement.node, LOOP | ast.Expr)


def changes(script: Script, name: str, live: list[Statement]) -> list[Statement]:
    """The statements that change what a name was bound to: `table[0] = 1`; nothing that was imported."""
    if not live or all(isinstance(each.node, ast.Import | ast.ImportFrom) for each in live):
        return []
    by_call = all(isinstance(each.node, ast.Assign | ast.AnnAssign) for each in live)
    return [
        each
        for each in script.by_change.get(name, [])
        if each.cell.code
        and (by_call or isinstance(each.node, ast.Assign | ast.AnnAssign | ast.AugAssign))
        and name not in each.binds
    ]


class Choice:
    """Which definition counts as which piece."""

    def __init__(self, scripts: list[Script], exercises: Mapping[str, Exercise], notes: list[str]):
        self.scripts, self.exercises, self.notes = scripts, exercises, notes
        self.chosen: dict[str, Found] = {}

    def made(self) -> dict[str, Found]:
        for piece in self.exercises:
            self.by_name(piece)
        missing = [piece for piece in self.exercises if not self.is_written(piece)]
        for piece in list(missing):
            self.by_cell(piece)
        self.by_likeness([piece for piece in missing if not self.is_written(piece)])
        for piece, found in self.chosen.items():
            self.tell(piece, found)
        return self.chosen

    def is_written(self, piece: str) -> bool:
        return piece in self.chosen and not self.chosen[piece].statement.is_stub

    def by_name(self, piece: str) -> None:
        """The last definition that is more than the stub, first of all in the files of the problem set."""
        set = self.exercises[piece].set
        names = [piece, *(theirs for theirs, ours in OURS.items() if ours == piece and theirs != piece)]
        candidates = [
            (self.rank(script, each, name == piece, belongs(script, set), place), Found(script, each, name))
            for place, script in enumerate(self.scripts)
            for name in names
            for each in script.by_name.get(name, [])
            if self.may_be_piece(each) and (name == piece or looks_published(each.node))
        ]
        if candidates:
            self.chosen[piece] = max(candidates, key=lambda each: each[0])[1]

    def may_be_piece(self, statement: Statement) -> bool:
        """Whether a statement may define a piece; of imports only `from my_file import x as info_nce`."""
        if isinstance(statement.node, ast.ImportFrom):
            (each,) = statement.node.names
            home = (statement.node.module or "").split(".")[-1]
            return each.asname not in (None, each.name) and home in {
                script.module for script in self.scripts
            } - {""}
        return not (statement.stands_in or is_loop(statement) or isinstance(statement.node, ast.Import))

    @staticmethod
    def rank(script: Script, each: Statement, own_name: bool, home: int, place: int) -> tuple[Any, ...]:
        sure = home or each.defines or isinstance(getattr(each.node, "value", None), ast.Lambda)
        return (not each.is_stub and bool(sure), each.cell.code, own_name, home, place, each.order)

    def free(self) -> list[Found]:
        """Written functions and classes that are no piece by their names; not more than are worth a comparison."""
        known = {*self.exercises, *OURS}
        taken = {found.statement for found in self.chosen.values()}
        found = (
            Found(script, each, *each.binds)
            for script in self.scripts
            for each in script.statements
            if each.defines and each not in taken and not each.is_stub and not each.binds & known
        )
        return list(itertools.islice(found, MOST_COMPARED))

    def by_cell(self, piece: str) -> None:
        """What stands in the cell of the exercise under another name: what resembles the piece, or all there is."""
        there = [each for each in self.free() if ids_of(self.exercises[piece]) & {*each.statement.cell.ids}]
        stub = self.chosen.get(piece)
        alone = len(there) == 1 and (stub is None or stub.statement.cell is not there[0].statement.cell)
        alike = [each for each in there if likeness(piece, each) or (alone and fits(piece, each))]
        if alike:
            self.chosen[piece] = max(alike, key=lambda each: (likeness(piece, each), each.statement.order))

    def by_likeness(self, missing: list[str]) -> None:
        """What has nearly the name and the arguments of a piece, or its docstring."""
        scores = [
            (likeness(piece, each), each.statement.order, piece, each)
            for each in self.free()
            for piece in missing
        ]
        done: set[Any] = set()
        for score, _, piece, each in sorted(scores, key=lambda each: each[:2], reverse=True):
            if score > 0 and not {piece, each.statement} & done:
                done |= {piece, each.statement}
                self.chosen[piece] = each

    def tell(self, piece: str, found: Found) -> None:
        """Notes about where a piece was found, where that is not where it should be."""
        cell = found.statement.cell
        if found.statement.is_stub:
            return
        each = self.exercises[piece]
        own = ids_of(each)
        if not cell.code:
            self.notes.append(
                f"`{piece}` stands in {cell.where}, which is no code cell; it counts all the same."
            )
        elif found.name != piece and found.name not in OURS:
            self.notes.append(f"`{found.name}` in {cell.where} counts as `{piece}`; give it this name.")
        elif not own & {*cell.ids} and cell.where != cell.file:
            own_is_there = any(own & script.ids for script in self.scripts)
            elsewhere = any(belongs(found.script, set) for set in SETS) and not belongs(
                found.script, each.set
            )
            if own_is_there or elsewhere:
                self.notes.append(f"`{piece}` was found in {cell.where}, not in its own cell; it counts.")
        others = [
            (script, other)
            for script in self.scripts
            for other in script.by_name.get(piece, [])
            if other.defines and other.cell is not cell
        ]
        if written := [other.cell.where for _, other in others if not other.is_stub and other.cell.code]:
            self.notes.append(f"`{piece}` is also written in {listed(written)}; what counts is {cell.where}.")
        stubs = [other for script, other in others if other.is_stub and script is found.script]
        if after := [other.cell.where for other in stubs if other.order > found.statement.order]:
            self.notes.append(
                f"`{piece}` stands once more, unwritten, in {listed(after)}; that was passed over."
            )


def ids_of(each: Exercise) -> set[str]:
    """What the cell of an exercise may be called."""
    id = each.id.replace(".", "-")
    return {id, f"{id}-solution"}


def listed(places: list[str]) -> str:
    more = f" and in {len(places) - 3} more places" if len(places) > 3 else ""
    return ", ".join(places[:3]) + more


def looks_published(node: ast.stmt) -> bool:
    """Whether a class has the form of the published project's: its parts take one configuration."""
    if not isinstance(node, ast.ClassDef):
        return False
    if node.name in ("CrossEn", "PositionEncoding"):
        return True
    makers = [each for each in node.body if isinstance(each, FUNCTION) and each.name == "__init__"]
    return any(len(each.args.args) == 2 for each in makers)


@cache
def stubs() -> dict[str, ast.stmt]:
    """How the exercises' functions and classes begin, by name."""
    return {name: node for node in ast.parse(STUBS).body for name in [getattr(node, "name", "")]}


def likeness(piece: str, found: Found) -> float:
    """How much a definition looks like a piece; 0 for not enough to take the one for the other."""
    stub, node = stubs().get(piece), found.statement.node
    if stub is None or not fits(piece, found):
        return 0.0
    alike = difflib.SequenceMatcher(None, bare(piece), bare(found.name)).ratio()
    if (
        first_line(node)
        and difflib.SequenceMatcher(None, first_line(stub), first_line(node)).ratio() >= SAME_WORDS
    ):
        return 2 + alike
    same = isinstance(node, FUNCTION) and isinstance(stub, FUNCTION) and arguments(node) == arguments(stub)
    return alike if alike == 1 or (alike >= ALIKE and same) else 0.0


def fits(piece: str, found: Found) -> bool:
    """Whether a definition is of the kind of a piece and takes as many arguments."""
    stub, node = stubs().get(piece), found.statement.node
    if isinstance(stub, ast.ClassDef) or stub is None:
        return isinstance(node, ast.ClassDef)
    if isinstance(node, ast.ClassDef):  # a module where a function is asked for
        methods = [
            each for each in node.body if isinstance(each, FUNCTION) and each.name in ("forward", "__call__")
        ]
        return bool(methods) and takes(methods[0], len(arguments(stub)) + 1)
    return takes(node, len(arguments(stub)))


def takes(function: Any, count: int) -> bool:
    most = len(arguments(function))
    return most - len(function.args.defaults) <= count and (most >= count or function.args.vararg is not None)


def arguments(function: Any) -> list[str]:
    return [each.arg for each in (*function.args.posonlyargs, *function.args.args)]


def first_line(node: Any) -> str:
    """The first line of a docstring."""
    return (ast.get_docstring(node) or "").partition("\n")[0][:200]


def bare(name: str) -> str:
    """A name without what people add to names: `my_InfoNCE_v2` is `infonce`."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\dA-Za-z_]+", name[:100])
    return "".join(word.lower() for word in words if word.lower() not in NOTHING_NEW)


class Run:
    """One execution of what some pieces stand on. Every file becomes a module; only what is asked for gets into it."""

    def __init__(self, sources: Sources, given: Mapping[str, Any], policy: Policy):
        self.sources, self.given, self.policy = sources, dict(given), policy
        self.own = Own()
        self.modules: dict[Script, types.ModuleType] = {}
        self.begun: set[Statement] = set()
        self.seen: set[Cell] = set()

    def module(self, script: Script) -> types.ModuleType:
        if script not in self.modules:
            module = types.ModuleType(f"own_{len(self.modules)}_{script.file.stem}")
            sys.modules[module.__name__] = module  # where dataclasses look for it
            vars(module).update(self.given, mine=self.mine)
            self.modules[script] = module
        return self.modules[script]

    def piece(self, name: str) -> Any:
        """The student's piece, executed now if it was not yet; None if there is none."""
        if found := self.sources.chosen.get(name):
            self.need(found.script, [found.name])
        return self.own.pieces.get(name)

    def mine(self, name: str, piece: Any = None) -> Any:
        """`mine("X")` in a student's file."""
        if name in self.given:
            return self.given[name]
        return self.policy(name, self.piece(name) if piece is None else piece)

    def need(self, script: Script, names: Iterable[str]) -> None:
        """Execute what names of a file stand on, in the order of the file; what stands on something later, after it."""
        later = [each for each in self.closure(script, names) if each not in self.begun]
        errors: dict[Statement, BaseException] = {}
        while later:
            errors = {}
            for each in later:
                if error := self.execute(script, each):
                    errors[each] = error
            again = [each for each in errors if isinstance(errors[each], NameError | ImportError)]
            if len(again) == len(later):
                break
            for each in errors.keys() - set(again):
                self.note(each, errors.pop(each))
            later = again
        for each, error in errors.items():
            self.note(each, error)

    def closure(self, script: Script, names: Iterable[str]) -> list[Statement]:
        """The statements of a file that some names stand on. What stands elsewhere is brought into the file's module."""
        todo, seen, found = list(names), {*self.given, "mine"}, set()
        while todo:
            name = todo.pop()
            if name in seen:
                continue
            seen.add(name)
            statements = self.sources.bindings(script, name)
            if all(each.stands_in for each in statements):
                self.borrow(script, name)
            for each in statements:
                if each not in found:
                    found.add(each)
                    todo += [*each.looks_up, *(each.hints & script.by_name.keys())]
        return in_order(found)

    def borrow(self, script: Script, name: str) -> None:
        """What a file uses and does not define: a piece from elsewhere, a usual import, a helper from another file."""
        names = vars(self.module(script))
        if name in names or hasattr(builtins, name):
            return
        if name in self.sources.chosen:
            if (piece := self.piece(name)) is not None:
                names[name] = piece
            return
        for star in script.by_name.get("*", []):
            self.need_star(script, star, name)
        if name in names:
            return
        if name in usual_names():
            names[name] = usual_names()[name]
            if name != "display":
                self.own.notes.append(
                    f"`{name}` is not imported in {script.name}; it is what it is in the notebooks."
                )
            return
        for other in self.sources.scripts:
            if other is not script and any(may_be_borrowed(each) for each in other.by_name.get(name, [])):
                self.need(other, [name])
                if name in vars(self.module(other)):
                    names[name] = vars(self.module(other))[name]
                    self.own.notes.append(f"`{name}`, which {script.name} uses, was taken from {other.name}.")
                    return

    def need_star(self, script: Script, star: Statement, name: str) -> None:
        """What `from X import *` may bring; never in the place of what is there."""
        assert isinstance(star.node, ast.ImportFrom)
        names = vars(self.module(script))
        other = self.neighbour(star.node.module or "", star.node.level, script)
        if other is None and star not in self.begun:
            before = dict(names)
            if error := self.execute(script, star):
                self.note(star, error)
            names.update(before)
        elif other and name in other.by_name and not name.startswith("_"):
            self.need(other, [name])
            if name in vars(self.module(other)):
                names[name] = vars(self.module(other))[name]

    def execute(self, script: Script, statement: Statement) -> BaseException | None:
        """Execute one definition in the module of its file. Gives the exception that stopped it."""
        self.begun.add(statement)
        names, cell = vars(self.module(script)), statement.cell
        if cell not in self.seen:
            self.seen.add(cell)
            linecache.cache[cell.where] = (
                len(cell.source),
                None,
                cell.source.splitlines(keepends=True),
                cell.where,
            )
        try:
            if not self.take_from_neighbour(statement.node, script, names):
                exec(statement.code, names)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001, student code may raise anything
            return error
        finally:
            names.update(self.given, mine=self.mine)
        self.keep(script, statement, names)
        return None

    def keep(self, script: Script, statement: Statement, names: dict[str, Any]) -> None:
        """Note the pieces that a statement defined."""
        for piece, found in self.sources.chosen.items():
            if found.statement is not statement or found.name not in names or piece in self.given:
                continue
            value = names[found.name]
            if is_published(found.name, value):
                value = BRIDGES[found.name](value)
            elif found.name != piece and found.name in OURS:
                continue
            elif isinstance(value, type) and isinstance(stubs().get(piece), FUNCTION):
                value = in_use(value)
            self.own.pieces[piece], self.own.where[piece] = value, statement.cell
            if found.name not in OURS:
                names[piece] = value

    def note(self, statement: Statement, error: BaseException) -> None:
        """Tell that a definition stopped; not of a constant, which may stand on cells that are not run."""
        told = failure(error)
        for piece, found in self.sources.chosen.items():
            if found.statement is statement:
                self.own.failures[piece] = told
        if not isinstance(statement.node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.Expr):
            where = f"{statement.cell.where}, line {statement.node.lineno}"
            self.own.notes.append(f"{where}: {told.kind}: {plain(told.message)}")

    def take_from_neighbour(self, node: ast.stmt, script: Script, names: dict[str, Any]) -> bool:
        """Import from a file that was handed in, too. Whether it was one."""
        if isinstance(node, ast.Import):
            (each,) = node.names
            other = self.neighbour(each.name, 0, script)
            if other is None or ("." in each.name and each.asname is None):
                return False
            names[each.asname or each.name] = self.whole(other)
            return True
        if not isinstance(node, ast.ImportFrom):
            return False
        (each,) = node.names
        other = self.neighbour(node.module or "", node.level, script)
        if other is None or each.name not in other.by_name:
            module = self.neighbour(".".join(filter(None, [node.module, each.name])), node.level, script)
            if module is not None:
                names[each.asname or each.name] = self.whole(module)
                return True
        if other is None:
            return False
        self.need(other, [each.name])
        theirs = vars(self.module(other))
        if each.name not in theirs:
            raise ImportError(f"{other.file.name} defines no “{each.name}”")
        names[each.asname or each.name] = theirs[each.name]
        return True

    def whole(self, script: Script) -> types.ModuleType:
        """A file as a module."""
        self.need(script, script.everything())
        return self.module(script)

    def neighbour(self, module: str, level: int, script: Script) -> Script | None:
        """The file that `helpers`, `.helpers` or `models.helpers` means, if it was handed in; the nearest one."""
        first, last = module.split(".")[0], module.split(".")[-1]
        if first in sys.modules and not level:  # torch.py does not hide torch
            return None
        found = [each for each in self.sources.scripts if each is not script and each.module == last != ""]
        return min(found, key=lambda each: each.file.parent != script.file.parent, default=None)


def may_be_borrowed(statement: Statement) -> bool:
    return not statement.is_stub and (
        statement.defines or isinstance(statement.node, ast.Import | ast.ImportFrom)
    )


def in_use(found: type) -> Any:
    """A class where a function is asked for: an instance, if it needs nothing to be made."""
    try:
        inspect.signature(found).bind()
        return found()
    except Exception:  # noqa: BLE001, student code may raise anything
        return found


@cache
def usual_names() -> dict[str, Any]:
    """What the first cells of the notebooks import, and what a notebook has of its own."""
    import math

    import numpy as np
    import torch
    import torch.nn.functional as F
    from torch import Tensor, nn

    from idc.pieces import CrossView

    def display(*_: Any, **__: Any) -> None:
        """Nothing is shown here."""

    return {
        "CrossView": CrossView,
        "F": F,
        "Tensor": Tensor,
        "display": display,
        "math": math,
        "nn": nn,
        "np": np,
        "torch": torch,
    }


def own_if_right(name: str, own: Any) -> Any:
    """The student's piece if it passes its check, else the library's."""
    import idc.pieces

    each = next((each for each in exercises().values() if each.piece == name), None)
    if own is not None and each and each.judge(Local({name: own})).status is Status.RIGHT:
        return own
    return getattr(idc.pieces, name)


def judge_own(own: Own) -> dict[str, Verdict]:
    """A verdict on every piece that was found, in the order of the course."""
    return {
        each.piece: each.judge(Local({each.piece: own.pieces[each.piece]}))
        for each in exercises().values()
        if each.piece in own.pieces
    }
