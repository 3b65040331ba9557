"""The bundle, unpacked as Gradescope does and run: what it says, and what student code cannot get at."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from autograder import results
from autograder.bridges.gradescope import LEFT_OUT, Metadata, bundle, for_instructors, results_json
from autograder.classroom import as_json, hole, notebook, solution
from autograder.commands import run
from autograder.results import ExerciseResult, Outcome, StudentResult
from idc.errors import UserError

SECRET = b"the same questions every time..."
CANARY = "brass-wren-7421"
# What Gradescope documents: the keys of results.json and of one of its tests.
KEYS = {
    "score", "execution_time", "output", "output_format", "test_output_format", "test_name_format", "visibility",
    "stdout_visibility", "extra_data", "tests", "leaderboard",
}  # fmt: skip
TEST_KEYS = {
    "score", "max_score", "status", "name", "name_format", "number", "output", "output_format", "tags", "visibility",
    "extra_data",
}  # fmt: skip
DUE = datetime(2026, 3, 2, 22, tzinfo=timezone.utc)


def exercise_result(id: str, outcome: Outcome, message: str, **more: Any) -> ExerciseResult:
    points = 6.0 if outcome is Outcome.RIGHT else 0.0
    return ExerciseResult(id=id, piece="p", outcome=outcome, points=points, out_of=6, message=message, **more)


@pytest.fixture
def result() -> StudentResult:
    hidden = results.TestResult(name="test_secret", passed=False, message="expected 0.6931", seconds=1)
    return StudentResult(
        student="ada",
        exercises={
            "ps1.1": exercise_result("ps1.1", Outcome.RIGHT, "ps1.1: right.", where="cell 8"),
            "ps1.2": exercise_result(
                "ps1.2", Outcome.WRONG, "ps1.2: not yet.", check="test_secret", flags=("look",), tests=(hidden,), lent=("x",)
            ),
        },
        notes=("cell 3 was there twice",),
        isolation="uid",
        seconds=12.4,
    )  # fmt: skip


def test_results_are_as_gradescope_documents_them(result: StudentResult) -> None:
    shown = results_json(result, Metadata())
    assert shown.keys() <= KEYS
    assert shown["visibility"] == "visible"
    assert shown["stdout_visibility"] == "hidden"
    assert shown["execution_time"] == 12
    assert "score" not in shown  # the tests add up to it
    first, second = shown["tests"]
    assert first.keys() | second.keys() <= TEST_KEYS
    assert (first["number"], first["score"], first["max_score"], first["status"]) == ("1.1", 6, 6, "passed")
    assert (second["number"], second["score"], second["max_score"], second["status"]) == (
        "1.2",
        0,
        6,
        "failed",
    )
    assert first["name"] == "ps1.1 InfoNCE"
    assert first["output"] == "ps1.1: right.\nFound in cell 8."
    assert "the course's own stood in" in second["output"]
    assert "cell 3 was there twice" in shown["output"]
    assert "isolation: uid" in shown["output"]
    json.dumps(shown, allow_nan=False)


def test_what_is_hidden_goes_to_instructors_only(result: StudentResult) -> None:
    shown = json.dumps(results_json(result, Metadata()))
    for secret in ("test_secret", "0.6931", "look"):
        assert secret not in shown
        assert secret in for_instructors(result)


def test_texts_of_students_are_plain_text(result: StudentResult) -> None:
    nasty = "<script>alert(1)</script> **bold** \x1b[31mred\x1b[0m \x00 \u202etxt.exe" + "x" * 10**6
    odd = {
        id: each.model_copy(update={"message": nasty, "where": nasty})
        for id, each in result.exercises.items()
    }
    shown = results_json(result.model_copy(update={"exercises": odd, "notes": (nasty,) * 1000}), Metadata())
    assert {shown[key] for key in ("output_format", "test_output_format", "test_name_format")} == {"text"}
    for text in (shown["output"], *(each["output"] for each in shown["tests"])):
        assert not set(text) & {"\x1b", "\x00", "\u202e"}
    assert len(json.dumps(shown)) < 10**6 / 4
    assert all("output_format" not in each or each["output_format"] == "text" for each in shown["tests"])


def test_a_hand_in_that_cannot_be_read_counts_nothing_and_says_why() -> None:
    shown = results_json(StudentResult(student="ada", error="a bomb", isolation="uid"), Metadata())
    assert shown["score"] == 0
    assert shown["tests"] == []
    assert "a bomb" in shown["output"]


@pytest.mark.parametrize(
    ("late", "hours", "score", "says"),
    [
        ("no_penalty", 30, None, "2 days late"),
        ("per_day=10", 30, 4.8, "2 days late: 1.2 points less"),
        ("per_day=10", -1, None, ""),
    ],
)
def test_lateness_is_told_and_costs_what_was_agreed(
    late: str, hours: float, score: float | None, says: str, result: StudentResult
) -> None:
    shown = results_json(result, Metadata("1", "2", DUE + timedelta(hours=hours), DUE), late)
    assert shown.get("score") == score
    assert says in shown["output"]
    assert bool(says) == ("late" in shown["output"])


def test_metadata_is_read_as_documented(tmp_path: Path) -> None:
    path = tmp_path / "submission_metadata.json"
    assert Metadata.read(path) == Metadata()
    path.write_text(json.dumps(metadata()))
    assert Metadata.read(path) == Metadata("123456", "12+7", DUE + timedelta(hours=1), DUE)
    path.write_text(json.dumps({"id": 5, "assignment": None, "created_at": None}))
    assert Metadata.read(path) == Metadata("5")
    for broken in (
        "no json",
        "[]",
        '{"users": [{}]}',
        '{"created_at": "yesterday"}',
        '{"created_at": "2026-01-01"}',
    ):
        path.write_text(broken)
        with pytest.raises(UserError, match="is not as Gradescope documents it"):
            Metadata.read(path)


def metadata() -> dict[str, Any]:
    return {
        "id": 123456,
        "created_at": "2026-03-02T16:00:00.000000-07:00",
        "assignment": {"due_date": "2026-03-02T15:00:00.000000-07:00", "late_due_date": None, "title": "ps1"},
        "submission_method": "upload",
        "users": [
            {"email": "b@example.com", "id": 7, "name": "Ben"},
            {"email": "a@example.com", "id": 12, "name": "Ada"},
        ],
        "previous_submissions": [],
    }


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle(tmp_path_factory.mktemp("bundle") / "gradescope.zip", ["ps1"], "per_day=10", SECRET)


def test_the_archive_has_its_programs_at_its_root(archive: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        modes = {each.filename: each.external_attr >> 16 for each in opened.infolist()}
        assert modes["setup.sh"] == modes["run_autograder"] == stat.S_IFREG | 0o700
        assert {mode for name, mode in modes.items() if name not in ("setup.sh", "run_autograder")} == {
            stat.S_IFREG | 0o600
        }
        assert {name.split("/")[0] for name in modes} == {
            "setup.sh", "run_autograder", "requirements.txt", "requirements.lock", "gradescope.json", "project",
        }  # fmt: skip
        assert CANARY in opened.read("project/autograder/banks/__init__.py").decode()  # it judges with these
        assert "project/autograder/checks/hidden/test_ps1.py" in modes
        assert not any(
            name.startswith(("project/solutions", "project/tests", "project/.git")) for name in modes
        )
        wanted = opened.read("requirements.txt").decode()
        assert opened.read("setup.sh").startswith(b"#!/usr/bin/env bash\n")
    packages = {line.split("==")[0].split("<")[0] for line in wanted.splitlines()}
    assert {"torch", "numpy", "pytest", "safetensors", "psutil"} <= packages
    assert not packages & set(LEFT_OUT)


@pytest.mark.parametrize("name", ["setup.sh", "run_autograder"])
def test_the_programs_are_bash(name: str, archive: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        subprocess.run(["bash", "-n"], input=opened.read(name), check=True)


def test_an_equal_bundle_is_equal_and_a_secret_is_ones_own(archive: Path, tmp_path: Path) -> None:
    assert (
        bundle(tmp_path / "again.zip", ["ps1_infonce"], "per_day=10", SECRET).read_bytes()
        == archive.read_bytes()
    )
    first, second = (bundle(tmp_path / f"{number}.zip") for number in (1, 2))
    assert first.read_bytes() != second.read_bytes()


def test_a_bundle_made_again_with_a_kept_secret_asks_the_same(tmp_path: Path) -> None:
    kept, settings = tmp_path / "secret", tmp_path / "settings.yaml"
    settings.write_text(f"secret: {kept}\n", encoding="utf-8")
    for name, words in (("named", ["--secret", str(kept)]), ("set", ["--config", str(settings)])):
        run(["bundle", "gradescope", "--out", str(tmp_path / f"{name}.zip"), *words])
    assert (tmp_path / "named.zip").read_bytes() == (tmp_path / "set.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "set.zip") as archive:
        assert (
            json.loads(archive.read("gradescope.json"))["secret"] == kept.read_text(encoding="ascii").strip()
        )


@pytest.mark.parametrize(
    ("sets", "late", "says"),
    [
        (["ps6"], "no_penalty", "ps6 cannot be graded on Gradescope"),
        ([], "no_penalty", "no set cannot be graded"),
        (["ps1", "ps9"], "no_penalty", "ps9 cannot be graded"),
        (["ps1"], "slip_days=4", "cannot be settled on Gradescope"),
        (["ps1"], "nonsense", "no late policy"),
    ],
)
def test_what_gradescope_cannot_do_is_refused(sets: list[str], late: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=says):
        bundle(tmp_path / "no.zip", sets, late)
    assert not list(tmp_path.iterdir())


def python_for_everybody(folder: Path) -> Path | None:
    """A Python with this environment's packages that any user may run; None where there is none."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    if readable_by_all(Path(os.__file__)):
        return Path(sys.executable)
    for place in ("/usr/local/bin", "/usr/bin"):
        made = [f"{place}/{name}", "-m", "venv", "--without-pip", str(folder)]
        if Path(place, name).is_file() and not subprocess.run(made, check=False).returncode:
            packages = folder / "lib" / name / "site-packages"
            (packages / "theirs.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
            return folder / "bin" / "python"
    return None


def readable_by_all(path: Path) -> bool:
    return all(each.stat().st_mode & 0o005 == 0o005 for each in path.resolve().parents)


class Container:
    """A folder laid out as /autograder, in which the bundle is installed; open to everybody until the bundle closes it."""

    def __init__(self, root: Path, archive: Path):
        self.root = root
        python = python_for_everybody(root.parent / "environment")
        self.environment = os.environ | {
            "IDC_ROOT": str(root),
            "IDC_PYTHON": str(python or sys.executable),
            "IDC_ISOLATION": "namespaces" if os.geteuid() or python is None else "uid",
            "IDC_SKIP_INSTALL": "1",
            "IN_THE_ENVIRONMENT": CANARY,
        }
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(root / "source")
        for path in [root, *root.rglob("*")]:
            path.chmod(0o777)
        shutil.copy(root / "source" / "run_autograder", root / "run_autograder")
        (root / "submission_metadata.json").write_text(json.dumps(metadata()))
        (root / "results").mkdir(mode=0o777)
        subprocess.run([root / "source" / "setup.sh"], env=self.environment, check=True)

    def grade(self, answers: dict[str, str]) -> tuple[dict[str, Any], str]:
        """What results.json holds, and what was printed for instructors, for cells of problem set 1."""
        shutil.rmtree(self.root / "submission", ignore_errors=True)
        (self.root / "submission").mkdir()
        found = json.loads(as_json(notebook("assignments", "ps1")))
        for id, source in answers.items():
            hole(id, found)["source"] = source
        (self.root / "submission" / "ps1_infonce.ipynb").write_bytes(as_json(found))
        (self.root / "results" / "results.json").write_text('{"score": 99}')  # of the one before
        done = subprocess.run(
            [self.root / "run_autograder"],
            env=self.environment,
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads((self.root / "results" / "results.json").read_text()), done.stdout


@pytest.fixture(scope="module")
def container(archive: Path) -> Iterator[Container]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        root = Path(folder, "autograder")
        root.mkdir()
        yield Container(root, archive)


def test_a_submission_is_graded(container: Container) -> None:
    wrong = "def info_nce(similarity):\n    print('<b>')\n    return similarity.logsumexp(1).mean()"
    shown, said = container.grade({"ps1.1": wrong, "ps1.2": solution("ps1.2")})
    first, second = shown["tests"]
    assert (first["score"], first["max_score"], first["status"]) == (0, 6, "failed")
    assert "It looks like this" in first["output"]
    assert (second["score"], second["max_score"], second["status"]) == (4, 4, "passed")
    assert shown["score"] == pytest.approx(3.6)  # an hour late
    assert "1 day late" in shown["output"]
    assert f"isolation: {container.environment['IDC_ISOLATION']}" in shown["output"]
    assert "ps1.1 wrong: 0 of 6" in said


HOSTILE = '''
def info_nce(similarity):
    """Looks around, and tells by an exception what it got."""
    import autograder, glob, os, subprocess
    root, got, refused = {root!r}, [], 0
    attempts = [lambda path=path: os.listdir(root + path) for path in ("", "/source", "/results", "/submission")]
    for path in ("source/gradescope.json", "source/project/autograder/banks/__init__.py", "submission_metadata.json"):
        attempts.append(lambda path=path: open(os.path.join(root, path)).read())
    for path in ("results/results.json", "results/new.json", "run_autograder", "source/gradescope.json"):
        attempts.append(lambda path=path: open(os.path.join(root, path), "w").write("score: 1000"))
    attempts.append(lambda: os.chmod(root, 0o777))
    attempts.append(lambda: subprocess.run(["rm", "-r", root + "/results"], check=True, capture_output=True))
    for attempt in attempts:
        try:
            got.append(attempt())
        except (OSError, subprocess.CalledProcessError):
            refused += 1
    for path in glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline"):
        try:
            got += [path] * ({canary!r} in open(path).read())
        except OSError:
            pass
    got += [name for name in os.listdir(os.path.dirname(autograder.__file__)) if name in ("banks", "hidden.py", "lender.py")]
    raise RuntimeError(str(refused) + " refused, got " + str(got)[:200])
'''


def test_a_hostile_submission_gets_nothing(container: Container) -> None:
    source = HOSTILE.format(root=str(container.root), canary=CANARY)
    shown, said = container.grade({"ps1.1": source, "ps1.2": solution("ps1.2")})
    first, second = shown["tests"]
    assert first["score"] == 0
    assert second["score"] == 4
    assert shown["score"] == pytest.approx(3.6)
    assert "Your code stopped with RuntimeError: 13 refused, got []." in first["output"]
    assert "13 refused, got []" in said
    assert sorted(each.name for each in (container.root / "results").iterdir()) == ["results.json"]


def test_without_a_grader_there_is_no_result(container: Container) -> None:
    """Gradescope then tells of an error of the autograder, and counts no zero."""
    about = container.root / "source" / "gradescope.json"
    content = about.read_text()
    about.write_text(content.replace('"ps1"', '"ps0"'))
    (container.root / "results" / "results.json").write_text('{"score": 99}')
    try:
        done = subprocess.run(
            [container.root / "run_autograder"],
            env=container.environment,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        about.write_text(content)
    assert done.returncode
    assert not (container.root / "results" / "results.json").exists()
