"""A student's notebook as people who mark should see it: nbgrader's structure whole, the student's answers in it.

Formgrader and the feedback pages show such a notebook in a browser that may do all that the instructor may, and neither
cleans what it shows. So nothing of a student gets here that a browser would run: no HTML, no script, no link that is one.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import unquote

from autograder.checks.exercise import Status
from autograder.notebook import COLOR, SIGN, note
from autograder.results import ExerciseResult, Outcome

MOST_CELLS = 1000
MOST_LETTERS = 100_000  # of a cell, or of what it put out
MOST_OUTPUTS = 20  # of a cell
MOST_PICTURE = 4 * 2**20  # letters of base64
PICTURES = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff", "image/gif": b"GIF8"}
JOINER = "\u2060"  # no width: behind it “<” begins no tag
TAGS = re.compile(
    r"p|br|hr|em|strong|del|code|pre|span|div|h[1-6]|[uo]l|li|blockquote|a|img|input|d[ltd]|t(able|head|body|[rhd])"
)
ATTRIBUTES = {"href", "src", "alt", "title", "class", "id", "start", "style", "type", "disabled", "checked"}
CLASSES = re.compile(r"(highlight|anchor-link|task-list-item(-checkbox)?|language-\w+|[a-z]{1,3}\d?)")
ALIGNED = re.compile(r"text-align:(left|right|center)")
WEB = re.compile(r"(https?|mailto):", re.IGNORECASE)
DEFINED = re.compile(r"^(?:async\s+def|def|class)\s+(\w+)", re.MULTILINE)
IN_CELL = re.compile(r"(.*\.ipynb), cell (\d+)")
SIGNS = {Outcome.RIGHT: Status.RIGHT, Outcome.NOT_ATTEMPTED: Status.NOT_ATTEMPTED}

Notebook = dict[str, Any]
Cell = dict[str, Any]


@dataclass(frozen=True)
class Written:
    """A cell of a student's notebook. names: nbgrader's id and the cell's own. number: from 1."""

    kind: str
    source: str
    names: tuple[str, ...] = ()
    outputs: list[Any] = field(default_factory=list)
    attachments: dict[str, dict[str, str]] = field(default_factory=dict)
    number: int = 0


def graded_notebook(
    released: Notebook,
    handed_in: bytes | None,
    name: str,
    results: Mapping[str, ExerciseResult],
    notes: Sequence[str] = (),
) -> Notebook:
    """The released notebook with a student's cells.

    released: as nbgrader generated it, with checksums. handed_in: the student's, None if there is none. name: of its file,
    as in `ExerciseResult.where`. results: by the id of their answer's cell, "ps1-1". notes: to the student, shown on top.
    """
    notes = list(notes)
    try:
        written = read_cells(handed_in) if handed_in is not None else []
    except ValueError as error:
        written = []
        notes.append(f"The notebook that was handed in cannot be read: {error}.")
    if handed_in is None:
        notes.append("There is no notebook of this problem set to be shown.")
    if len(written) > MOST_CELLS:
        notes.append(f"The notebook has {len(written)} cells; the first {MOST_CELLS} are shown.")
        written = written[:MOST_CELLS]
    given = [joined(cell) for cell in released["cells"]]
    roles = [cell for cell in given if role(cell)]
    names = set(map(key, roles))
    places = find_places(given, written, name, results)
    taken = {place: cell for cell in roles if (place := places.get(key(cell))) is not None}
    cells = leading(roles, places) if written else deepcopy(given)
    own = {cell["source"] for cell in given}
    for place, each in enumerate(written):
        if place in taken:
            cells.append(with_role(taken[place], each, names))
            cells += following(roles, taken[place], places)
        else:
            cells.append(ordinary(each, f"own-{each.number}", own, names))
    for cell in cells:
        if key(cell).endswith("-check") and (result := results.get(key(cell).removesuffix("-check"))):
            cell["outputs"] = [verdict(result)]
    if notes:
        cells.insert(0, about(notes, names))
    return {
        **{key: deepcopy(released[key]) for key in ("metadata", "nbformat", "nbformat_minor")},
        "cells": cells,
    }


def role(cell: Cell) -> Mapping[str, Any]:
    """What nbgrader does with a cell; empty for one that it leaves alone."""
    return cell["metadata"].get("nbgrader", {})


def key(cell: Cell) -> str:
    """What nbgrader calls a cell, else the cell's own name."""
    return role(cell).get("grade_id", cell.get("id", ""))


def joined(cell: Cell) -> Cell:
    """A cell with its source in one piece and without outputs."""
    return {**cell, "source": text_of(cell["source"])} | (
        {"outputs": []} if cell["cell_type"] == "code" else {}
    )


def text_of(value: Any) -> str:
    """A text of a notebook, which may be stored line by line. What no file can hold is left out."""
    parts = value if isinstance(value, list) else [value]
    text = "".join(part for part in parts if isinstance(part, str))
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def read_cells(content: bytes) -> list[Written]:
    """The cells of a notebook of format 4 or 3. Raises ValueError for anything else."""
    try:
        notebook = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is no JSON ({type(error).__name__})") from error
    sheets = [notebook]
    if isinstance(notebook, dict) and isinstance(notebook.get("worksheets"), list):
        sheets = notebook["worksheets"]
    cells = [
        cell
        for sheet in sheets
        if isinstance(sheet, dict) and isinstance(sheet.get("cells"), list)
        for cell in sheet["cells"]
        if isinstance(cell, dict)
    ]
    if not cells:
        raise ValueError("it has no cells")
    return [written(cell, number) for number, cell in enumerate(cells, start=1)]


def written(cell: Cell, number: int) -> Written:
    metadata = cell.get("metadata")
    nbgrader = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    said = [nbgrader.get("grade_id") if isinstance(nbgrader, dict) else None, cell.get("id")]
    source = text_of(cell.get("source", cell.get("input", "")))
    return Written(
        str(cell.get("cell_type")),
        source if len(source) <= MOST_LETTERS else f"{source[:MOST_LETTERS]}\n…",
        tuple(name for name in said if isinstance(name, str)),
        cell["outputs"] if isinstance(cell.get("outputs"), list) else [],
        pictures(cell.get("attachments")),
        number,
    )


def find_places(
    released: Sequence[Cell], written: Sequence[Written], name: str, results: Mapping[str, ExerciseResult]
) -> dict[str, int]:
    """Which cell of the student plays each part of the released notebook, as far as one does.

    By name; where several bear it, the one in which the piece was found, else the last that was changed. Without a name: the
    cell that defines the same thing; for texts, the one between the same neighbours.
    """
    parts = {key(cell): cell for cell in released if role(cell)}
    places: dict[str, int] = {}
    for id, cell in parts.items():
        candidates = [place for place, each in enumerate(written) if id in each.names]
        changed = [place for place in candidates if written[place].source != cell["source"]]
        if candidates:
            places[id] = (changed or candidates)[-1]
    named = {place for place, each in enumerate(written) if parts.keys() & set(each.names)}
    for id, result in results.items():
        found = IN_CELL.fullmatch(result.where)
        place = int(found[2]) - 1 if found and found[1] == name else -1
        fits = 0 <= place < len(written) and (place not in named or id in written[place].names)
        if fits and id in parts and place not in places.values():
            places[id] = place
    for id, cell in parts.items():
        if id in places or cell["cell_type"] != "code" or not (what := DEFINED.search(cell["source"])):
            continue
        free = [place for place in range(len(written)) if place not in named | set(places.values())]
        if same := [place for place in free if what[1] in DEFINED.findall(written[place].source)]:
            places[id] = same[-1]
    if parts.keys() - places.keys():
        find_between_neighbours(released, written, places, named)
    return places


def find_between_neighbours(
    released: Sequence[Cell], written: Sequence[Written], places: dict[str, int], named: Collection[int]
) -> None:
    """Where a part is missing, take a cell of its kind that stands in its place."""
    matcher = difflib.SequenceMatcher(
        None, [cell["source"] for cell in released], [each.source for each in written], autojunk=False
    )
    for what, start, end, first, last in matcher.get_opcodes():
        free = [place for place in range(first, last) if place not in places.values() and place not in named]
        for cell in released[start:end]:
            if what not in ("equal", "replace") or not role(cell) or key(cell) in places:
                continue
            place = next((place for place in free if written[place].kind == cell["cell_type"]), None)
            if place is not None:
                places[key(cell)] = place
                free.remove(place)


def leading(roles: Sequence[Cell], places: Mapping[str, int]) -> list[Cell]:
    """The parts that are missing before the first that is there."""
    first = next((number for number, cell in enumerate(roles) if key(cell) in places), len(roles))
    return deepcopy(list(roles[:first]))


def following(roles: Sequence[Cell], cell: Cell, places: Mapping[str, int]) -> list[Cell]:
    """The parts that are missing right after one that is there."""
    number = roles.index(cell) + 1
    end = next((later for later in range(number, len(roles)) if key(roles[later]) in places), len(roles))
    return deepcopy(list(roles[number:end]))


def is_locked(cell: Cell) -> bool:
    """Whether a cell is the course's: a check, or a text that no student changes."""
    return not role(cell).get("solution", False)


def with_role(cell: Cell, each: Written, names: Collection[str]) -> Cell:
    """A released cell with what the student wrote; locked ones stay as they were."""
    cell = deepcopy(cell)
    if is_locked(cell) or each.source == cell["source"]:
        return cell
    if cell["cell_type"] == "code":
        return {**cell, "source": each.source, "outputs": harmless_outputs(each.outputs)}
    return {**cell, **markdown(each, names)}


def ordinary(each: Written, id: str, own: Collection[str], names: Collection[str]) -> Cell:
    """A cell that nothing is graded in. own: texts that are the course's, which may stay as they are."""
    if each.kind == "code":
        return code_cell(id, each.source, harmless_outputs(each.outputs))
    cell: Cell = {"cell_type": "markdown", "id": id, "metadata": {}}
    if each.kind == "markdown":
        return {**cell, **({"source": each.source} if each.source in own else markdown(each, names))}
    return {**cell, "source": fenced(each.source)}


def code_cell(id: str, source: str, outputs: list[Cell]) -> Cell:
    return {
        "cell_type": "code", "id": id, "metadata": {}, "execution_count": None, "outputs": outputs, "source": source
    }  # fmt: skip


def about(notes: Sequence[str], names: Collection[str]) -> Cell:
    lines = "\n".join(f"* {sentence(note, names)}" for note in notes)
    return {
        "cell_type": "markdown",
        "id": "about-this-hand-in",
        "metadata": {},
        "source": f"**About this hand-in**\n\n{lines}",
    }


def verdict(result: ExerciseResult) -> Cell:
    """What the grader says about an exercise, as the output of its check."""
    status = SIGNS.get(result.outcome, Status.WRONG)
    words = f"{SIGN[status]} {text_of(result.message)}"
    return {
        "output_type": "display_data",
        "metadata": {},
        "data": {"text/plain": words, "text/html": note(words, COLOR[status])},
    }


def markdown(each: Written, names: Collection[str]) -> Cell:
    """Source and attachments of a student's text."""
    found: Cell = {"source": harmless(each.source, each.attachments, names)}
    return found | ({"attachments": each.attachments} if each.attachments else {})


def harmless(text: str, attachments: Mapping[str, Any] | None = None, taken: Collection[str] = ()) -> str:
    """A text that is shown as Markdown, without HTML. taken: names of things on the page, which no heading may bear.

    What would still be more than text, links and pictures that came along is shown as it was typed.
    """
    text = without_tags(text)
    return text if is_safe(text, attachments or {}, taken) else fenced(text)


def sentence(text: str, taken: Collection[str] = ()) -> str:
    """The same on one line, for what may quote a student."""
    text = " ".join(without_tags(text).split())
    return text if is_safe(f"* {text}", {}, taken) else without_meaning(text)


def without_tags(text: str) -> str:
    return re.sub(r"<(?=[A-Za-z/!?])", f"<{JOINER}", text_of(text))


def without_meaning(text: str) -> str:
    """A text with no sign left that Markdown, HTML or formulas know."""
    return re.sub(r"([^\w\s])", rf"\1{JOINER}", text)


def fenced(text: str) -> str:
    """A text as it was typed."""
    return f"```text\n{without_meaning(text_of(text))}\n```"


def is_safe(text: str, attachments: Mapping[str, Any], taken: Collection[str]) -> bool:
    """Whether a text can be shown as Markdown."""
    try:
        return is_harmless(rendered(text, attachments), taken)
    except Exception:  # noqa: BLE001, whatever a text does to the renderer, no page may break
        return False


@cache
def exporter() -> Any:
    from nbconvert.exporters import HTMLExporter

    return HTMLExporter()


def rendered(text: str, attachments: Mapping[str, Any]) -> str:
    """The HTML that formgrader and the feedback make of a text."""
    return exporter().markdown2html({"cell": {"attachments": attachments}}, text)


def is_harmless(page: str, taken: Collection[str]) -> bool:
    """Whether some HTML is text with links and pictures that came along, and nothing else."""
    from bs4 import BeautifulSoup, Comment

    soup = BeautifulSoup(page, "html.parser", multi_valued_attributes=None)
    if soup.find(string=lambda text: isinstance(text, Comment)):
        return False
    tags = (
        (tag.name, {name: str(value) for name, value in tag.attrs.items()}) for tag in soup.find_all(True)
    )
    return all(is_harmless_tag(name, attributes, taken) for name, attributes in tags)


def is_harmless_tag(name: str, attributes: Mapping[str, str], taken: Collection[str]) -> bool:
    return (
        TAGS.fullmatch(name) is not None
        and attributes.keys() <= ATTRIBUTES
        and leads_nowhere(attributes.get("href", ""))
        and is_own_picture(attributes.get("src", ""))
        and all(CLASSES.fullmatch(each) for each in attributes.get("class", "").split())
        and (name != "input" or attributes.get("type") == "checkbox")
        and ALIGNED.fullmatch(attributes.get("style", "text-align:left")) is not None
        and re.sub("(-comment|_extra_credit)$", "", attributes.get("id", "")) not in taken
    )


def leads_nowhere(link: str) -> bool:
    """Whether following a link runs nothing."""
    return bool(WEB.match(link)) or ":" not in unquote(link)


def is_own_picture(source: str) -> bool:
    """Whether a picture is part of the hand-in: nothing is asked of this or another server."""
    if source.startswith(tuple(f"data:{kind};base64," for kind in PICTURES)):
        return True
    path = unquote(unquote(source))
    return not re.search(r"[:\\?&#]", path) and not path.startswith("/") and ".." not in path.split("/")


def harmless_outputs(outputs: Sequence[Any]) -> list[Cell]:
    """Text and pictures of what a cell had put out; the rest is left out."""
    found = [
        one
        for output in outputs[:MOST_OUTPUTS]
        if isinstance(output, dict) and (one := harmless_output(output))
    ]
    if len(outputs) > MOST_OUTPUTS:
        found.append(stream(f"… and {len(outputs) - MOST_OUTPUTS} more\n"))
    return found


def harmless_output(output: Mapping[str, Any]) -> Cell | None:
    kind = output.get("output_type")
    if kind == "stream":
        return stream(text_of(output.get("text", "")))
    if kind == "error":
        lines = output.get("traceback")
        return stream(
            "\n".join(map(text_of, lines)) if isinstance(lines, list) else text_of(output.get("evalue", ""))
        )
    data = output.get("data")
    if not isinstance(data, dict):
        return None
    shown: dict[str, str] = {kind: found for kind in PICTURES if (found := picture(kind, data.get(kind)))}
    if text := text_of(data.get("text/plain", "")):
        shown["text/plain"] = shortened(text)
    return {"output_type": "display_data", "metadata": {}, "data": shown} if shown else None


def stream(text: str) -> Cell:
    return {"output_type": "stream", "name": "stdout", "text": shortened(text)}


def shortened(text: str) -> str:
    return text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]}\n… ({len(text)} letters)"


def pictures(attachments: Any) -> dict[str, dict[str, str]]:
    """The pictures among a cell's attachments."""
    if not isinstance(attachments, dict):
        return {}
    found = {}
    for name, data in attachments.items():
        shown = {
            kind: content
            for kind in PICTURES
            if isinstance(data, dict) and (content := picture(kind, data.get(kind)))
        }
        if shown:
            found[text_of(name)] = shown
    return found


def picture(kind: str, content: Any) -> str:
    """A picture in base64 that is one, else “”."""
    letters = "".join(text_of(content).split())
    if not letters or len(letters) > MOST_PICTURE:
        return ""
    try:
        head = base64.b64decode(letters, validate=True)
    except (binascii.Error, ValueError):
        return ""
    return letters if head.startswith(PICTURES[kind]) else ""
