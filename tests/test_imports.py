"""Imports go one way, cost little and do nothing."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from autograder.release import is_given

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "idc"
BASE = {"errors", "files", "cluster"}
BELOW_SYSTEMS = BASE | {"pieces", "kernels", "captioner"}
MAY_IMPORT = {  # part of the package -> the parts it may know
    "errors": set(),
    "files": {"errors"},
    "cluster": {"errors"},
    "pieces": {"pieces"},
    "kernels": {"pieces", "kernels"},
    "captioner": BELOW_SYSTEMS,
    "world": BASE | {"world"},
    "backbones": BASE | {"backbones"},
    "data": BASE | {"data", "backbones", "world"},
    "metrics": BASE | {"metrics", "data", "world"},
    "systems": BELOW_SYSTEMS | {"systems", "data"},
    "config": BELOW_SYSTEMS | {"systems", "data"},
    "training": BELOW_SYSTEMS | {"systems", "data", "metrics", "world", "config", "training"},
}
HEAVY = (
    "torchvision",
    "mitsuba",
    "spacy",
    "matplotlib",
    "pycocoevalcap",
    "tensorboard",
    "visdom",
    "distributed",
    "lightning_fabric",
    "torch._dynamo",
    "open_clip",
    "gradio",
)
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> Iterator[str]:
    """The full names of all modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            assert node.module is not None
            # `from idc import data` imports idc.data, `from idc.data import vocabulary` idc.data.vocabulary
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_one_way(path: Path) -> None:
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    known = {name.split(".")[1] for name in imported(path) if name.startswith("idc.")}
    may = MAY_IMPORT.get(part, known)  # a command may know everything, and nothing above knows commands
    assert known <= may, f"{part} may not know {known - may}"


def test_every_folder_has_its_place_in_the_order() -> None:
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    assert folders <= set(MAY_IMPORT)


STUDENTS = [
    path
    for path in sorted((ROOT / "autograder").rglob("*.py"))
    if is_given(path.relative_to(ROOT).as_posix())
]  # the part of the grader that students get


def file_of(name: str) -> str:
    """The file that an imported name comes from."""
    while not (ROOT / name.replace(".", "/")).with_suffix(".py").is_file():
        if (ROOT / name.replace(".", "/") / "__init__.py").is_file():
            return f"{name.replace('.', '/')}/__init__.py"
        name = name.rpartition(".")[0]
    return f"{name.replace('.', '/')}.py"


@pytest.mark.parametrize("path", STUDENTS, ids=name_of)
def test_what_students_get_knows_no_answers(path: Path) -> None:
    names = set(imported(path))
    assert not {name for name in names if name.startswith(("autograder.banks", "autograder.hidden"))}
    assert not {name for name in names if name.startswith("idc.kernels")}
    grader = [name for name in names if name.startswith("autograder.")]
    grader = [name for name in grader if name != "autograder.commands.run"]  # the kit says that it has none
    assert all(is_given(file_of(name)) for name in grader), "something that students do not get"
    if "checks" in path.parts:  # a judge never asks the library's pieces
        assert {name for name in names if name.startswith("idc.")} <= {"idc.errors.UserError"}


@pytest.mark.parametrize("path", sorted((PACKAGE / "pieces").glob("*.py")), ids=name_of)
def test_pieces_need_torch_alone(path: Path) -> None:
    tops = {name.split(".")[0] for name in imported(path)}
    assert tops <= {"torch", "jaxtyping", "idc"} | set(sys.stdlib_module_names)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_torchvision_is_for_features_only(path: Path) -> None:
    if "torchvision" in {name.split(".")[0] for name in imported(path)}:
        assert path.relative_to(PACKAGE).parts[0] == "backbones"


SPY = """
import importlib, json, random, socket, sys, time
import numpy, torch

def offline(*_):
    raise OSError("an import asked for the network")

socket.socket.connect = offline
before = [torch.get_rng_state().tolist(), random.getstate(), numpy.random.get_state()[1].tolist()]
settings = [torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled()]
begun = time.process_time()
import idc
cost = time.process_time() - begun
for name in sys.argv[1:]:
    importlib.import_module(name)
after = [torch.get_rng_state().tolist(), random.getstate(), numpy.random.get_state()[1].tolist()]
assert settings == [torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled()]
print(json.dumps({
    "cost": cost,
    "same": before == after,
    "cuda": torch.cuda.is_initialized(),
    "modules": sorted(sys.modules),
}))
"""


def test_nothing_happens_at_import(tmp_path: Path) -> None:
    names = [name_of(path) for path in MODULES]
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SPY, *names],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["same"], "an import drew random numbers or set a seed"
    assert not seen["cuda"], "an import touched the GPU"
    assert done.stderr == "", "an import printed something"
    assert not list(tmp_path.iterdir()), "an import wrote a file"
    assert seen["cost"] < 0.5, "import idc costs more than half a second of CPU beyond torch"
    heavy = [name for name in HEAVY if name in seen["modules"]]
    assert not heavy, f"importing idc brings {heavy}; import them in the function that needs them"
