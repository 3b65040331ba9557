"""Every walkthrough has the form that readers rely on, and what is wrong with what one shows is found."""

from __future__ import annotations

import copy
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_output

from tests.autograder.course import ROOT, execute

FOLDER = ROOT / "notebooks"
WALKTHROUGHS = sorted(FOLDER.glob("*.ipynb"))
WIDGETS = "application/vnd.jupyter.widget-state+json"
INSTALL = """
# On Colab this installs the kit; elsewhere it does nothing.
import sys
if "google.colab" in sys.modules:
    %pip install --quiet git+https://github.com/OWNER/image-change-captioning
"""
COLAB = "https://colab.research.google.com/github/OWNER/image-change-captioning/blob/main/"
WITHOUT_TEXT = 2  # as many code cells may follow one another without a word between them


def lines(source: str) -> list[str]:
    return [line for line in source.splitlines() if line.strip()]


def faults_of_form(notebook: Any, path: str) -> list[str]:
    """What is wrong with a notebook as it is stored; path: where it lies below the repository's root."""
    cells, found = notebook.cells, []
    first = cells[0].source
    if cells[0].cell_type != "markdown" or not first.startswith("# "):
        found.append("the first cell is no title")
    if not re.search(r"about \d+ s on two cores", first, re.IGNORECASE):
        found.append("the first cell does not say “about N s on two cores”")
    if f"({COLAB}{path})" not in first:
        found.append("the first cell has no Colab badge of this notebook")
    if cells[1].cell_type != "code" or lines(cells[1].source) != lines(INSTALL):
        found.append("the second cell is not the one that installs the kit on Colab")
    names = [cell["id"] for cell in cells]
    if len(set(names)) != len(names):
        found.append("two cells have the same id")
    found += [
        f"the id “{name}” tells nothing"
        for name in names
        if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)+", name) or re.fullmatch(r"[0-9a-f-]{36}", name)
    ]
    silent = 0
    for cell in cells:
        silent = silent + 1 if cell.cell_type == "code" else 0
        if silent > WITHOUT_TEXT:
            found.append(f"{cell['id']}: {silent} code cells in a row without text")
        if cell.cell_type == "code" and (cell.outputs or cell.execution_count is not None):
            found.append(f"{cell['id']}: outputs are stored")
    return found


class Images(HTMLParser):
    """Collects the attributes of every <img>."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.found.append(dict(attrs))


def outputs_of(notebook: Any) -> Iterator[tuple[str, Any]]:
    """Every output with the id of its cell, and what widgets show."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            yield cell["id"], output
    for model in notebook.metadata.get("widgets", {}).get(WIDGETS, {}).get("state", {}).values():
        for output in model["state"].get("outputs", []):
            yield "a widget", output
        if isinstance(text := model["state"].get("value"), str):
            yield "a widget", new_output("display_data", {"text/html": text})


def faults_of_outputs(notebook: Any) -> list[str]:
    """What is wrong with what an executed notebook shows."""
    found = []
    for place, output in outputs_of(notebook):
        if output["output_type"] == "error":
            found.append(f"{place}: {output['ename']}: {output['evalue']}")
        elif output["output_type"] == "stream":
            if output["name"] == "stderr":
                found.append(f"{place}: stderr: {output['text'][:300]}")
        else:
            images = Images()
            images.feed("".join(output["data"].get("text/html", "")))
            if any(not (image.get("alt") or "").strip() for image in images.found):
                found.append(f"{place}: an image without alternative text")
            if {"image/png", "image/jpeg", "image/svg+xml"} & set(output["data"]):
                found.append(f"{place}: a bare image, which has no alternative text")
    return found


def test_the_walkthroughs_are_there() -> None:
    assert {"00_tour", "01_the_world", "02_data_and_features"} <= {path.stem for path in WALKTHROUGHS}


@pytest.mark.parametrize("path", WALKTHROUGHS, ids=lambda path: path.stem)
def test_a_walkthrough_has_the_form(path: Path) -> None:
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    nbformat.validate(notebook)
    assert not faults_of_form(notebook, path.relative_to(ROOT).as_posix())


def test_the_one_about_the_model_runs_with_the_librarys_own_pieces(tmp_path: Path) -> None:
    """The tour does in test_browser.py. All run with a student's pieces in tests/autograder/test_release.py."""
    path = Path(shutil.copy(FOLDER / "03_the_whole_model.ipynb", tmp_path))
    assert not faults_of_outputs(execute(path, PYTHONPATH=str(ROOT)))


def test_faults_of_form_are_found() -> None:
    path = FOLDER / "00_tour.ipynb"
    good = nbformat.read(path, as_version=4)
    bad = copy.deepcopy(good)
    bad.cells[0].source = "A tour"
    bad.cells[1].source = "import idc"
    bad.cells[2]["id"] = bad.cells[4]["id"]
    bad.cells[5]["id"] = "0b9e8d4c"
    bad.cells += [new_code_cell("1", id="three-codes", execution_count=1)] * 3
    found = "\n".join(faults_of_form(bad, "notebooks/00_tour.ipynb"))
    for fault in (
        "no title",
        "two cores",
        "badge",
        "installs",
        "same id",
        "tells nothing",
        "in a row",
        "stored",
    ):
        assert fault in found


def test_faults_of_outputs_are_found(tmp_path: Path) -> None:
    notebook = nbformat.v4.new_notebook(
        cells=[
            new_code_cell("import sys\nprint('oh', file=sys.stderr)"),
            new_code_cell("from IPython.display import HTML, Image, display\ndisplay(HTML('<img src=a>'))"),
            new_code_cell("display(Image(bytes(8), format='png'))"),
            new_code_cell("import ipywidgets\nipywidgets.HTML('<img src=b alt=\" \">')"),
            new_code_cell("ipywidgets.interact(lambda x: 1 / x, x=0);"),
        ]
    )
    nbformat.write(notebook, tmp_path / "faults.ipynb")
    found = faults_of_outputs(execute(tmp_path / "faults.ipynb"))
    for fault in ("stderr: oh", "a widget: an image without", "a bare image", "ZeroDivisionError"):
        assert any(fault in line for line in found), found
    assert sum("image without" in line for line in found) == 2
