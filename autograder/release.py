"""python -m autograder.release [--out dist/student-kit.zip] [--plain]

What students get: assignments, walkthroughs, data scripts, configurations, checks, and the library with the pieces as
stubs. No solution, no proof of an exercise and no fast twin is in it. The walkthroughs come with their pictures, so that
they can be read before the pieces are written; --plain leaves the pictures out.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from autograder.checks import SETS, exercise, exercises
from idc.errors import UserError, command
from idc.files import atomic_write

ROOT = Path(__file__).resolve().parent.parent
KIT = "image-change-captioning"  # the folder in the archive
TAKEN = (
    "LICENSE",
    "assignments",
    "autograder",
    "build-constraints.txt",
    "configs",
    "data_scripts",
    "idc",
    "notebooks",
    "pyproject.toml",
    "requirements.lock",
    "requirements.txt",
)
# Of the grader, what students get; all else is the instructor's.
GIVEN = re.compile(
    r"autograder/((__init__|__main__|cells|handin|notebook|student|submission)\.py|checks/\w+\.py|checks/answers/.*"
    r"|bridges/(__init__|published)\.py)"
)
TWINS = ("idc/kernels/attention.py", "idc/kernels/cbr.py", "idc/kernels/matching.py")
ALSO_CUT = {"look": "ps3.3"}  # methods of pieces that give an exercise away
TWIN = "the fast twins are not part of the student kit: give --pieces, or set model.kernels=plain"
OWN_CELL = """\
# The pictures below were made with the finished model. To run the cells yourself, write the pieces first
# (ps1 to ps5): the library of this kit leaves them to you and takes them from your notebooks.
from pathlib import Path

from idc.own import adopt_everywhere

adopt_everywhere(Path("../assignments"))"""


def in_git(places: Iterable[str], what: str) -> list[Path]:
    """The files of the project that git knows or would take, below some places. what: is made of them, for the message."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", *places],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        raise UserError(f"{ROOT} is no git checkout ({listed.stderr.strip()}); {what} is made from a clone.")
    return [Path(name) for name in sorted(set(listed.stdout.split("\0")) - {""}) if (ROOT / name).is_file()]


def tracked() -> list[Path]:
    """The files that students get."""
    return [path for path in in_git(TAKEN, "the kit") if is_given(path.as_posix())]


def is_given(name: str) -> bool:
    """Whether students get a file, by its name in the project."""
    if name == "configs/autograder.yaml":  # deadlines, and where the secret lies
        return False
    return not name.startswith("autograder/") or bool(GIVEN.fullmatch(name))


class Cut(ast.NodeVisitor):
    """Finds the bodies that students are to write: functions and methods, by line."""

    def __init__(self, file: str):
        self.twin = file in TWINS
        self.holes: list[tuple[ast.FunctionDef, str]] = []
        self.inside: list[str] = []
        self.pieces = {each.piece: each for each in exercises().values()}

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.inside.append(node.name)
        self.generic_visit(node)
        self.inside.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        if message := self.message(node.name):
            self.holes.append((node, message))

    def message(self, name: str) -> str:
        """What to say instead of the body of a function; "" for one that stays."""
        if self.twin:
            return TWIN
        if not self.inside:
            return self.yours(name, self.pieces[name].id) if name in self.pieces else ""
        owner = self.inside[-1]
        if owner not in self.pieces:
            return ""
        method = self.pieces[owner].records()[0].call.method
        if name == method:
            return self.yours(owner, self.pieces[owner].id)
        return self.yours(owner, ALSO_CUT[name]) if name in ALSO_CUT else ""

    @staticmethod
    def yours(name: str, id: str) -> str:
        folder = f"assignments/{SETS[exercise(id).set]}"
        return f"{name} is yours to write: exercise {id}, in {folder}; then give --pieces assignments"


def stubbed(source: str, file: str) -> str:
    """A module with the bodies that students write replaced by NotImplementedError; signature and docstring stay."""
    cut = Cut(file)
    cut.visit(ast.parse(source))
    lines = source.splitlines(keepends=True)
    for node, message in reversed(cut.holes):
        body = node.body
        documented = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
        first = body[0].end_lineno if documented else body[0].lineno - 1
        assert first is not None
        indent = " " * body[0].col_offset
        lines[first : node.end_lineno] = [
            f"{indent}raise NotImplementedError(\n{indent}    {message!r}\n{indent})\n"
        ]
    return "".join(lines)


def with_pictures(notebook: Path) -> str:
    """A walkthrough with the output of its cells, run in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        words = [
            "--to",
            "notebook",
            "--execute",
            str(notebook),
            "--output-dir",
            folder,
            "--log-level",
            "ERROR",
        ]
        done = subprocess.run(
            [sys.executable, "-m", "jupyter", "nbconvert", *words],
            cwd=folder,
            env={"OMP_NUM_THREADS": "1", **os.environ},  # small models: more threads only wait for each other
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise UserError(f"{notebook} does not run: {done.stderr.strip()[-600:]}")
        return (Path(folder) / notebook.name).read_text(encoding="utf-8")


def walkthrough(text: str) -> str:
    """A walkthrough for the kit: a cell more, which takes the pieces from the student's notebooks."""
    content = json.loads(text)
    cell: dict[str, Any] = {"cell_type": "code", "id": "own-pieces", "metadata": {}, "execution_count": None}
    content["cells"].insert(2, cell | {"outputs": [], "source": OWN_CELL.splitlines(keepends=True)})
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def make_kit(folder: Path, pictures: bool) -> None:
    """Write the student kit into an empty folder."""
    names = tracked()
    missing = [f"assignments/{set}" for set in SETS.values() if not any(set in name.parts for name in names)]
    if missing:
        raise UserError(f"{', '.join(missing)} missing; `make assignments` generates them from solutions/.")
    for name in tqdm(names, desc="student kit", unit="file", disable=None):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if name.parts[0] == "notebooks" and name.suffix == ".ipynb":
            text = with_pictures(ROOT / name) if pictures else (ROOT / name).read_text(encoding="utf-8")
            target.write_text(walkthrough(text), encoding="utf-8")
        elif name.parts[:2] in (("idc", "pieces"), ("idc", "kernels")):
            target.write_text(
                stubbed((ROOT / name).read_text(encoding="utf-8"), name.as_posix()), encoding="utf-8"
            )
        else:
            shutil.copyfile(ROOT / name, target)
    shutil.copyfile(ROOT / "docs" / "student.md", folder / "README.md")
    shutil.copyfile(ROOT / "docs" / "student.mk", folder / "Makefile")


@command
def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m autograder.release",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=ROOT / "dist" / "student-kit.zip")
    parser.add_argument("--plain", action="store_true", help="walkthroughs without their pictures")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        kit = Path(temporary) / KIT
        make_kit(kit, not arguments.plain)
        with atomic_write(arguments.out) as path, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(kit.rglob("*")):
                archive.write(file, file.relative_to(temporary))
    print(f"{arguments.out}: {arguments.out.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
