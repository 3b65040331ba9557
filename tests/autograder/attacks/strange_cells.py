"""Cells of types that no notebook has: sources that are numbers, lists of lists, missing types, cells that are text."""

from pathlib import Path

from tests.autograder.handins import make_notebook, write_notebook, wrong

EXERCISE = "ps1.2"
SAYS = "not yet"


def build(submitted: Path, student: str) -> None:
    notebook = make_notebook("ps1", wrong("ps1.2"))
    notebook["cells"] += [
        {},
        "info_nce_gradient",
        None,
        7,
        [],
        {"cell_type": "code"},
        {"cell_type": "code", "source": 3},
        {"cell_type": "code", "source": [["def f(): pass"], None, 4]},
        {"cell_type": "code", "source": None, "metadata": None, "outputs": 5},
        {"cell_type": ["code"], "source": "x = 1", "metadata": {"nbgrader": [1]}},
        {
            "cell_type": "code",
            "source": "x = 1",
            "metadata": {"nbgrader": {"grade_id": {"a": 1}, "solution": True}},
            "id": 9,
        },
        {"cell_type": "code", "source": "\ud800 = 1\n", "id": "\udfff"},
        {"cell_type": "code", "source": "x = 1\0", "id": None},
    ]
    path = write_notebook(submitted / student, "ps1", {"cells": []})
    path.write_text(__import__("json").dumps(notebook))
