"""The student kit: nothing in it gives an exercise away, and it works on a machine that has nothing else."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from autograder.banks import CANARY
from autograder.checks import SETS, exercises
from autograder.release import KIT, Cut, stubbed
from tests.autograder.course import ROOT, environment, errors, execute, fill, read, shown, sources

WALKTHROUGHS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
PIECES = sorted((ROOT / "idc" / "pieces").glob("*.py"))


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kit as `make release` builds it, unpacked; its walkthroughs without pictures."""
    folder = tmp_path_factory.mktemp("kit")
    archive = folder / "student-kit.zip"
    subprocess.run(
        [sys.executable, "-m", "autograder.release", "--plain", "--out", archive],
        cwd=ROOT,
        env=environment(),
        check=True,
        capture_output=True,
        timeout=300,
    )
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    return folder / KIT


def texts(kit: Path) -> dict[str, str]:
    """Everything in the kit that can be read, by name."""
    found = {}
    for file in (file for file in sorted(kit.rglob("*")) if ".venv" not in file.parts):
        if (
            file.suffix in (".py", ".md", ".toml", ".txt", ".yaml", ".json", ".ipynb", ".mk", ".lock")
            or file.name == "Makefile"
        ):
            found[str(file.relative_to(kit))] = file.read_text(encoding="utf-8")
    return found


def hole_lines() -> set[str]:
    """The lines of the reference pieces that students write, and those of the known mistakes and alternatives."""
    found = set()
    for path in PIECES:
        source = path.read_text(encoding="utf-8")
        cut = Cut(f"idc/pieces/{path.name}")
        cut.visit(ast.parse(source))
        for node, _ in cut.holes:
            body = [
                each for each in node.body if not isinstance(each, ast.Expr | ast.Raise) and not guards(each)
            ]
            for part in body:
                found |= set(source.splitlines()[part.lineno - 1 : part.end_lineno])
    return telling(found)


def guards(statement: ast.stmt) -> bool:
    """Whether a statement only refuses bad arguments; such lines are given to students."""
    return isinstance(statement, ast.If) and all(isinstance(each, ast.Raise) for each in statement.body)


def telling(lines: set[str]) -> set[str]:
    """Lines long enough to be somebody's idea, without their indentation."""
    stripped = {line.strip() for line in lines}
    common = ("#", "raise", 'f"', '"', "def ", "from ", "import ")
    return {line for line in stripped if len(line) > 24 and not line.startswith(common)}


def test_it_holds_what_students_need_and_nothing_more(kit: Path) -> None:
    there = {path.name for path in kit.iterdir()}
    assert {
        "README.md",
        "Makefile",
        "LICENSE",
        "assignments",
        "autograder",
        "configs",
        "data_scripts",
        "idc",
    } <= there
    assert {"notebooks", "pyproject.toml", "requirements.txt", "requirements.lock"} <= there
    assert not there & {"solutions", "tests", "benchmarks", "docs", ".git"}
    assert not list(kit.glob("autograder/banks*")) and not (kit / "autograder" / "hidden.py").exists()
    assert {path.name for path in (kit / "assignments").iterdir()} == set(SETS.values())
    assert (kit / "idc" / "assets" / "scorer_cbr_rendered" / "model.safetensors").is_file()


def test_no_canary_sings(kit: Path) -> None:
    for name, text in texts(kit).items():
        assert CANARY not in text, name


def test_no_line_of_a_reference_piece_is_in_it(kit: Path) -> None:
    lines = hole_lines()
    assert len(lines) > 40
    for name, text in texts(kit).items():
        plain = (
            "\n".join(source for _, source in sources(json.loads(text))) if name.endswith(".ipynb") else text
        )
        there = {line.strip() for line in plain.splitlines()}
        assert not lines & there, name


def test_no_model_answer_or_solution_cell_is_in_it(kit: Path) -> None:
    answers = set()
    for folder in SETS.values():
        for _, source in sources(read(ROOT / "solutions" / folder / f"{folder}.ipynb")):
            for part in re.findall(r"### BEGIN SOLUTION\n(.*?)\s*### END SOLUTION", source, flags=re.DOTALL):
                answers |= telling(set(part.splitlines()))
        for cell in read(ROOT / "solutions" / folder / f"{folder}.ipynb")["cells"]:
            if cell["cell_type"] == "markdown" and cell["metadata"].get("nbgrader", {}).get("solution"):
                answers |= telling(set("".join(cell["source"]).splitlines()))
    assert len(answers) > 60
    for name, text in texts(kit).items():
        plain = (
            "\n".join(source for _, source in sources(json.loads(text))) if name.endswith(".ipynb") else text
        )
        assert not answers & {line.strip() for line in plain.splitlines()}, name


def test_every_piece_is_a_stub_with_signature_and_docstring(kit: Path) -> None:
    names = {each.piece: each for each in exercises().values()}
    seen = set()
    for path in PIECES:
        ours = {node.name: node for node in ast.parse(path.read_text()).body if hasattr(node, "name")}
        theirs = {
            node.name: node
            for node in ast.parse((kit / "idc" / "pieces" / path.name).read_text()).body
            if hasattr(node, "name")
        }
        assert ours.keys() == theirs.keys()
        for name in ours.keys() & names.keys():
            assert ast.get_docstring(ours[name]) == ast.get_docstring(theirs[name])  # type: ignore[arg-type]
            assert f"exercise {names[name].id}" in ast.unparse(theirs[name])
            seen.add(name)
    assert seen == {name for name in names if name != "info_nce_gradient"}


def test_the_cut_keeps_what_is_no_exercise() -> None:
    source = (ROOT / "idc" / "pieces" / "attention.py").read_text()
    cut = stubbed(source, "idc/pieces/attention.py")
    assert "return x.transpose(1, 2).flatten(2)" in cut  # join_heads is given
    assert "context = F.dropout(weights, dropout) @ value" in cut  # attend is given


@pytest.mark.timeout(1800)
def test_it_runs_on_a_machine_that_has_nothing_else(kit: Path) -> None:
    """Install it, meet every stub, fill the stubs with the solutions, and run everything to the end."""
    python = kit / ".venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", kit / ".venv"], check=True)
    requirements = ["-c", "requirements.lock", "-r", "requirements.txt", "-e", "."]
    requirements += ["--build-constraints", "build-constraints.txt"]
    subprocess.run(
        [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", python, *requirements],
        cwd=kit,
        check=True,
        timeout=900,
    )
    where = subprocess.run(
        [python, "-c", "import idc, autograder; print(idc.__file__, autograder.__file__)"],
        cwd=kit.parent,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert where.count(str(kit)) == 2, "the kit's own library is used"

    for folder in SETS.values():
        notebook = execute(kit / "assignments" / folder / f"{folder}.ipynb", str(python), go_on=True)
        failed = errors(notebook)
        assert failed and failed[0][1] == "NotImplementedError", f"{folder}: {failed[:1]}"
        for each in exercises().values():
            if SETS[each.set] == folder:
                said = shown(notebook, f"{each.id.replace('.', '-')}-check")
                assert "not attempted" in said and "0.0" in said, each.id
    tour = execute(kit / "notebooks" / WALKTHROUGHS[0], str(python), go_on=True)
    assert errors(tour)[0][:2] == ("own-pieces", "UserError")

    for folder in SETS.values():
        path = kit / "assignments" / folder / f"{folder}.ipynb"
        solved = fill(read(path), read(ROOT / "solutions" / folder / f"{folder}.ipynb"))
        path.write_text(json.dumps(solved), encoding="utf-8")
    for folder in SETS.values():
        notebook = execute(kit / "assignments" / folder / f"{folder}.ipynb", str(python), go_on=True)
        assert errors(notebook) == [], folder
    for name in WALKTHROUGHS:
        assert errors(execute(kit / "notebooks" / name, str(python), go_on=True)) == [], name
    done = subprocess.run(
        [python, "-m", "autograder"], cwd=kit, env=environment(), capture_output=True, text=True, check=False
    )
    total = sum(each.points for each in exercises().values())
    assert f"{total} of {total} points" in done.stdout, done.stdout + done.stderr
