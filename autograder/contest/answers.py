"""What a student handed in for problem set 6, read as text that may hold anything.

Nothing here raises for what a student did: what cannot be used is left out, and a sentence says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from autograder.handin import kind, printable, read_json, read_object
from idc.errors import UserError

EXPECTED = ("results.json", "metrics.jsonl", "triples.png", "pieces.json", "contest.json", "sc_results.json")
MOST_CHARACTERS = 400  # of a caption; the longest true ones have about 120
MOST_CAPTIONS = 100_000
STRANGE = re.compile(
    r"[^a-z0-9 ,;:!?()'<>-]"
)  # nothing that a true caption needs, or a scorer takes for the end of a line
NAME = re.compile(r"[\w .-]{1,40}")


@dataclass
class Answers:
    """Captions by the names of their pairs, the pseudonym, the contest they are for, and what was wrong with the file."""

    captions: dict[str, str] = field(default_factory=dict)
    pseudonym: str = ""
    contest: str = ""
    remarks: list[str] = field(default_factory=list)


def report_of(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The report among the files of a hand-in, by name in its folder: the `report/` with the most of what is expected."""
    reports: dict[str, dict[str, bytes]] = {}
    for name, content in files.items():
        folder, found, rest = f"/{name}".partition("/report/")
        if found:
            reports.setdefault(folder, {})[rest] = content
    return max(reports.values(), key=lambda report: len(report.keys() & set(EXPECTED)), default={})


def clean(caption: str) -> str:
    """A caption as the scorers may see it: lower case, plain signs, single spaces, no period at its end."""
    return " ".join(STRANGE.sub(" ", caption.lower()).split())


def take(
    rows: Iterable[tuple[Any, Any]], known: Iterable[str], name: str
) -> tuple[dict[str, str], list[str]]:
    """The usable captions among (pair, caption) rows, and what was wrong with the others.

    Every known pair gets a caption: "" where none came, which is never true.
    """
    known = list(known)
    captions = dict.fromkeys(known, "")
    seen: set[str] = set()
    counts = {"unknown": 0, "twice": 0, "no text": 0, "too long": 0}
    for pair, caption in rows:
        if not isinstance(pair, str) or pair not in captions:
            counts["unknown"] += 1
        elif pair in seen:
            counts["twice"] += 1
        else:
            seen.add(pair)
            if not isinstance(caption, str):
                counts["no text"] += 1
            elif len(caption) > MOST_CHARACTERS:
                counts["too long"] += 1
            else:
                captions[pair] = clean(caption)
    missing = len(captions) - len(seen)
    remarks = [
        f"{name} lacks captions for {missing} of {len(known)} pairs; they count as wrong" if missing else "",
        f"{counts['unknown']} captions of {name} are for pairs that do not exist; they were left out"
        if counts["unknown"]
        else "",
        f"{counts['twice']} pairs come more than once in {name}; the first caption counts"
        if counts["twice"]
        else "",
        f"{counts['no text']} captions of {name} are no text; they count as wrong"
        if counts["no text"]
        else "",
        f"{counts['too long']} captions of {name} have more than {MOST_CHARACTERS} characters; they count as wrong"
        if counts["too long"]
        else "",
    ]
    return captions, [f"{remark}." for remark in remarks if remark]


def read_contest_answers(report: Mapping[str, bytes], key: Mapping[str, str], contest: str) -> Answers:
    """The captions of contest.json, by pair. None of them where the file is for another contest or cannot be read."""
    name = "contest.json"
    if name not in report:
        return Answers(remarks=["There is no contest.json in the report: nothing was entered."])
    try:
        content = read_object(report[name], name)
    except UserError as error:
        return Answers(remarks=[str(error)])
    captions, pseudonym = content.get("captions"), content.get("pseudonym", "")
    answers = Answers(contest=printable(str(content.get("contest")), 40))
    if isinstance(pseudonym, str) and NAME.fullmatch(pseudonym.strip()):
        answers.pseudonym = pseudonym.strip()
    elif pseudonym not in ("", None):
        answers.remarks.append(
            "The pseudonym may have 1 to 40 letters, digits, spaces, “.”, “-” and “_”; it was left out."
        )
    if content.get("contest") != contest:
        answers.remarks.append(
            f"{name} is for another contest (“{answers.contest}”, this one is “{contest}”); enter this one again."
        )
    elif not isinstance(captions, dict) or len(captions) > MOST_CAPTIONS:
        answers.remarks.append(
            f"“captions” in {name} must be an object {{pair: caption}}, not {kind(captions)}."
        )
    else:
        said, remarks = take(captions.items(), key, name)
        answers.captions = {key[public]: caption for public, caption in said.items()}
        answers.remarks += remarks
    return answers


def read_own_answers(report: Mapping[str, bytes], pairs: Iterable[str]) -> Answers:
    """The captions of the test split, from sc_results.json and nsc_results.json. None where these are of another world."""
    rows: list[tuple[Any, Any]] = []
    for name in ("sc_results.json", "nsc_results.json"):
        if name not in report:
            return Answers(
                remarks=[f"There is no {name} in the report; the results cannot be computed again."]
            )
        try:
            content = read_json(report[name], name)
        except UserError as error:
            return Answers(remarks=[str(error)])
        if (
            not isinstance(content, list)
            or len(content) > MOST_CAPTIONS
            or not all(isinstance(row, dict) for row in content)
        ):
            return Answers(remarks=[f'{name} must be a list of {{"image_id": …, "caption": …}}.'])
        rows += [(row.get("image_id"), row.get("caption")) for row in content]
    pairs = list(pairs)
    if not {pair for pair, _ in rows if isinstance(pair, str)} & set(pairs):
        return Answers(
            remarks=[
                "The captions of the report are for other pictures than those of this world; they were not scored."
            ]
        )
    captions, remarks = take(rows, pairs, "sc_results.json with nsc_results.json")
    return Answers(captions, remarks=remarks)
