"""Texts that others wrote, made fit to be shown: what is invisible becomes visible, what is endless gets an end."""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timezone

from markupsafe import Markup, escape

LONG = 4000  # letters of a message that are shown
SHORT = 200  # of a name or a place
MANY = 40  # notes that are shown
ANSI = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[@-Z\\-_])")
ACCENT = r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
STACKED = re.compile(rf"({ACCENT}{{3}}){ACCENT}+")
JOINERS = "\u00ad\u200c\u200d"  # invisible, and part of ordinary words
FORMULA = re.compile(r"((?:^|[;,\t\r\n|])[\s'\"]*)(?=[=+\-@＝＋－＠\t\r])")
NUMBER = re.compile(r"[+-]?\d*[.,]?\d+%?|-")


def legible(text: str, longest: int = LONG) -> str:
    """The text as it may stand on a page, yet to be escaped.

    Colour codes of terminals go. Other control characters, and what turns the direction of writing or takes no room, become
    their number (‹U+202E›). Towers of accents are cut to three, long texts to head and tail.
    """
    if len(text) > longest:
        half = longest // 2
        text = f"{text[:half]} … ({len(text) - 2 * half} more letters) … {text[-half:]}"
    text = ANSI.sub("", text.replace("\r\n", "\n"))
    return STACKED.sub(r"\1", "".join(map(visible, text)))


def visible(letter: str) -> str:
    """One character, or what stands for it."""
    kind = unicodedata.category(letter)
    if letter in "\n\t" or letter in JOINERS or kind not in ("Cc", "Cf", "Cs", "Cn", "Zl", "Zp"):
        return letter
    return "\ufffd" if kind == "Cs" else f"‹U+{ord(letter):04X}›"


def line(text: str, longest: int = SHORT) -> str:
    """A legible text on one line."""
    return " ".join(legible(text, longest).split())


def marked(text: str, longest: int = LONG) -> Markup:
    """A legible text as HTML: escaped, with `code` marked and its lines kept."""
    parts = re.split(r"`([^`\n]+)`", legible(text, longest))
    pieces = [
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part)
        for place, part in enumerate(parts)
    ]
    return Markup("").join(pieces)


def few(texts: Iterable[str], longest: int = 600) -> list[str]:
    """The first of many texts, with a word about those left out."""
    known = list(texts)
    left = len(known) - MANY
    shown = [legible(each, longest) for each in known[:MANY]]
    return [*shown, f"… and {left} more."] if left > 0 else shown


def number(value: float) -> str:
    """A number of points: two decimals at most, and none where there are none."""
    if not math.isfinite(value):
        return "–"
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text.replace("-", "−")


def plural(count: float, noun: str) -> str:
    """“1 point”, “2 points”."""
    return f"{number(count)} {noun}{'' if count == 1 else 's'}"


def moment(time: datetime) -> str:
    """A time with its zone, to the minute; without a zone it is taken as UTC."""
    time = aware(time)
    zone = time.tzname() or ""
    return f"{time:%Y-%m-%d %H:%M} {zone}".rstrip()


def aware(time: datetime) -> datetime:
    """The time with a zone: UTC, as in nbgrader's gradebook, where it has none."""
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)


def defused(text: str) -> str:
    """A cell of a table that no spreadsheet takes for a formula.

    Spreadsheets calculate what begins with = + - or @ (or their wide forms), also after spaces; and a comma or semicolon
    within a cell may begin another cell where the table is read with other habits. An apostrophe in front makes it text;
    spreadsheets do not show it, other programs see it. Plain numbers stay as they are.
    """
    if NUMBER.fullmatch(text):
        return text
    clean = "".join("\ufffd" if unicodedata.category(each) == "Cs" else each for each in text).replace(
        "\0", "␀"
    )
    return FORMULA.sub(r"\1'", clean)


def file_names(students: Iterable[str]) -> dict[str, str]:
    """The name of every student's file, without its ending; no two are the same, not even where A and a are one letter."""
    names = {student: file_of(student) for student in students}
    many = Counter(folded(name) for name in names.values())
    return {
        student: name if many[folded(name)] == 1 else f"{name}~{short_hash(student)}"
        for student, name in names.items()
    }


def file_of(student: str) -> str:
    """The name of a student's file: the id itself where it is plain, else what is readable of it and a number."""
    if re.fullmatch(r"\w[\w.@+-]*", student) and not student.endswith(".") and len(student.encode()) <= 150:
        return student
    plain = re.sub(r"[^\w@+-]+", "_", student).strip("_")[:40]
    return f"{plain or 'student'}~{short_hash(student)}"


def folded(name: str) -> str:
    """A name as file systems compare it that take A for a, and é for e with an accent."""
    return unicodedata.normalize("NFKC", name).casefold()


def short_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
