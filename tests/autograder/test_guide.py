"""docs/instructor.md: its tables are fresh, and the exercise that it shows is really written, recorded and proven."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from autograder import tables
from autograder.banks import bank
from autograder.checks import exercises
from autograder.plugin import Judge
from autograder.results import Outcome
from autograder.student import Local
from idc.errors import UserError
from idc.files import fill_tables
from tests.autograder.course import ROOT, environment, read, sources

PAGE = (ROOT / "docs" / "instructor.md").read_text(encoding="utf-8")
COPIED = ("autograder", "docs", "solutions", "tests/autograder", "nbgrader_config.py", "pyproject.toml")


def blocks(language: str) -> list[str]:
    """The code of all blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def files() -> Iterator[tuple[str, str]]:
    """(path, content) of the blocks whose first line is a path."""
    for code in blocks("python"):
        if found := re.match(r"# (\S+\.py)\n", code):
            yield found[1], code


def replace(diff: str, root: Path) -> None:
    """Replace the lines with - by those with + that follow, in the file that the first line names."""
    path = root / diff.splitlines()[0].removeprefix("# ")
    text = path.read_text(encoding="utf-8")
    for old, new in re.findall(r"^-(.*\n)((?:\+.*\n)+)", diff, flags=re.MULTILINE):
        assert text.count(old) == 1, f"{path.name} has no line {old!r}, or several"
        text = text.replace(old, re.sub(r"^\+", "", new, flags=re.MULTILINE))
    path.write_text(text, encoding="utf-8")


def run(words: list[str], root: Path) -> str:
    done = subprocess.run(
        words, cwd=root, env=environment(), capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, f"{words}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a new exercise touches."""
    root = tmp_path_factory.mktemp("clone")
    ignored = shutil.ignore_patterns("__pycache__", "report", ".ipynb_checkpoints")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, root / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, root / name)
    (root / "tests" / "__init__.py").touch()
    return root


@pytest.mark.timeout(900)
def test_the_exercise_of_the_guide_is_written_recorded_and_proven(clone: Path) -> None:
    written = dict(files())
    assert set(written) == {"autograder/checks/ps7.py", "autograder/banks/ps7.py", "make_ps7.py"}
    for name, code in written.items():
        (clone / name).write_text(code, encoding="utf-8")
    (diff,) = blocks("diff")
    replace(diff, clone)
    (script,) = blocks("sh")
    said = {}
    for line in script.splitlines()[1:]:
        program, *words = line.split()
        said[line] = run([sys.executable if program == "python" else program, *words], clone)

    assert (clone / "autograder" / "checks" / "answers" / "ps7_1.npz").is_file()
    assert "✓ ps7.1" in said["python -m autograder solutions/ps7_likeness"]
    assert "○ ps7.1" in said["python -m autograder assignments/ps7_likeness"]
    (tested,) = (words for line, words in said.items() if "pytest" in line)
    assert re.search(r"\d\d passed", tested) and "skipped" not in tested
    page = (clone / "docs" / "instructor.md").read_text(encoding="utf-8")
    assert "| ps7.1 Cosine similarity | 10 min | 1/5 | 3/5 | 2 | the check |" in page
    released = read(clone / "assignments" / "ps7_likeness" / "ps7_likeness.ipynb")
    text = "\n".join(source for _, source in sources(released))
    assert "raise NotImplementedError" in text and "normalize(x" not in text and "Darkness" not in text


def test_the_hidden_checks_of_the_guide_are_some(tmp_path: Path) -> None:
    code = "\n\n".join(code for code in blocks("python") if "pytest.mark.exercise" in code)
    imports = "import pytest\nimport torch\nfrom autograder.student import Call, ask_all"
    (tmp_path / "test_guide.py").write_text(f"{imports}\n\n{code}", encoding="utf-8")
    student = Local({"info_nce": bank("ps1.1").right})
    (result,) = Judge(tmp_path).judge(lambda id, lent: student, ["ps1.1"], "seed").values()
    assert result.outcome is Outcome.RIGHT
    assert [test.name for test in result.tests] == [
        "test_rows_are_queries",
        "test_a_guess_costs_more_in_a_larger_batch",
    ]


def test_confirm_gives_the_points() -> None:
    (code,) = (code for code in blocks("python") if "confirm(" in code)
    names = {"info_nce": bank("ps1.1").right}
    exec(code.replace("\nconfirm(", "\nshown = confirm("), names)
    assert names["shown"] == exercises()["ps1.1"].points


def test_the_owner_is_replaced_everywhere(tmp_path: Path) -> None:
    for name in ("solutions", "notebooks", "tests/notebooks"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("report", "__pycache__"))
    (line,) = (line for line in PAGE.splitlines() if line.startswith("sed "))
    subprocess.run(["sh", "-c", line], cwd=tmp_path, check=True)
    assert not list(tmp_path.rglob("*.bak")), "nbgrader would copy them to the students"
    notebooks = [*tmp_path.glob("solutions/*/*.ipynb"), *tmp_path.glob("notebooks/*.ipynb")]
    assert len(notebooks) >= 13
    for path in [*notebooks, tmp_path / "tests" / "notebooks" / "test_walkthroughs.py"]:
        text = path.read_text(encoding="utf-8")
        assert "OWNER" not in text and "your-name/image-change-captioning" in text, path.name


def test_the_tables_are_fresh() -> None:
    assert fill_tables(PAGE, tables.TABLES) == PAGE, "type python -m autograder.tables"


def test_the_tables_hold_every_exercise_and_part() -> None:
    overview, errors = tables.overview(), tables.errors()
    for each in exercises().values():
        assert f"| {each.id} {each.title} |" in overview
        assert f"**{each.id} {each.title}**" in errors
        assert all(idea.name in errors for idea in each.ideas.values())
    assert [name for name, *_ in tables.project()] == [
        line.split("|")[1].strip() for line in overview.splitlines() if line.startswith("| ps6.")
    ]
    assert len(tables.project()) == 5


def test_a_page_without_a_place_for_a_table_is_refused() -> None:
    with pytest.raises(UserError, match="no place for the table “errors”"):
        fill_tables(PAGE.replace("<!-- table: errors -->", ""), tables.TABLES)


def test_the_rubric_marks_what_a_person_marks() -> None:
    """Four levels for each part, and the points of a part are those of its cells."""
    rubric = PAGE.partition("## Marking problem set 6")[2].partition("\n## ")[0]
    folder = "ps6_train"
    cells = read(ROOT / "solutions" / folder / f"{folder}.ipynb")["cells"]
    for name, _, marker, points in tables.project():
        id = name.split()[0].replace(".", "-")
        marked = [cell["metadata"].get("nbgrader", {}) for cell in cells if cell["id"].startswith(id)]
        assert sum(each["points"] for each in marked if each.get("grade")) == float(points)
        if marker == "a person":
            part = rubric.partition(f"**{name}**")[2].partition("\n**")[0]
            assert re.findall(r"^\| (\d) \|", part, flags=re.MULTILINE) == ["4", "3", "2", "1"], name


def test_links_within_the_page_arrive() -> None:
    headings = {
        re.sub(r"[^\w\- ]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in PAGE.splitlines()
        if line.startswith("#")
    }
    links = re.findall(r"\]\(#([^)]+)\)", PAGE)
    assert len(links) > 5 and set(links) <= headings
