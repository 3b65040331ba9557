"""Somebody pressed a key too many: cells of answers became raw and markdown, those of checks too."""

from typing import Any

from tests.autograder.handins import source

FULL = ("ps1.1", "ps1.2")


def edit(notebook: dict[str, Any]) -> dict[str, Any]:
    kinds = iter(("raw", "markdown") * 9)
    for cell in notebook["cells"]:
        if source(cell).startswith(("def ", "check(")):
            cell["cell_type"] = next(kinds)
            del cell["outputs"], cell["execution_count"]
    return notebook
