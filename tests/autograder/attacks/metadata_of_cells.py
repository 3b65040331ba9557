"""The notebook's metadata are edited: cells without grade, six hundred points, checks that are answers, nothing
locked."""

from pathlib import Path

from tests.autograder.handins import make_notebook, write_notebook, wrong

EXERCISE = "ps1.1"
SAYS = "not yet"


def build(submitted: Path, student: str) -> None:
    notebook = make_notebook("ps1", wrong("ps1.1"))
    for cell in notebook["cells"]:
        marks = cell["metadata"].get("nbgrader")
        if marks and marks["grade"]:
            marks.update(
                points=600, grade=False, solution=True, locked=False, schema_version=99, cell_type="markdown"
            )
        elif marks:
            marks.update(points=600, grade=True, task=True, checksum="0" * 32)
    notebook["metadata"]["autograder"] = {"points": {"ps1.1": 6}, "outcome": "right", "score": 6}
    notebook["metadata"]["kernelspec"] = {"name": "../../../bin/sh", "display_name": "x", "language": "sh"}
    write_notebook(submitted / student, "ps1", notebook)
