"""The stored outputs of a notebook hold fifty megabytes in one line; nobody needs them for a mark."""

from pathlib import Path

from tests.autograder.handins import make_notebook, write_notebook, wrong

EXERCISE = "ps1.1"
OUTCOMES = {"wrong", "not attempted"}
KEEPS = ()
SAYS = ()


def build(submitted: Path, student: str) -> None:
    notebook = make_notebook("ps1", wrong("ps1.1"))
    notebook["cells"][0]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["x" * 5 * 10**7]}]
    write_notebook(submitted / student, "ps1", notebook)
