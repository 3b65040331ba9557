"""The cells of answer and check were copied: first drafts stay above, ids come twice, the last one is right."""

from copy import deepcopy
from typing import Any

from tests.autograder.handins import source

FULL = ("ps1.1", "ps1.2")


def edit(notebook: dict[str, Any]) -> dict[str, Any]:
    cells = []
    for cell in notebook["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("solution"):
            draft = deepcopy(cell)
            draft["source"] = (
                source(cell).replace("similarity.softmax(dim=1)", "similarity").replace("mean()", "sum()")
            )
            cells += [draft, cell]
        else:
            cells += [cell, deepcopy(cell)]
    return notebook | {"cells": cells}
