"""The check's cell is edited: a number instead of a question, with the output that it would have had."""

from pathlib import Path

from tests.autograder.handins import make_notebook, source, write_notebook

EXERCISE = "ps2.1"
SAYS = "not yet"


def build(submitted: Path, student: str) -> None:
    wrong = "def sinusoidal_encoding(length, dim):\n    return torch.zeros(length, dim)\n"
    notebook = make_notebook("ps2", {"ps2.1": [wrong]})
    for cell in notebook["cells"]:
        if source(cell).startswith("check("):
            cell["source"] = ["5.0"]
            data = {"text/plain": ["5.0"], "text/html": ["ps2.1: right."]}
            cell["outputs"] = [
                {"output_type": "execute_result", "execution_count": 1, "metadata": {}, "data": data}
            ]
    write_notebook(submitted / student, "ps2", notebook)
