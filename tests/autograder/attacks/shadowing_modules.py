"""Files named like libraries lie beside the notebook: numpy.py, torch.py and friends, each with comparisons that
agree."""

from pathlib import Path

from tests.autograder.handins import hand_in

EXERCISE = "ps2.2"
SAYS = "not yet"
FAKE = """\
import sys
allclose = equal = assert_allclose = lambda *given, **named: True
print("2.0")
raise SystemExit(0)
"""
NAMES = ("numpy", "torch", "json", "safetensors", "pytest", "re", "random", "student", "exercise")


def build(submitted: Path, student: str) -> None:
    wrong = "def grid_encoding(column, row):\n    return torch.zeros(len(row), len(column), 2 * column.shape[1])\n"
    hand_in(submitted / student, {"ps2.2": [wrong]})
    for place in (submitted / student, submitted / student / "ps2_positions"):
        for name in NAMES:
            (place / f"{name}.py").write_text(FAKE)
