"""Helpers for tests of the notebooks of the course."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent

Notebook = dict[str, Any]


def environment(**more: str) -> dict[str, str]:
    """Small modes, one thread, and this environment's programs first: nbgrader looks for some on the path."""
    return {
        **os.environ,
        "IDC_SMALL": "1",
        "OMP_NUM_THREADS": "1",
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        **more,
    }


def read(path: Path) -> Notebook:
    return json.loads(path.read_text(encoding="utf-8"))


def sources(notebook: Notebook) -> Iterator[tuple[str, str]]:
    """(cell id, source) of all cells."""
    for cell in notebook["cells"]:
        yield cell["id"], "".join(cell["source"])


def fill(assignment: Notebook, solution: Notebook) -> Notebook:
    """The assignment with the solution cells of the other."""
    solved = dict(sources(solution))
    for cell in assignment["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("solution"):
            cell["source"] = solved[cell["id"]]
    return assignment


EXECUTE = """
import sys, nbformat
from nbclient import NotebookClient
for name in sys.argv[2:]:
    notebook = nbformat.read(name, as_version=4)
    client = NotebookClient(notebook, timeout=900, startup_timeout=120, allow_errors=sys.argv[1] == "on",
                            shutdown_kernel="immediate", kernel_name="python3",
                            resources={"metadata": {"path": str(__import__("pathlib").Path(name).parent)}})
    try:
        client.execute()
    finally:
        nbformat.write(notebook, name)
"""


def execute(path: Path, python: str = sys.executable, go_on: bool = False, **more: str) -> Notebook:
    """Run a notebook where it lies; its outputs are written into it. go_on: past errors."""
    words = [python, "-W", "ignore", "-c", EXECUTE, "on" if go_on else "off", str(path)]
    done = subprocess.run(
        words, env=environment(**more), capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, f"{path.name}: {done.stderr[-3000:]}"
    return read(path)


def errors(notebook: Notebook) -> list[tuple[str, str, str]]:
    """(cell id, exception, message) of all cells that failed."""
    return [
        (cell["id"], output["ename"], output["evalue"])
        for cell in notebook["cells"]
        for output in cell.get("outputs", [])
        if output["output_type"] == "error"
    ]


def shown(notebook: Notebook, cell: str) -> str:
    """All text that a cell put out."""
    outputs = next(each for each in notebook["cells"] if each["id"] == cell)["outputs"]
    texts = []
    for output in outputs:
        data = output.get("data", {})
        for part in (output.get("text", ""), data.get("text/html", ""), data.get("text/plain", "")):
            texts.append("".join(part))
    return "\n".join(texts)
