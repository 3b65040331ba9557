"""Every cell bears the id of the check, and there are a hundred of them; other graders give up the whole class
over one."""

from copy import deepcopy
from pathlib import Path

from tests.autograder.handins import make_notebook, write_notebook, wrong

EXERCISE = "ps1.2"
SAYS = "not yet"


def build(submitted: Path, student: str) -> None:
    notebook = make_notebook("ps1", wrong("ps1.2"))
    notebook["cells"] += [deepcopy(cell) for cell in notebook["cells"][-1:] * 100]
    for cell in notebook["cells"]:
        cell["id"] = "ps1-2-check"
        if "nbgrader" in cell["metadata"]:
            cell["metadata"]["nbgrader"]["grade_id"] = "ps1-2-check"
    write_notebook(submitted / student, "ps1", notebook)
