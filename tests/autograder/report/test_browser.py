"""The pages in a real headless Chromium: nothing runs, nothing is fetched, and everything can be read on a phone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from autograder.report import preview_page, write_reports
from autograder.report.text import file_of
from tests.autograder.report.sample import DUE, ODD_NAMES, sample_class

SHOTS = os.environ.get("IDC_SHOTS")  # a folder for screenshots, to look at
SIZES = {"desk": {"width": 1280, "height": 900}, "phone": {"width": 375, "height": 740}}
# Text that is cut at the edge of the window, apart from what scrolls in a box of its own.
CUT = """() => [...document.querySelectorAll('body *')]
    .filter(each => !each.closest('.scroll, .hidden, .skip, svg'))
    .filter(each => each.getBoundingClientRect().right > innerWidth + 3)
    .map(each => each.tagName + ' ' + each.textContent.slice(0, 80))"""
# The smallest letters of a page, in pixels.
SMALLEST = """() => Math.min(...[...document.querySelectorAll('body *')]
    .filter(each => !each.closest('svg') && [...each.childNodes].some(one => one.nodeType === 3 && one.data.trim()))
    .map(each => parseFloat(getComputedStyle(each).fontSize)))"""

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports")
    results = [
        each.model_copy(update={"isolation": "uid"}) if each.student == "ada" else each
        for each in sample_class()
    ]
    write_reports(results, folder, due=dict.fromkeys(("ps1", "ps2"), DUE), late="slip_days=1,20")
    after = [each.model_copy(update={"exercises": {}}) for each in results]
    (folder / "preview.html").write_text(preview_page(results, after), encoding="utf-8")
    return folder


@pytest.mark.parametrize("size", SIZES)
def test_hostile_pages_are_dead_and_legible(browser: Any, reports: Path, size: str) -> None:
    context = browser.new_context(viewport=SIZES[size], color_scheme="dark" if size == "phone" else "light")
    page = context.new_page()
    heard: list[str] = []
    page.on("dialog", lambda dialog: (heard.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on("console", lambda message: heard.append(f"console {message.text}"))
    page.on("pageerror", lambda error: heard.append(f"error {error}"))
    page.on("request", lambda request: heard.append(f"request {request.url}"))
    students = [
        reports / "feedback" / f"{file_of(name)}.html" for name in ("ada", "emil", "zoe", "oskar", *ODD_NAMES)
    ]
    for file in (*students, reports / "class.html", reports / "preview.html"):
        heard.clear()
        page.goto(file.as_uri())
        title = page.title()
        page.mouse.move(100, 100)
        page.mouse.wheel(0, 2000)
        page.mouse.move(200, 400)
        assert heard == [f"request {file.as_uri()}"], file.name
        assert page.title() == title and (
            "Feedback for" in title or title in ("Class report", "Regrade preview")
        )
        assert page.locator("h1").is_visible() and page.locator("main").is_visible()
        assert (
            page.locator("script, img, iframe, form, input, object, embed, base, [style], [onload]").count()
            == 0
        )
        assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"], file.name
        assert page.evaluate(CUT) == [], file.name
        assert page.evaluate(SMALLEST) >= 11, file.name
        if SHOTS and file.stem in ("class", "preview", "zoe", "oskar", "emil"):
            page.screenshot(path=str(Path(SHOTS) / f"report_{file.stem}_{size}.png"), full_page=True)
    context.close()


def test_the_policy_stops_what_would_run(browser: Any, reports: Path, tmp_path: Path) -> None:
    """Were a text not escaped one day, the browser would still refuse it."""
    page = (reports / "feedback" / "zoe.html").read_text(encoding="utf-8")
    evil = (
        "<script>document.title = 'gone'</script><img src=x onerror=\"document.title = 'gone'\">"
        "<img src='http://127.0.0.1:9/x.png'><h1 id=own style='color: red'>x</h1>"
    )
    (tmp_path / "evil.html").write_text(page.replace("</main>", f"{evil}</main>"), encoding="utf-8")
    tab = browser.new_page()
    refused: list[str] = []
    left: list[str] = []
    tab.on("console", lambda message: refused.append(message.text))
    tab.on("requestfinished", lambda request: left.append(request.url))
    tab.goto((tmp_path / "evil.html").as_uri())
    assert tab.title() == "Feedback for zoe"
    assert tab.locator("#own").evaluate("each => getComputedStyle(each).color") != "rgb(255, 0, 0)"
    assert len(refused) >= 4 and all("Content Security Policy" in each for each in refused)
    assert left == [(tmp_path / "evil.html").as_uri()]
    tab.close()


def test_a_page_can_be_used_with_the_keyboard_and_printed(browser: Any, reports: Path) -> None:
    tab = browser.new_page(viewport=SIZES["desk"])
    tab.goto((reports / "feedback" / "zoe.html").as_uri())
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Skip to the results"
    assert tab.locator(".skip").bounding_box()["x"] >= 0
    summary = tab.locator("summary").first
    summary.focus()
    tab.keyboard.press("Enter")
    assert tab.locator("details p").first.is_visible()
    tab.emulate_media(media="print")
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not tab.locator("nav").first.is_visible()
    assert all(
        each.evaluate("each => each.getBoundingClientRect().height") > 10
        for each in tab.locator("details p").all()
    )
    assert len(tab.pdf()) > 10_000
    tab.close()
