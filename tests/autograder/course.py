"""Helpers for tests of the notebooks of the course."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from filelock import FileLock
from nbclient import NotebookClient
from nbclient.output_widget import OutputWidget

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
TOKEN = "course"  # of every JupyterLab here

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


class Quiet(OutputWidget):
    """An output widget that does not report back.

    nbclient sends what a widget shows back to the kernel through the channel on which it waits for the cell to end; it
    then may miss that end, and wait until the cell's time is over (jupyter/nbclient issue 312).
    """

    def sync_state(self) -> None:
        pass


def execute(path: Path, python: str = sys.executable, go_on: bool = False, **more: str) -> Any:
    """Run a notebook where it lies, with a Python that has a kernel. Its outputs are written into it. go_on: past errors."""
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    client = NotebookClient(
        notebook,
        timeout=900,
        startup_timeout=120,
        kernel_name="python3",
        shutdown_kernel="immediate",
        allow_errors=go_on,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.widget_registry = {"@jupyter-widgets/output": {"OutputModel": Quiet}}
    kernel = client.create_kernel_manager().kernel_spec
    assert kernel is not None
    kernel.argv[0] = python
    try:
        # A progress bar without widgets writes to stderr.
        client.execute(env=environment(TQDM_DISABLE="1", **more))
    finally:
        nbformat.write(notebook, path)
    return notebook


# nbgrader's commands one after the other in one process: it takes seconds to start.
COMMANDS = """
import contextlib, shlex, sys
from jupyter_core.application import NoStart
from nbgrader.apps.nbgraderapp import NbGraderApp
for line in sys.argv[1:]:
    app = NbGraderApp()
    app.initialize(shlex.split(line))
    with contextlib.suppress(NoStart):
        app.start()
    app.subapp.clear_instance()
"""


def nbgrader(course: Path, *commands: str) -> str:
    """What nbgrader says in a course's folder."""
    words = [sys.executable, "-W", "ignore", "-c", COMMANDS, *commands]
    done = subprocess.run(
        words, cwd=course, env=environment(), capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


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


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that is filled once in a run of tests: by the first process that needs it, while the others wait."""
    several = "PYTEST_XDIST_WORKER" in os.environ
    root = factory.getbasetemp().parent if several else factory.getbasetemp()
    folder, done = root / name, root / f"{name}.done"
    with FileLock(root / f"{name}.lock"):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


@contextlib.contextmanager
def jupyter_lab(folder: Path) -> Iterator[str]:
    """The address of a JupyterLab in a folder, as `make lab` starts it for somebody who never used it before."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["lab", "--no-browser", "--allow-root", f"--port={port}", f"--IdentityProvider.token={TOKEN}"]
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyter", *words],
            cwd=folder,
            env=environment(JUPYTER_CONFIG_PATH=str(ROOT / "configs" / "jupyter"), HOME=home),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            for _ in range(240):
                with (
                    contextlib.suppress(OSError),
                    urllib.request.urlopen(f"{address}/api?token={TOKEN}", timeout=5),
                ):
                    break
                time.sleep(0.5)
            else:
                pytest.fail("JupyterLab did not start within two minutes")
            yield address
        finally:
            server.terminate()
            server.wait(30)
