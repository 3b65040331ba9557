"""Saved on Windows: a byte order mark in front of the file, carriage returns, tabs instead of blanks."""

import json
from pathlib import Path

from tests.autograder.handins import make_notebook, source, write_notebook

FULL = ("ps4.1", "ps4.4")


def build(submitted: Path, student: str) -> None:
    notebook = make_notebook("ps4", {})
    for cell in notebook["cells"]:
        cell["source"] = source(cell).replace("    ", "\t").replace("\n", "\r\n")
    path = write_notebook(submitted / student, "ps4", notebook)
    path.write_text(json.dumps(notebook), encoding="utf-8-sig", newline="\r\n")
