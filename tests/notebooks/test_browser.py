"""The course in a real JupyterLab in a real Chromium: a student clicks, reads, types and learns whether it is right."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.autograder.course import ROOT, TOKEN, jupyter_lab

WAIT = 90_000  # milliseconds
SHOTS = os.environ.get("IDC_SHOTS")  # a folder for screenshots, to look at
SOLUTION = "return (torch.logsumexp(similarity, dim=1) - similarity.diagonal()).mean()"

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a JupyterLab, as `make lab` starts it, over a copy of the course."""
    root = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "notebooks", root / "notebooks")
    shutil.copytree(ROOT / "assignments", root / "assignments")
    shutil.copy(ROOT / "nbgrader_config.py", root)
    with jupyter_lab(root) as address:
        yield address


@pytest.fixture
def page(browser: Any, lab: str) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1300, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(WAIT)
    yield page
    context.close()


def open_notebook(page: Any, lab: str, path: str) -> None:
    """Open a notebook in a workspace of its own and wait for its kernel."""
    page.goto(f"{lab}/lab/workspaces/{path.split('/')[-1][:3]}/tree/{path}?reset&token={TOKEN}")
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
    page.wait_for_selector("text=/Python 3.*\\| Idle/")  # in the status bar: the kernel is there


def run_all(page: Any) -> None:
    """Menu Run, entry Run All Cells; done when the kernel has been idle for a while."""
    page.click('.lm-MenuBar-itemLabel:text-is("Run")')
    page.click('.lm-Menu-itemLabel:text-is("Run All Cells")')
    page.wait_for_timeout(1000)
    assert not page.query_selector(".jp-Dialog"), page.inner_text(".jp-Dialog")
    prompts = page.locator(".jp-NotebookPanel .jp-InputArea-prompt")
    for _ in range(400):
        page.wait_for_timeout(500)
        texts = [text.strip() for text in prompts.all_inner_texts()]
        if any(text.strip("[]: ").isdigit() for text in texts) and "[*]:" not in texts:
            return
    pytest.fail("the cells did not come to an end")


def walk_through(page: Any, name: str) -> tuple[list[str], list[str], int]:
    """Scroll from top to bottom. Gives the alternative texts of the pictures, the errors, and how many pictures show."""
    texts: dict[str, bool] = {}
    errors: set[str] = set()
    cells = page.locator(".jp-NotebookPanel .jp-Cell").count()
    for number in range(cells):
        cell = page.locator(".jp-NotebookPanel .jp-Cell").nth(number)
        cell.scroll_into_view_if_needed()
        for image in cell.locator("img[src^=data]").all():
            texts[image.get_attribute("alt") or ""] = image.evaluate("each => each.naturalWidth > 50")
        errors |= {each.inner_text() for each in cell.locator('[data-mime-type*="error"]').all()}
        if SHOTS and number % 4 == 0:
            page.screenshot(path=str(Path(SHOTS) / f"{name}_{number:02d}.png"))
    return list(texts), sorted(errors), sum(texts.values())


def test_the_tour_runs_by_clicking(page: Any, lab: str) -> None:
    open_notebook(page, lab, "notebooks/00_tour.ipynb")
    page.wait_for_selector('.lm-MenuBar-itemLabel:text-is("Nbgrader")')
    run_all(page)
    alternatives, errors, visible = walk_through(page, "tour")
    assert errors == []
    assert len(alternatives) >= 4 and all(len(text) > 20 for text in alternatives)
    assert visible == len(alternatives)
    assert page.locator("mjx-container").count() > 0 or "$" not in page.inner_text(".jp-NotebookPanel")


def test_the_first_exercise_is_solved_by_typing(page: Any, lab: str) -> None:
    open_notebook(page, lab, "assignments/ps1_infonce/ps1_infonce.ipynb")
    run_all(page)
    stub = page.locator(".jp-CodeCell", has_text="def info_nce(similarity").first
    verdict = page.locator(".jp-CodeCell", has_text=re.compile(r'check\("ps1\.1"')).first
    verdict.scroll_into_view_if_needed()
    assert "ps1.1 is not attempted yet" in verdict.inner_text()
    assert page.locator("mjx-container").count() > 0, "formulas are typeset"
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / "ps1_stub.png"))

    stub.scroll_into_view_if_needed()
    stub.locator(".cm-line", has_text="raise NotImplementedError").click()
    page.keyboard.press("End")
    page.keyboard.press("Shift+Home")
    page.keyboard.type(SOLUTION.replace("dim=1", "dim=0"))
    run_here(page)
    wait_for(page, verdict, "the softmax runs over the wrong axis")
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / "ps1_wrong.png"))

    stub.scroll_into_view_if_needed()
    stub.locator(".cm-line", has_text="logsumexp").click()
    page.keyboard.press("End")
    page.keyboard.press("Shift+Home")
    page.keyboard.type(SOLUTION)
    run_here(page)
    wait_for(page, verdict, "ps1.1 InfoNCE: right")
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / "ps1_right.png"))


def run_here(page: Any) -> None:
    """Run the cell with the cursor and the check below it."""
    page.keyboard.press("Shift+Enter")
    page.keyboard.press("Shift+Enter")


def wait_for(page: Any, cell: Any, text: str) -> None:
    for _ in range(120):
        if text in cell.inner_text():
            return
        page.wait_for_timeout(250)
    pytest.fail(f"the check never said “{text}”, but: {cell.inner_text()}")
