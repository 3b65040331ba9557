"""A student's file as Python: its cells as statements, mended where they were torn, retyped or damaged.

    script = read_script("ps1_infonce/ps1_infonce.ipynb", content)
    script.statements, script.notes

Nothing is executed here.
"""

from __future__ import annotations

import ast
import contextlib
import dis
import io
import json
import re
import textwrap
import tokenize
import types
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, TypeGuard

MOST_CELLS = 10_000  # of a notebook
LONGEST_CELL = 2**20  # letters
MOST_TRIES = 2_000  # to mend something in a file
MOST_GUESSES = 100  # where in a damaged notebook a cell begins
MOST_REWRITES = 100  # of cells that only IPython understands, in a file
LONGEST_REWRITE = 20_000  # letters of such a cell, and of cells that may belong together
WINDOW = 4  # cells over which a definition may be torn
AHEAD = 20  # parts of a damaged cell that may belong together

FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef
LOOP = ast.For | ast.AsyncFor | ast.While | ast.With | ast.AsyncWith | ast.Match
QUIET = (
    ast.Constant, ast.Name, ast.Load, ast.Tuple, ast.List, ast.Dict, ast.Set, ast.UnaryOp, ast.USub, ast.BinOp,
    ast.operator, ast.Attribute,
)  # fmt: skip
UNPARSABLE = (SyntaxError, ValueError, RecursionError, MemoryError)
STILL_PYTHON = ("%%time", "%%capture", "%%prun")  # of cells whose code counts all the same
WRITES = re.compile(r"%%(?:writefile|file)\s+(?:-a\s+)?([\w./-]+\.py)\s*\n")
SHELL = re.compile(r"^\s*(?:[%!?/,;]|>>> |In \[)|\?\s*$", re.MULTILINE)  # what only IPython understands
MAGIC = re.compile(r"[%!?]|[\w.]+\?{1,2}$")
ASSIGNED = re.compile(r"([\w., \t]+=)\s*[%!]")
CELL = re.compile(r'\{\s*"(?:attachments|cell_type|execution_count|id|input|metadata|outputs|source)"\s*:')
CODE = re.compile(r"^(?:def|class|import|from|async def)\s|^@?\w[\w., ]*=[^=]|^@\w", re.MULTILINE)
CONFLICT = re.compile(r"([<=>|])\1{6}(?: |$)")  # marks that git leaves
FENCE = re.compile(r"\s*```+ *\w*\n(.*?)\n```+\s*", re.DOTALL)
GOES_ON = re.compile(r"[)\]}#]|(?:else|elif|except|finally)\b")  # such lines begin nothing


@dataclass(frozen=True, eq=False)
class Cell:
    """A piece of source.

    where: the file and, in a notebook, the number of the cell, for people. ids: what the notebook calls it. number: of the
    first and the last cell that it is made of. code: whether it is a code cell.
    """

    where: str
    source: str
    file: str
    ids: tuple[str, ...] = ()
    number: tuple[int, int] = (1, 1)
    code: bool = True

    @cached_property
    def has_walrus(self) -> bool:
        return ":=" in self.source


class Unreadable(ValueError):
    """Why a file cannot be read at all."""


@dataclass(eq=False)
class Statement:
    """A statement of a student's file. order: its place there."""

    node: ast.stmt
    cell: Cell
    order: int

    @cached_property
    def code(self) -> types.CodeType:
        """Raises one of UNPARSABLE for what Python can parse and not compile. Annotations will not be evaluated."""
        return compile(ast.Module([self.node], []), self.cell.where, "exec", annotations.compiler_flag)

    @cached_property
    def binds(self) -> set[str]:
        """The names that it defines."""
        return stored(self.node, self.cell.has_walrus)

    @cached_property
    def touches(self) -> set[str]:
        """The names whose objects it changes: `table[0] = 1`, `table.append(1)`, `Layer.forward = mine`."""
        return set(changed(self.node))

    @cached_property
    def looks_up(self) -> set[str]:
        """The names that it takes from its module, now or when it is called."""
        try:
            return set(globals_of(self.code))
        except UNPARSABLE:
            return set()

    @cached_property
    def hints(self) -> set[str]:
        """The names in its annotations, which nothing but a decorator ever looks at."""
        found = [part for node in ast.walk(self.node) for part in hints_of(node)]
        return {part.id for hint in found for part in ast.walk(hint) if isinstance(part, ast.Name)}

    @cached_property
    def is_stub(self) -> bool:
        """Whether it is a function or class that is yet to be written."""
        return is_unwritten(self.node)

    @property
    def stands_in(self) -> bool:
        """Whether it is `X = mine(…)`."""
        return isinstance(self.node, ast.Assign | ast.AnnAssign) and is_mine(self.node.value)

    @property
    def defines(self) -> bool:
        """Whether it is a function or a class."""
        return isinstance(self.node, FUNCTION | ast.ClassDef)


@dataclass(eq=False)
class Script:
    """What was read of a file. inner: .py files that its cells write."""

    name: str
    statements: list[Statement] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    inner: dict[str, bytes] = field(default_factory=dict)

    @cached_property
    def by_name(self) -> dict[str, list[Statement]]:
        """The statements that define a name, in their order."""
        found: dict[str, list[Statement]] = {}
        for each in self.statements:
            for name in each.binds:
                found.setdefault(name, []).append(each)
        return found

    @cached_property
    def by_change(self) -> dict[str, list[Statement]]:
        """The statements that change what a name is bound to."""
        found: dict[str, list[Statement]] = {}
        for each in self.statements:
            for name in each.touches:
                found.setdefault(name, []).append(each)
        return found

    @cached_property
    def ids(self) -> set[str]:
        """What its cells are called."""
        return {id for each in self.statements for id in each.cell.ids}

    @property
    def file(self) -> PurePosixPath:
        return PurePosixPath(self.name)

    @property
    def module(self) -> str:
        """The last name of the module that it is when another file imports it, "" for a notebook."""
        if self.file.suffix.lower() != ".py":
            return ""
        return self.file.parent.name if self.file.stem == "__init__" else self.file.stem

    def everything(self) -> list[str]:
        """The names of its imports, functions, classes and constants."""
        return [
            name
            for each in self.statements
            if each.defines
            or isinstance(each.node, ast.Import | ast.ImportFrom)
            or (
                isinstance(each.node, ast.Assign | ast.AnnAssign)
                and each.node.value
                and is_quiet(each.node.value)
            )
            for name in each.binds
        ]


def read_script(file: str, content: bytes) -> Script:
    """The statements of a notebook or .py file. Raises Unreadable for what is neither."""
    script = Script(file)
    found = cells_of(file, content, script.notes)
    for cell in found:
        if written := WRITES.match(cell.source):
            inner = PurePosixPath(file).parent / written[1]
            script.inner[str(inner)] = cell.source[written.end() :].encode("utf-8", "replace")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of "\\d" and the like
        for cell, nodes in Mender(found, script.notes).mended():
            try:
                for node in flattened(nodes):
                    script.statements.append(Statement(node, cell, len(script.statements)))
            except RecursionError:
                script.notes.append(f"{cell.where} is nested too deep; not all of it was read.")
    return script


def cells_of(file: str, content: bytes, notes: list[str]) -> list[Cell]:
    """The cells of a notebook; a .py file is one cell."""
    if not file.lower().endswith(".ipynb"):
        return [shortened(Cell(file, decoded(content), file), notes)]
    if content.count(b'"cell_type"') > MOST_CELLS:
        raise Unreadable(f"it holds more than {MOST_CELLS} cells")
    found = []
    raw = raw_cells(file, content, notes)
    if len(raw) > MOST_CELLS:
        notes.append(f"{file} holds more than {MOST_CELLS} cells; only these were read.")
    for number, each in enumerate(raw[:MOST_CELLS], start=1):
        source = source_of(each)
        if source is None or not is_python(each):
            continue
        if not is_code(each) and (fenced := FENCE.fullmatch(source)):
            source = f"\n{fenced[1]}"
        cell = Cell(
            f"{file}, cell {number}", source, file, tuple(ids_of(each)), (number, number), is_code(each)
        )
        found.append(shortened(cell, notes))
    if raw and not any(source_of(each) is not None for each in raw[:MOST_CELLS]):
        raise Unreadable("none of its cells holds a source")
    return found


def raw_cells(file: str, content: bytes, notes: list[str]) -> list[Any]:
    """The cells as the notebook has them; of a damaged one, those that can still be read."""
    try:
        notebook = loaded(content)
        sheets = notebook.get("worksheets") or [notebook]  # until nbformat 3
        cells = [cell for sheet in sheets for cell in sheet["cells"]]
    except (ValueError, RecursionError, MemoryError) as error:
        cells = salvaged(content)
        if not cells:
            raise Unreadable(f"{type(error).__name__}: {error}") from error
        notes.append(f"{file} is damaged ({plain(error)}); the {len(cells)} cells that can be read count.")
    except (AttributeError, KeyError, TypeError) as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from error
    return cells


def loaded(content: bytes) -> Any:
    """A notebook's JSON, also where a merge left its marks."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        for attempt in without_conflicts(content.decode("utf-8", "replace")):
            with contextlib.suppress(ValueError, RecursionError):
                return json.loads(attempt)
        raise


def without_conflicts(text: str) -> Iterator[str]:
    """A text in which git could not merge two versions: with the first of both, the last, and all of both."""
    if "<<<<<<<" not in text:
        return
    for kept in ("<", "=", "<="):
        lines, side = [], ""
        for line in text.splitlines(keepends=True):
            if mark := CONFLICT.match(line):
                side = "" if mark[1] == ">" else mark[1]
            elif not side or side in kept:
                lines.append(line)
        yield "".join(lines)


def salvaged(content: bytes) -> list[Any]:
    """The whole cells in a damaged notebook."""
    text, decoder = content.decode("utf-8", "replace"), json.JSONDecoder()
    found: list[Any] = []
    end = tries = 0
    for begin in CELL.finditer(text):
        if begin.start() < end or tries > MOST_GUESSES:
            continue
        try:
            each, end = decoder.raw_decode(text, begin.start())
        except (ValueError, RecursionError):
            tries += 1  # each may go through the whole rest
            continue
        if "cell_type" in each and source_of(each) is not None:
            found.append(each)
    return found


def source_of(cell: Any) -> str | None:
    """The source of a notebook's cell, None if it has none."""
    if not isinstance(cell, dict):
        return None
    source = cell.get("source", cell.get("input"))
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    return source.removeprefix("\ufeff") if isinstance(source, str) else None


def ids_of(cell: dict[str, Any]) -> Iterator[str]:
    """What nbgrader and the notebook call a cell."""
    metadata = cell.get("metadata")
    graded = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    for id in (graded.get("grade_id") if isinstance(graded, dict) else None, cell.get("id")):
        if isinstance(id, str):
            yield id


def is_code(cell: dict[str, Any]) -> bool:
    return cell.get("cell_type", "code") == "code"


def is_python(cell: dict[str, Any]) -> bool:
    """Whether a cell is in Python, as far as the editor says."""
    metadata = cell.get("metadata")
    editor = metadata.get("vscode") if isinstance(metadata, dict) else None
    said = editor.get("languageId") if isinstance(editor, dict) else None
    return (said or cell.get("language") or "python") == "python" or not is_code(cell)


def shortened(cell: Cell, notes: list[str]) -> Cell:
    if len(cell.source) <= LONGEST_CELL:
        return cell
    notes.append(f"{cell.where} is longer than {LONGEST_CELL} letters; it was passed over.")
    return replace(cell, source="")


def decoded(content: bytes) -> str:
    """The text of a .py file in the encoding that it names; else in one that fits."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    try:
        named = tokenize.detect_encoding(io.BytesIO(content).readline)[0]
    except SyntaxError:
        named = "utf-8"
    for encoding in (named, "gb18030"):
        try:
            return content.decode(encoding)
        except (UnicodeError, LookupError):
            continue
    return content.decode("utf-8", "replace")


def plain(error: object) -> str:
    """An error in a line of a note."""
    return " ".join(str(error).encode("utf-8", "replace").decode().split())[:200]


class Mender:
    """Reads cells as Python. What cannot be read alone is tried with its neighbours, then in parts."""

    def __init__(self, cells: list[Cell], notes: list[str]):
        self.cells, self.notes, self.tries, self.rewrites = cells, notes, 0, 0
        self.joined: list[tuple[Cell, ast.Module | None]] = []
        self.trees = [self.tree(cell) for cell in cells]

    def mended(self) -> Iterator[tuple[Cell, list[ast.stmt]]]:
        place = 0
        while place < len(self.cells):
            place += self.joined_here(place)
        for cell, tree in self.joined:
            if cell.number[0] != cell.number[1]:
                self.notes.append(f"{cell.where} belong together and were read as one.")
            if tree is not None:
                yield cell, tree.body
            elif cell.code:
                yield cell, self.saved(cell)

    def tree(self, cell: Cell) -> ast.Module | None:
        if not cell.code:
            return parse(cell.source) if CODE.search(cell.source) else None
        tree = parse(cell.source)
        if tree is None and len(cell.source) < LONGEST_REWRITE and SHELL.search(cell.source):
            self.rewrites += 1
            if self.rewrites < MOST_REWRITES:
                return parse_plain(as_ipython(cell.source))
        return tree

    def joined_here(self, place: int) -> int:
        """Put a cell to those that were read, together with others if it needs them. Returns how many were used."""
        cell, tree = self.cells[place], self.trees[place]
        if cell.code and self.needs_others(cell, tree):
            sizes = [(back, on) for back in range(WINDOW) for on in range(WINDOW) if 0 < back + on < WINDOW]
            for back, on in sorted(sizes, key=lambda size: (sum(size), size[1])):
                if back > len(self.joined) or place + on >= len(self.cells):
                    continue
                before = [each for each, _ in self.joined[len(self.joined) - back :]]
                if found := self.together([*before, *self.cells[place : place + on + 1]]):
                    self.joined[len(self.joined) - back :] = [found]
                    return on + 1
        self.joined.append((cell, tree))
        return 1

    def needs_others(self, cell: Cell, tree: ast.Module | None) -> bool:
        """Whether a cell is no Python on its own, or goes on with the definition that the cell before it ends with."""
        if tree is None or has_bare_return(tree):
            return True
        above, before = self.joined[-1] if self.joined else (cell, None)
        indent = len(cell.source.lstrip("\r\n")) - len(cell.source.lstrip())
        torn_in_indentation = above.source.rpartition("\n")[2].isspace()
        if before is None or not before.body or not (indent or torn_in_indentation):
            return False
        last = before.body[-1]
        if isinstance(last, ast.ClassDef):
            if any(isinstance(each, FUNCTION) and is_method(each) for each in tree.body):
                return True
            last = last.body[-1]
        ended = isinstance(last, FUNCTION) and isinstance(last.body[-1], ast.Return | ast.Raise)
        return isinstance(last, FUNCTION) and not ended and indent > last.col_offset

    def together(self, cells: list[Cell]) -> tuple[Cell, ast.Module] | None:
        """Cells as one, if that is Python."""
        numbers = [number for cell in cells for number in cell.number]
        adjacent = all(b - a == 1 for a, b in zip(numbers[1:-1:2], numbers[2:-1:2], strict=True))
        self.tries += 1
        letters = sum(len(cell.source) for cell in cells)
        if (
            not all(cell.code for cell in cells)
            or not adjacent
            or letters > LONGEST_REWRITE
            or self.tries > MOST_TRIES
        ):
            return None
        first, last = numbers[0], numbers[-1]
        where = f"{cells[0].file}, cells {first} {'and' if last - first == 1 else 'to'} {last}"
        for in_a_line in (False, True):
            source = cells[0].source
            for cell in cells[1:]:
                torn_in_line = in_a_line or source.rpartition("\n")[2].isspace()
                source += ("" if torn_in_line or source.endswith("\n") else "\n") + cell.source
            tree = parse(source)
            if tree is None or has_bare_return(tree):
                continue
            if not in_a_line or any(isinstance(each, FUNCTION | ast.ClassDef) for each in tree.body):
                ids = tuple(id for cell in cells for id in cell.ids)
                return Cell(where, source, cells[0].file, ids, (first, last)), tree
        return None

    def saved(self, cell: Cell) -> list[ast.stmt]:
        """The statements of a damaged cell that are Python."""
        lines = without_magic(cell.source).split("\n")
        begins = [n for n, line in enumerate(lines) if line[:1].strip() and not GOES_ON.match(line)]
        begins.append(len(lines))
        found: list[ast.stmt] = []
        place = 0
        while place < len(begins) - 1:
            for end in range(place + 1, min(place + 1 + AHEAD, len(begins))):
                self.tries += 1
                tree = None
                if self.tries < MOST_TRIES:
                    tree = parse_plain("\n".join(lines[begins[place] : begins[end]]))
                if tree is not None:
                    found += [ast.increment_lineno(each, begins[place]) for each in tree.body]
                    place = end - 1
                    break
            place += 1
        rest = "what else stands in it was read" if found else "passed over"
        self.notes.append(f"{cell.where} is no Python ({why_not(cell.source)}); {rest}.")
        return found


def parse_plain(source: str) -> ast.Module | None:
    try:
        return ast.parse(source)
    except UNPARSABLE:
        return None


def parse(source: str) -> ast.Module | None:
    """A cell as Python, as a notebook would take it: magics, shell commands and an indented whole are fine."""
    tree = parse_plain(source)
    if tree is not None:
        return tree
    simple = without_magic(source)
    for mended in (simple, textwrap.dedent(simple), *without_conflicts(simple)):
        if mended != source and (tree := parse_plain(mended)) is not None:
            return tree
    return None


def why_not(source: str) -> str:
    """Why Python cannot read a source."""
    try:
        ast.parse(without_magic(source))
    except SyntaxError as error:
        return f"line {error.lineno}: {plain(error.msg)}" if error.lineno else plain(error.msg)
    except UNPARSABLE as error:
        return plain(error) or type(error).__name__
    return "it goes on elsewhere"


def without_magic(source: str) -> str:
    """The source without %magic, !commands and ?questions, line for line; nothing of a cell in another language."""
    first = source.split(None, 1)[:1]
    if first and first[0].startswith("%%") and first[0] not in STILL_PYTHON:
        return ""
    lines, goes_on = [], False
    for line in source.split("\n"):
        bare = line.strip()
        if goes_on or MAGIC.match(bare):
            indent = line[: len(line) - len(line.lstrip())]
            timed = re.match(r"%time\s+(.+)", bare)
            line = indent + (timed[1] if timed else "pass")
            goes_on = bare.endswith("\\")
        elif assigned := ASSIGNED.match(line):
            line = f"{assigned[1]} None"
        lines.append(line)
    return "\n".join(lines)


def as_ipython(source: str) -> str:
    """The source as IPython rewrites it: for the rare cases, because it is slow to load."""
    from IPython.core.inputtransformer2 import TransformerManager

    try:
        return TransformerManager().transform_cell(source).rstrip("\n")
    except (SyntaxError, ValueError, RecursionError):
        return source


def has_bare_return(tree: ast.Module) -> bool:
    """Whether a `return` stands outside of any function."""
    parts: list[ast.AST] = list(tree.body)
    while parts:
        part = parts.pop()
        if isinstance(part, ast.Return):
            return True
        if isinstance(part, ast.If | ast.Try | ast.ExceptHandler | LOOP):
            parts.extend(ast.iter_child_nodes(part))
    return False


def is_method(function: FUNCTION) -> bool:
    return function.args.args[:1] != [] and function.args.args[0].arg in ("self", "cls")


def flattened(nodes: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements; of what stands under `if __name__ == "__main__"` too; every import for itself; no calls in an `if`."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (ast.copy_location(ast.Import([each]), node) for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            for each in node.names:
                yield ast.copy_location(ast.ImportFrom(node.module, [each], node.level), node)
        elif isinstance(node, ast.If) and is_main(node.test):
            yield from flattened(node.body)
        elif isinstance(node, ast.If):
            yield without_calls(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and is_mine(node.value):
            node.value.func = ast.copy_location(
                ast.Name("mine", ast.Load()), node
            )  # also of autograder.mine(…)
            yield node
        else:
            yield node


def is_main(test: ast.expr) -> bool:
    return isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id == "__name__"


def without_calls(node: ast.If) -> ast.If:
    def kept(body: list[ast.stmt]) -> list[ast.stmt]:
        found = [
            without_calls(each) if isinstance(each, ast.If) else each
            for each in body
            if not isinstance(each, ast.Expr | LOOP)
        ]
        return found or [ast.copy_location(ast.Pass(), node)]

    return ast.copy_location(
        ast.If(node.test, kept(node.body), kept(node.orelse) if node.orelse else []), node
    )


def stored(node: ast.AST, walrus: bool) -> set[str]:
    """The names that a statement binds in its module. walrus: whether to look for := too, which takes longer."""
    found: set[str] = set()
    parts: list[ast.AST] = [node]
    while parts:
        part = parts.pop()
        if isinstance(part, FUNCTION | ast.ClassDef):
            found.add(part.name)
        elif isinstance(part, ast.Import):
            found |= {each.asname or each.name.split(".")[0] for each in part.names}
        elif isinstance(part, ast.ImportFrom):
            found |= {each.asname or each.name for each in part.names}
        elif (
            isinstance(part, ast.expr)
            and not walrus
            and not isinstance(getattr(part, "ctx", None), ast.Store)
        ):
            continue
        elif isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            found.add(part.id)
        elif not isinstance(part, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            parts.extend(ast.iter_child_nodes(part))
    return found


def changed(node: ast.AST) -> Iterator[str]:
    """The names of the objects that a statement changes in place, as far as one can see."""
    parts: list[ast.AST] = [node]
    while parts:
        part = parts.pop()
        if isinstance(part, FUNCTION | ast.ClassDef | ast.Lambda):
            continue
        if isinstance(part, ast.AugAssign) and isinstance(part.target, ast.Name):
            yield part.target.id
        elif isinstance(part, ast.Attribute | ast.Subscript) and isinstance(part.ctx, ast.Store):
            yield from root(part)
        elif isinstance(part, ast.Expr) and isinstance(part.value, ast.Call):
            yield from root(part.value.func)
        parts.extend(ast.iter_child_nodes(part))


def root(value: ast.expr) -> Iterator[str]:
    """The name that `a.b[0].c` begins with; none for a lone name."""
    part = value
    while isinstance(part, ast.Attribute | ast.Subscript):
        part = part.value
    if isinstance(part, ast.Name) and part is not value:
        yield part.id


def globals_of(code: types.CodeType) -> Iterator[str]:
    """The names that code, and the code in it, takes from its module."""
    for each in dis.get_instructions(code):
        if each.opname.startswith(("LOAD_NAME", "LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS")):
            yield each.argval
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from globals_of(constant)


def hints_of(node: ast.AST) -> Iterator[ast.expr]:
    """Annotations are not evaluated, but decorators may look at them."""
    for name in ("annotation", "returns"):
        if isinstance(found := getattr(node, name, None), ast.expr):
            yield found


def is_unwritten(node: ast.stmt) -> bool:
    """Whether a function, or a method of a class, raises NotImplementedError before anything is given back."""
    if isinstance(node, ast.ClassDef):
        return any(is_unwritten(each) and not is_empty(each) for each in node.body)
    if not isinstance(node, FUNCTION):
        return False
    for each in node.body:
        if isinstance(each, ast.Return):
            return False
        if isinstance(each, ast.Raise) and each.exc is not None:
            named = each.exc.func if isinstance(each.exc, ast.Call) else each.exc
            return isinstance(named, ast.Name) and named.id == "NotImplementedError"
    return is_empty(node)


def is_empty(node: ast.stmt) -> bool:
    """Whether a function or class holds nothing but a docstring, `pass` or `...`."""
    return isinstance(node, FUNCTION | ast.ClassDef) and all(
        isinstance(each, ast.Pass) or (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
        for each in node.body
    )


def is_mine(value: ast.expr | None) -> TypeGuard[ast.Call]:
    """Whether a value is `mine(…)`."""
    return (
        isinstance(value, ast.Call) and getattr(value.func, "id", getattr(value.func, "attr", "")) == "mine"
    )


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
