"""`python -m autograder`: for students a folder, for instructors commands; each says what it cannot do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from autograder.__main__ import FOR_INSTRUCTORS
from autograder.commands import run
from autograder.release import is_given
from idc.errors import UserError

ROOT = Path(__file__).parents[2]


def autograder(*words: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """The command as it is typed in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "autograder", *words],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The grader's files of the student kit, as they are copied there, with the library."""
    folder = tmp_path_factory.mktemp("kit")
    for path in sorted((ROOT / "autograder").rglob("*")):
        name = path.relative_to(ROOT)
        if path.is_file() and is_given(name.as_posix()):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / name)
    (folder / "idc").symlink_to(ROOT / "idc")
    return folder


def test_help_comes_at_once_and_names_every_command() -> None:
    done = autograder("--help")
    assert done.returncode == 0
    assert all(f"\n  {name} " in done.stdout for name in FOR_INSTRUCTORS)
    script = (
        "import sys, runpy\nsys.argv = ['autograder', '--help']\n"
        "try:\n    runpy.run_module('autograder', run_name='__main__')\n"
        "except SystemExit:\n    sys.exit('torch' in sys.modules or 'numpy' in sys.modules)\n"
    )
    subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.DEVNULL, check=True, timeout=60
    )


@pytest.mark.parametrize("name", FOR_INSTRUCTORS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run([name, "--help"])
    assert ended.value.code == 0
    assert f"usage: python -m autograder {name}" in capsys.readouterr().out


def test_students_check_a_folder(kit: Path) -> None:
    shutil.copytree(ROOT / "solutions" / "ps1_infonce", kit / "assignments" / "ps1_infonce")
    done = autograder(folder=kit)
    assert done.returncode == 0, done.stderr
    assert "✓ ps1.1  info_nce" in done.stdout
    assert "○ ps5.4" in done.stdout
    assert done.stdout.endswith("10 of 78 points\n")


def test_students_hear_that_a_command_is_not_theirs(kit: Path) -> None:
    done = autograder("grade", "submitted", folder=kit)
    assert done.returncode == 2
    assert done.stderr.startswith("error: “grade” is for instructors, and the student kit does not have it.")
    assert "./grade" in done.stderr
    assert "grade SUBMITTED" not in autograder("--help", folder=kit).stdout


def test_a_folder_with_the_name_of_a_command_can_be_checked(kit: Path) -> None:
    folder = kit / "grade"
    folder.mkdir()
    (folder / "ps1.py").write_text("def info_nce(similarity):\n    return similarity.sum()\n")
    done = autograder("./grade", folder=kit)
    assert done.returncode == 1
    assert "✗ ps1.1" in done.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("grade", "nowhere"), "there is no folder or file nowhere"),
        (("grade", "tests", "--jobs", "0"), "--jobs is 0; it must be 1 or more"),
        (("grade", "tests", "--isolation", "none"), "say so with --unsafe"),
        (("grade", "tests", "--unsafe", "--isolation", "namespaces"), "leave one of them out"),
        (("grade", "tests", "--config", "nowhere.yaml"), "the settings nowhere.yaml cannot be read"),
        (("report", "--out", "nowhere"), "nowhere holds no results; `python -m autograder grade SUBMITTED"),
        (("publish", ".", "--out", "nowhere"), "nowhere holds no results"),
        (("preview", "tests", "--against", "nowhere"), "nowhere holds no results"),
    ],
)
def test_what_cannot_be_done_is_told(words: tuple[str, ...], told: str) -> None:
    with pytest.raises(UserError) as error:
        run(words)
    assert told in str(error.value)


def test_a_sentence_and_no_traceback_is_what_people_see() -> None:
    done = autograder("grade", "nowhere")
    assert done.returncode == 2
    assert done.stderr.startswith("error: there is no folder or file nowhere")
    assert len(done.stderr.splitlines()) == 1
