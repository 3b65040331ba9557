"""The student kit, built, installed and solved once for all tests that need it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from autograder.checks import SETS
from autograder.release import KIT
from tests.autograder.course import ROOT, environment, errors, execute, fill, made_once, read


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kit as `make release` builds it, unpacked; its walkthroughs without pictures."""

    def build(folder: Path) -> None:
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

    return made_once(tmp_path_factory, "kit", build) / KIT


@pytest.fixture(scope="session")
def kit_python(kit: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Python of a machine that has the kit and nothing else."""

    def install(folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        python = folder / "bin" / "python"
        requirements = ["-c", "requirements.lock", "-r", "requirements.txt", "-e", "."]
        requirements += ["--build-constraints", "build-constraints.txt"]
        subprocess.run(
            [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", python, *requirements],
            cwd=kit,
            check=True,
            timeout=900,
        )

    return str(made_once(tmp_path_factory, "kit-environment", install) / "bin" / "python")


@pytest.fixture(scope="session")
def solved(kit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What somebody has who solved everything. The library is not in it: it is installed."""

    def solve(folder: Path) -> None:
        shutil.copytree(kit, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("idc", "autograder"))
        for name in SETS.values():
            path = folder / "assignments" / name / f"{name}.ipynb"
            answered = fill(read(path), read(ROOT / "solutions" / name / f"{name}.ipynb"))
            path.write_text(json.dumps(answered), encoding="utf-8")

    return made_once(tmp_path_factory, "kit-solved", solve)


@pytest.fixture(scope="session")
def trained(solved: Path, kit_python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Problem set 6 as that person hands it in: the notebook has run, and its report lies beside it."""

    def train(folder: Path) -> None:
        shutil.copytree(solved / "assignments", folder / "assignments")
        path = folder / "assignments" / "ps6_train" / "ps6_train.ipynb"
        assert errors(execute(path, kit_python, go_on=True)) == []

    return made_once(tmp_path_factory, "kit-trained", train) / "assignments" / "ps6_train"
