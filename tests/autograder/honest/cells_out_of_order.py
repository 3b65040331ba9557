"""Cells were run in another order than they stand in: helpers below, imports last, numbers of runs mixed up."""

from typing import Any

from tests.autograder.handins import code_cell

ANSWERS = {
    "ps1.1": ["def info_nce(similarity):\n    return (lse(similarity) - similarity.diagonal()).mean()\n"],
    "ps1.2": [
        """\
def info_nce_gradient(similarity):
    size = len(similarity)
    return (soft(similarity) - one(size).to(similarity.dtype)) / size
""",
    ],
}
LATE = (
    "def soft(x):\n    return fun.softmax(x, dim=1)\n",
    "lse = lambda x: th.logsumexp(x, 1)\n\n\ndef one(size):\n    return th.eye(size, dtype=KIND)\n",
    "import torch as th\nimport torch.nn.functional as fun\n\nKIND = th.float32\n",
)


def edit(notebook: dict[str, Any]) -> dict[str, Any]:
    given, *answers = notebook["cells"]
    cells = [*answers, *(code_cell(text, f"late-{number}") for number, text in enumerate(LATE)), given]
    for number, cell in enumerate(cells):
        cell["execution_count"] = 97 - 7 * number
    return notebook | {"cells": cells}
