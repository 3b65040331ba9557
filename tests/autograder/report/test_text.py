"""Texts that others wrote."""

from __future__ import annotations

import csv
import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograder.report.tables import written
from autograder.report.text import defused, few, file_names, legible, line, marked, number
from tests.autograder.report.sample import HOSTILE

ANYTHING = st.text(st.characters(exclude_categories=()), max_size=60)


@given(ANYTHING)
def test_nothing_invisible_is_left(text: str) -> None:
    shown = legible(text)
    shown.encode("utf-8")
    assert all(
        unicodedata.category(each) not in ("Cc", "Cf", "Cs") or each in "\n\t\u00ad\u200c\u200d"
        for each in shown
    )


@given(ANYTHING)
def test_what_is_marked_is_escaped(text: str) -> None:
    plain = str(marked(text)).replace("<code>", "").replace("</code>", "")
    assert not set(plain) & set("<>\"'")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("a\0b\x07", "a‹U+0000›b‹U+0007›"),
        ("\u202eevil", "‹U+202E›evil"),
        ("\ud800", "\ufffd"),
        ("mother\u200din\u200dlaw, Grüße, 你好, שלום", "mother\u200din\u200dlaw, Grüße, 你好, שלום"),
        ("two\r\nlines", "two\nlines"),
    ],
)
def test_special_characters(text: str, shown: str) -> None:
    assert legible(text) == shown


def test_towers_of_accents_are_cut() -> None:
    assert len(legible("Z" + "\u0301\u0327\u0316" * 50 + "algo")) == 8
    assert legible("n\u0303") == "n\u0303"


def test_a_megabyte_keeps_head_and_tail() -> None:
    shown = legible("begin " + "x" * 1_000_000 + " end", 100)
    assert len(shown) < 140 and shown.startswith("begin") and shown.endswith(" end")
    assert "(999910 more letters)" in shown


def test_many_notes_have_an_end() -> None:
    assert few(map(str, range(1000)))[-1] == "… and 960 more."
    assert few(["one"]) == ["one"]


def test_one_line() -> None:
    assert line(" a\n\tb ") == "a b"


@pytest.mark.parametrize(
    "value, shown", [(0, "0"), (2.0, "2"), (2.5, "2.5"), (1 / 3, "0.33"), (-1, "−1"), (-0.001, "0")]
)
def test_numbers(value: float, shown: str) -> None:
    assert number(value) == shown


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+cmd", "-2+3", "@SUM(A1)", " =1", "\t=1", "\n=1", '"=1', "＝1", "x;=1", "x,+cmd", "a|@b", "--"],
)
def test_formulas_are_defused(text: str) -> None:
    after = defused(text)
    assert "'" in after and after.replace("'", "") == text.replace("'", "")
    for cell in after.replace(",", ";").replace("|", ";").split(";"):
        assert not cell.strip().strip('"').startswith(tuple("=+-@＝"))


@pytest.mark.parametrize(
    "text", ["", "-", "-1.5", "+3", "12,5", "Anna-Lena", "a@b.org", "x = 3", "O'Neill", "90%"]
)
def test_what_is_no_formula_stays(text: str) -> None:
    assert defused(text) == text


@given(st.lists(ANYTHING.filter(lambda text: "\r" not in text), min_size=2, max_size=4))
def test_a_table_can_be_read_again(cells: list[str]) -> None:
    text = written([cells])
    text.encode("utf-8")
    assert next(csv.reader(io.StringIO(text, newline=""))) == [defused(cell) for cell in cells]


def test_every_student_has_a_file_of_their_own() -> None:
    students = [
        "ann",
        "Ann",
        "zo\u00eb",
        "zoe\u0308",
        "nguyễn",
        "a/b",
        "a_b",
        "../x",
        "",
        ".",
        "CON ",
        "李雷",
        "李雪",
        "\ud800",
        "x" * 500,
        *HOSTILE,
    ]
    names = file_names(students)
    assert len({unicodedata.normalize("NFD", name).casefold() for name in names.values()}) == len(students)
    assert all(
        "/" not in name and not name.startswith(".") and 0 < len(name.encode()) < 200
        for name in names.values()
    )
    for plain in ("ann-lee@uni.edu", "nguyễn", "李雷"):
        assert names.get(plain, plain) == plain == file_names([plain])[plain]
