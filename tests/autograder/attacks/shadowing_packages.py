"""Whole packages are handed in under the names of the course: autograder/, idc/, tests/, with right verdicts inside."""

from pathlib import Path

from tests.autograder.handins import hand_in, solution

EXERCISE = "ps3.2"
OUTCOMES = {"wrong", "not attempted"}
SAYS = ()
OWN = """\
from idc.pieces.attention import split_heads as given


def split_heads(x, heads):
    return given(x, heads) + 1
"""
FILES = {
    "autograder/__init__.py": "check = lambda *given: 3.0\n",
    "autograder/__main__.py": "print('all right')\n",
    "autograder/worker.py": "import os\nos._exit(0)\n",
    "autograder/student.py": "Local = use = differs = lambda *given: True\n",
    "autograder/checks/__init__.py": "exercises = dict\n",
    "autograder/checks/exercise.py": "close = lambda *given: True\n",
    "idc/__init__.py": "",
    "idc/pieces/__init__.py": "import torch\n",
    "idc/pieces/attention.py": "import torch\n",
    "tests/__init__.py": "",
}


def build(submitted: Path, student: str) -> None:
    hand_in(submitted / student, {"ps3.2": [OWN]})
    for name, text in FILES.items():
        for place in (submitted / student, submitted / student / "ps3_attention"):
            file = place / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text + solution("ps3.2").replace("split_heads", "given"))
