"""The student kit: nothing in it gives an exercise away, and it works on a machine that has nothing else."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from nbclient.exceptions import CellExecutionError

from autograder.banks import CANARY
from autograder.checks import SETS, exercises
from autograder.release import Cut, stubbed
from tests.autograder.course import ROOT, environment, errors, execute, read, shown, sources
from tests.notebooks.test_walkthroughs import faults_of_outputs

WALKTHROUGHS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
PIECES = sorted((ROOT / "idc" / "pieces").glob("*.py"))

pytestmark = pytest.mark.timeout(1200)


def texts(kit: Path) -> dict[str, str]:
    """Everything in the kit that can be read, by name."""
    found = {}
    for file in sorted(kit.rglob("*")):
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


def run(python: str, folder: Path, *words: str) -> str:
    """What the kit's Python says in a folder, however it ends."""
    done = subprocess.run(
        [python, *words], cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def copied(course: Path, folder: Path) -> Path:
    """A copy to work in, without the library: that is installed."""
    return Path(shutil.copytree(course, folder, ignore=shutil.ignore_patterns("idc", "autograder")))


def test_its_own_library_is_used(kit: Path, kit_python: str) -> None:
    words = "import idc, autograder; print(idc.__file__, autograder.__file__)"
    assert run(kit_python, kit.parent, "-c", words).count(str(kit)) == 2


def test_stubs_are_not_attempted(kit: Path, kit_python: str) -> None:
    said = run(kit_python, kit, "-m", "autograder")
    assert said.count("not attempted") == len(exercises())
    assert re.search(r"^0 of \d+ points$", said, re.MULTILINE), said


def test_a_set_of_stubs_runs_to_its_end(kit: Path, kit_python: str, tmp_path: Path) -> None:
    """One that takes pieces from another set."""
    name = SETS["ps4"]
    own = copied(kit, tmp_path / "course")
    notebook = execute(own / "assignments" / name / f"{name}.ipynb", kit_python, go_on=True)
    failed = errors(notebook)
    assert failed and failed[0][1] == "NotImplementedError", failed[:1]
    for each in (each for each in exercises().values() if each.set == "ps4"):
        said = shown(notebook, f"{each.id.replace('.', '-')}-check")
        assert "not attempted" in said and "0.0" in said, each.id


def test_a_walkthrough_asks_for_the_pieces(kit: Path, kit_python: str, tmp_path: Path) -> None:
    path = copied(kit, tmp_path / "course") / "notebooks" / WALKTHROUGHS[0]
    with pytest.raises(CellExecutionError):
        execute(path, kit_python)
    assert errors(read(path))[0][:2] == ("own-pieces", "UserError")


@pytest.mark.parametrize("name", [name for set, name in SETS.items() if set != "ps6"])
def test_a_solved_set_runs(solved: Path, kit_python: str, tmp_path: Path, name: str) -> None:
    own = copied(solved, tmp_path / "course")
    assert errors(execute(own / "assignments" / name / f"{name}.ipynb", kit_python, go_on=True)) == []


def test_training_with_ones_own_pieces_leaves_a_report(trained: Path) -> None:
    there = {path.name for path in (trained / "report").iterdir()}
    assert {"results.json", "metrics.jsonl", "triples.png", "no_cbr"} <= there


@pytest.mark.parametrize("name", WALKTHROUGHS)
def test_a_walkthrough_runs_with_ones_own_pieces(
    solved: Path, kit_python: str, tmp_path: Path, name: str
) -> None:
    own = copied(solved, tmp_path / "course")
    assert not faults_of_outputs(execute(own / "notebooks" / name, kit_python, go_on=True))


def test_solved_sets_earn_all_points(solved: Path, kit_python: str) -> None:
    total = sum(each.points for each in exercises().values())
    assert f"{total} of {total} points" in run(kit_python, solved, "-m", "autograder")
