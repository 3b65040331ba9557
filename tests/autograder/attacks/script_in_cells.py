"""Outputs, markdown, attachments and metadata of the notebook carry markup that runs where it is shown."""

from pathlib import Path

from tests.autograder.handins import make_notebook, write_notebook

EXERCISE = "ps5.1"
SAYS = "not yet"
SCRIPT = "<script>alert('idc-script')</script><iframe src=javascript:alert(1)></iframe>"


def build(submitted: Path, student: str) -> None:
    wrong = f"def sentence_vector(words, word_mask, mean='{SCRIPT.replace(chr(39), chr(34))}'):\n    return words.sum(1)\n"
    notebook = make_notebook("ps5", {"ps5.1": [wrong]})
    for cell in notebook["cells"]:
        html = {
            "output_type": "display_data",
            "metadata": {},
            "data": {"text/html": [SCRIPT], "image/svg+xml": [SCRIPT]},
        }
        cell["outputs"] = [html]
        cell["metadata"]["name"] = SCRIPT
    text = {
        "cell_type": "markdown",
        "id": "x",
        "metadata": {},
        "source": [SCRIPT, "[x](javascript:alert(1))"],
    }
    notebook["cells"].append(text | {"attachments": {SCRIPT: {"text/html": SCRIPT}}})
    notebook["metadata"]["title"] = SCRIPT
    write_notebook(submitted / student, "ps5", notebook)
