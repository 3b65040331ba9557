"""The pages that students and instructors read, as files."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from datetime import timedelta
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import torch

from autograder.banks import bank
from autograder.checks import exercises
from autograder.checks.exercise import Exercise
from autograder.report import (
    class_page,
    feedback_page,
    file_names,
    of_class,
    policy,
    preview_page,
    write_reports,
)
from autograder.report.example import example, shape
from autograder.report.feedback import lent, next_step, told
from autograder.report.pages import TEMPLATES
from autograder.results import ExerciseResult, Outcome, StudentResult
from autograder.student import Answer, named
from tests.autograder.report.sample import DUE, SECRET, result, sample_class

TAGS = """html head meta title style body a header main footer nav section article figure h1 h2 h3 p ul ol li span strong
    bdi code pre details summary div svg rect text line desc table thead tbody tr th td"""
ATTRIBUTES = """lang charset http-equiv content name class id href dir role scope colspan rowspan tabindex open aria-hidden
    aria-label aria-labelledby viewbox preserveaspectratio width height rx x y x1 x2 y1 y2 text-anchor"""


class Reader(HTMLParser):
    """What a browser would find in a page."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.style = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attributes}))

    def handle_data(self, data: str) -> None:
        if self.lasttag == "style" and not self.style:
            self.style = data
        else:
            self.text += data

    def all(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.tags if name in attributes]


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports")
    results = sample_class()
    write_reports(results, folder, due=dict.fromkeys(("ps1", "ps2", "ps3"), DUE), late="slip_days=1,20")
    after = [each.model_copy(update={"exercises": {}}) for each in results]
    (folder / "preview.html").write_text(preview_page(results, after), encoding="utf-8")
    return folder


def pages(folder: Path) -> Iterator[tuple[Path, Reader]]:
    for file in sorted(folder.rglob("*.html")):
        yield file, Reader(file.read_text(encoding="utf-8"))


def test_every_student_has_a_page(reports: Path) -> None:
    names = file_names(each.student for each in sample_class())
    assert {file.stem for file in (reports / "feedback").iterdir()} == set(names.values())
    assert len(names) == 30


def test_the_same_results_give_the_same_files(reports: Path, tmp_path: Path) -> None:
    write_reports(
        sample_class()[::-1], tmp_path, due=dict.fromkeys(("ps3", "ps2", "ps1"), DUE), late="slip_days=1,20"
    )
    written = sorted(file.relative_to(tmp_path) for file in tmp_path.rglob("*") if file.is_file())
    assert len(written) == 33
    for name in written:
        assert (tmp_path / name).read_bytes() == (reports / name).read_bytes(), name


def test_students_never_see_what_only_instructors_may(reports: Path) -> None:
    """Names and messages of checks, expected values, flags and isolation."""
    for student in sample_class():
        page = (reports / "feedback" / f"{file_names([student.student])[student.student]}.html").read_text(
            encoding="utf-8"
        )
        assert SECRET not in page and "0.6931" not in page
        assert student.key not in page or not student.key
    assert SECRET in (reports / "class.html").read_text(encoding="utf-8")


def test_no_right_answer_is_on_a_page(reports: Path) -> None:
    numbers = {
        f"{value:.3f}"
        for each in exercises().values()
        for record in each.records()
        for tensor in record.right.outputs.values()
        if tensor.is_floating_point()
        for value in tensor.flatten().tolist()
        if round(value, 2) != value
    }
    assert len(numbers) > 500
    for file in (reports / "feedback").iterdir():
        text = Reader(file.read_text(encoding="utf-8")).text
        assert not numbers & set(re.findall(r"\d+\.\d{3}", text)), file


def test_only_known_marks_are_on_a_page(reports: Path) -> None:
    for file, page in pages(reports):
        assert {tag for tag, _ in page.tags} <= {*TAGS.split()}, file
        assert {name for _, attributes in page.tags for name in attributes} <= {*ATTRIBUTES.split()}, file
        for link in page.all("href"):
            assert re.fullmatch(r"(feedback/[^:]*\.html|grades\.csv|canvas\.csv)?(#[\w-]+)?", link), link
        control = [each for each in file.read_text(encoding="utf-8") if ord(each) < 32 and each not in "\n\t"]
        assert not control and not re.search("[\u202a-\u202e\u2066-\u2069\ufeff]", page.text), file
        assert file.stat().st_size < 300_000


def test_the_policy_allows_the_style_sheet_and_nothing_else(reports: Path) -> None:
    for file, page in pages(reports):
        (rule,) = [
            each["content"] for tag, each in page.tags if each.get("http-equiv") == "Content-Security-Policy"
        ]
        digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
        assert (
            rule == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
        ), file
        assert "url(" not in page.style and "@import" not in page.style
        place = [tag for tag, _ in page.tags].index
        assert place("meta") < place("style")


def test_links_lead_somewhere(reports: Path) -> None:
    found = dict(pages(reports))
    for file, page in found.items():
        for link in page.all("href"):
            name, _, place = unquote(link).partition("#")
            target = file.parent / name if name else file
            assert target.is_file(), link
            assert not place or place in found[target].all("id"), (file, link)


def test_pages_have_a_language_landmarks_and_headings_in_order(reports: Path) -> None:
    for file, page in pages(reports):
        tags = [tag for tag, _ in page.tags]
        assert page.tags[0] == ("html", {"lang": "en"})
        assert tags.count("main") == tags.count("h1") == tags.count("header") == 1, file
        levels = [int(tag[1]) for tag in tags if re.fullmatch(r"h\d", tag)]
        assert all(later - earlier <= 1 for earlier, later in pairwise(levels)), file
        ids = page.all("id")
        assert len(ids) == len(set(ids)), file
        assert set(" ".join(page.all("aria-labelledby")).split()) <= set(ids), file


def luminance(color: str) -> float:
    color = color if len(color) == 7 else "#" + "".join(each * 2 for each in color[1:])
    channels = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


@pytest.mark.parametrize("theme", [0, 1, 2])
def test_texts_stand_out(theme: int) -> None:
    """Light, dark and printed: at least 4.5 to 1 (WCAG 2.2, criterion 1.4.3) on every ground that a text stands on."""
    blocks = re.findall(r":root \{(.*?)\}", (TEMPLATES / "style.css").read_text(encoding="utf-8"), re.DOTALL)
    colors = dict(re.findall(r"--([\w-]+): (#[0-9a-f]+);", blocks[theme]))
    grounds = [name for name in colors if name in ("paper", "card", "code") or name.endswith("-wash")]
    assert len(grounds) == 7 and len(colors) == 14
    for ink in ("ink", "soft", "right", "wrong", "empty", "note"):
        for ground in grounds:
            light, dark = sorted((luminance(colors[ink]), luminance(colors[ground])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (theme, ink, ground)


def page_of(*given: ExerciseResult, **more: object) -> str:
    student = StudentResult.model_validate(
        {"student": "ann", "exercises": {each.id: each for each in given}, **more}
    )
    return feedback_page(student)


@pytest.mark.parametrize("each", exercises().values(), ids=lambda each: each.id)
def test_every_idea_is_taught(each: Exercise) -> None:
    """The message that a check gives comes apart into what was missed, why, and where to read."""
    for key, idea in each.ideas.items():
        verdict = each.missed(key, "values")
        given = result(each, Outcome.WRONG, verdict.message, key)
        parts = told(given)
        assert (parts.idea, parts.text, parts.read) == (idea.name, idea.text, idea.read)
        text = " ".join(Reader(page_of(given)).text.split())
        assert plain(idea.text) in text and plain(idea.name)[1:] in text
        assert f"“{idea.read}” in {each.set}_" in text
        assert plain(each.hints[0]) in text and plain(each.hints[1]) not in text


def test_what_the_page_says_anyway_is_left_out() -> None:
    """Messages as the checks and the grader give them."""
    each = exercises()["ps3.5"]
    for message, text in (
        (
            'ps3.5 is not attempted yet: `f` still raises NotImplementedError. hint("ps3.5") gives a first push.',
            "`f` still raises NotImplementedError.",
        ),
        ("ps3.5: there is no “CrossAttention” yet.", "There is no “CrossAttention” yet."),
        ("ps3.5 Cross-attention: could not be graded.", "Could not be graded."),
        ("ps3.5 Cross-attention: not yet. Your code stopped.", "Your code stopped."),
    ):
        assert told(result(each, Outcome.WRONG, message)).text == text


def plain(text: str) -> str:
    return " ".join(text.replace("`", "").split())


def test_outcomes_are_said_in_words() -> None:
    given = [result(each, outcome, "") for each, outcome in zip(exercises().values(), Outcome, strict=False)]
    text = " ".join(Reader(page_of(*given)).text.split())
    for words in ("1 right", "1 not yet", "1 not attempted", "1 stopped", "1 no answer", "1 not graded yet"):
        assert words in text
    for words in ("more time, memory or processes", "Something other than an answer", "failed here, not you"):
        assert words in text


def test_what_is_right_is_explained_and_needs_no_hint() -> None:
    each = exercises()["ps1.1"]
    text = " ".join(Reader(page_of(result(each, Outcome.RIGHT, "ps1.1 InfoNCE: right."))).text.split())
    assert plain(each.explanation) in text and "A hint" not in text and "Everything is right." in text


def test_pieces_that_stood_in_are_explained() -> None:
    assert lent(()) == ""
    assert "`attention` (ps3.1). Yours was missing or not right" in lent(["attention"])
    assert "`attention` (ps3.1) and `split_heads` (ps3.2). Yours were" in lent(["attention", "split_heads"])


def test_the_next_step() -> None:
    everything = exercises()

    def step(**outcomes: Outcome) -> str:
        return next_step({id: result(everything[id], outcome, "") for id, outcome in outcomes.items()})

    right, wrong, empty = Outcome.RIGHT, Outcome.WRONG, Outcome.NOT_ATTEMPTED
    assert next_step({}) == next_step({"ps1.1": result(everything["ps1.1"], right, "")}) == ""
    assert "ps2.1" in step(**{"ps1.1": empty, "ps2.1": wrong}), "what was tried first"
    assert "Go on with ps3.1" in step(**{"ps3.1": empty, "ps3.2": right, "ps3.3": wrong}), (
        "what it stands on first"
    )
    assert "ps3.3 builds on it" in step(**{"ps3.1": wrong, "ps3.3": empty})


def test_late_days_are_told(reports: Path) -> None:
    student = StudentResult(
        student="ann",
        exercises={"ps1.1": result(exercises()["ps1.1"], Outcome.RIGHT, "")},
        handed_in={"ps1": DUE + timedelta(hours=30)},
    )
    text = Reader(feedback_page(student, of_class([student], {"ps1": DUE}, policy("per_day=10")))).text
    assert "4.8 of 6 points" in " ".join(text.split()) and "2 days late: 1.2 points less." in text
    assert "Every begun day late costs 10 %" in text
    assert "late" not in Reader(feedback_page(student)).text


def test_one_problem_set_alone() -> None:
    student = next(each for each in sample_class() if each.student == "zoe")
    text = Reader(feedback_page(student, set="ps2")).text
    assert "of 10 points" in text and "Grid encoding" in text and "InfoNCE" not in text


def test_exercises_that_nobody_registered() -> None:
    """Problem set 6 is judged by other parts of the grader."""
    given = ExerciseResult(
        id="ps6.1",
        piece="training",
        outcome=Outcome.WRONG,
        points=2,
        out_of=4,
        message="The figure is missing.",
        idea="x",
    )
    text = Reader(page_of(given)).text
    assert (
        "Problem set 6" in text
        and "The figure is missing." in text
        and "2 of 4 points" in " ".join(text.split())
    )
    class_page(of_class([StudentResult(student="ann", exercises={"ps6.1": given})]))


def test_nothing_at_all() -> None:
    assert "0 hand-ins" in Reader(class_page(of_class([]))).text
    text = " ".join(Reader(page_of(error="no notebook was found")).text.split())
    assert "Nothing could be graded" in text and "no notebook was found" in text and "0 of 78 points" in text


@pytest.mark.parametrize("kind", ["none", "uid", "namespaces"])
def test_weak_isolation_is_loud(kind: str) -> None:
    results = [each.model_copy(update={"isolation": kind}) for each in sample_class()[:3]]
    text = Reader(class_page(of_class([*results, *sample_class()[3:]]))).text
    assert ("GRADED WITHOUT FULL ISOLATION" in text) == (kind != "namespaces")
    assert f"(“{kind}”): 3 hand-ins." in text or kind == "namespaces"


def test_the_class_page_shows_who_and_what_to_look_at(reports: Path) -> None:
    page = Reader((reports / "class.html").read_text(encoding="utf-8"))
    text = " ".join(page.text.split())
    assert "30 hand-ins" in text and "n = 30" in text
    for words in (
        "a frame that no answer has",
        "the grader failed: grade it again",
        "submitted.zip is no archive",
    ):
        assert words in text
    assert "slip day" in text and "handed in late" in text and "time of hand-in is not known" in text
    assert "two standard errors" in text and "±" in text
    assert page.all("href").count("feedback/zoe.html#ps5-4") == 1


@pytest.mark.parametrize("each", exercises().values(), ids=lambda each: each.id)
def test_the_lines_to_try_run(each: Exercise) -> None:
    """With the reference they give what the page says, in shape."""
    found = example(each.id)
    assert found is not None
    space = {"torch": torch, each.piece: bank(each.id).right}
    *before, last = found.code.splitlines()
    for line in before:
        exec(line, space)
    exec(f"answer = {last}", space)
    given = each.arranged(Answer(named(space["answer"])))
    assert shape(Answer(given)) == found.shape
    assert not found.by_hand or len(re.findall(r"\d+\.\d", found.code)) <= 30
