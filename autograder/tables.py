"""python -m autograder.tables [--check]

Writes the tables of docs/instructor.md from the exercises: what they ask for and earn, and the mistakes they know.
--check writes nothing and ends with 1 when the page is not what the exercises say.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

from autograder.checks import SETS, exercises
from idc.errors import UserError, command
from idc.files import fill_tables

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "instructor.md"


def overview() -> str:
    """All exercises with time, difficulty, importance and points, and the parts of problem set 6."""
    lines = [
        "| exercise | time | difficulty | importance | points | marked by |",
        "|---|---|---|---|---|---|",
    ]
    for each in exercises().values():
        lines.append(
            f"| {each.id} {each.title} | {each.minutes} min | {each.difficulty}/5 | {each.importance}/5 "
            f"| {each.points} | the check |"
        )
    parts = project()
    lines += [f"| {name} | {time} | | | {points} | {marker} |" for name, time, marker, points in parts]
    points = sum(each.points for each in exercises().values()) + sum(int(part[3]) for part in parts)
    hours, minutes = divmod(sum(each.minutes for each in exercises().values()), 60)
    return "\n".join(
        [*lines, f"| **together** | {hours} h {minutes} min for ps1 to ps5 | | | **{points}** | |"]
    )


def project() -> list[tuple[str, ...]]:
    """The parts of problem set 6 as its notebook announces them: (name, time, marked by, points)."""
    name = SETS["ps6"]
    notebook = json.loads((ROOT / "solutions" / name / f"{name}.ipynb").read_text(encoding="utf-8"))
    title = "".join(notebook["cells"][0]["source"])
    return re.findall(r"^\| (ps6\.\d[^|]*) \| ([^|]*) \| ([^|]*) \| (\d+) \|$", title, flags=re.MULTILINE)


def errors() -> str:
    """The known mistakes of every exercise, by name."""
    return "\n".join(
        f"- **{each.id} {each.title}**: {'; '.join(dict.fromkeys(idea.name for idea in each.ideas.values()))}."
        for each in exercises().values()
    )


TABLES = {"exercises": overview, "errors": errors}


@command
def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m autograder.tables",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true", help="write nothing")
    checking = parser.parse_args().check
    old = PAGE.read_text(encoding="utf-8")
    new = fill_tables(old, TABLES)
    if checking and new != old:
        raise UserError(f"{PAGE} is not what the exercises say; type python -m autograder.tables.")
    if not checking:
        PAGE.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
