"""python -m autograder.contest make | references | score | leaderboard

make --out contest                                   new scenes: contest/public for students, contest/private for you
references --out contest/course                      the truth about the test split that students render themselves
score submitted --contest contest --references contest/course
leaderboard contest/scores.json --out leaderboard.html
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from autograder.contest.page import leaderboard, leaderboard_page
from autograder.contest.rerun import run_again
from autograder.contest.score import METRICS, Entry, rescore_class, spoken
from autograder.contest.world import (
    PUBLIC,
    contest_settings,
    make_contest,
    make_references,
    read_contest,
    read_world,
)
from idc.errors import UserError, continuing_command
from idc.files import atomic_write
from idc.world.layout import split_sizes
from idc.world.render import RAW_SAMPLES, SAMPLES, SIZE, denoiser_available

SCENES = 400  # a minute and a half on two cores; 200 change pairs
COURSE = (7, "1400,60,300")  # seed and splits of the world in ps6's notebook


def make(arguments: argparse.Namespace) -> None:
    if arguments.scenes < 10 or arguments.workers < 1 or (arguments.seed or 0) < 0:
        raise UserError("--scenes must be at least 10, --workers at least 1 and --seed at least 0.")
    denoised = denoiser_available()
    samples = SAMPLES if denoised else RAW_SAMPLES
    settings = contest_settings(arguments.out, SIZE, samples, denoised, arguments.seed)
    public = make_contest(arguments.out, settings, arguments.scenes, arguments.workers)
    print(
        f"give {public} to students, as a folder named contest; keep {arguments.out / 'private'} to yourself"
    )


def references(arguments: argparse.Namespace) -> None:
    sizes = split_sizes(arguments.splits, sum_of(arguments.splits))
    make_references(arguments.out, arguments.seed, sizes)
    print(f"the truth about the test split is in {arguments.out}")


def sum_of(splits: str) -> int:
    """How many scenes the three numbers of --splits make; 0 where they are no numbers."""
    parts = splits.split(",")
    return sum(map(int, parts)) if all(part.strip().isdecimal() for part in parts) else 0


def score(arguments: argparse.Namespace) -> None:
    from autograder.intake import find_handins, read_handin

    contest = read_contest(arguments.contest) if arguments.contest else None
    own = read_world(arguments.references) if arguments.references else None
    if contest is None and own is None:
        raise UserError("there is nothing to score by: give --contest, --references, or both.")
    handins = {
        each.student: {name: content for name, content in each.files.items() if "report/" in name}
        for each in map(read_handin, find_handins(arguments.submitted))
    }
    if not handins:
        raise UserError(f"there are no hand-ins in {arguments.submitted}.")
    public = None if contest is None or arguments.no_rerun else arguments.contest / PUBLIC
    again = None if public is None else lambda report: run_again(report, public)
    metrics = (*METRICS, "METEOR") if arguments.meteor else METRICS
    entries = rescore_class(handins, contest, own, metrics, again)
    for entry in entries:
        print(told(entry))
    out = arguments.out or (arguments.contest or arguments.references) / "scores.json"
    with atomic_write(out) as path:
        path.write_text(
            json.dumps([entry.model_dump() for entry in entries], indent=1) + "\n", encoding="utf-8"
        )
    print(f"the scores are in {out}")


def told(entry: Entry) -> str:
    """What was found out about a student, in lines."""
    lines = [entry.student]
    if entry.figures is not None:
        lines.append(
            f"captions handed in: {spoken('', entry.figures.statement)} % of the changes told truly, "
            f"CIDEr {spoken('', entry.figures.cider)}"
        )
    if entry.rerun is not None and entry.rerun.figures is not None:
        figures = entry.rerun.figures
        lines.append(
            f"checkpoint run again: {spoken('', figures.statement)} %, CIDEr {spoken('', figures.cider)}; "
            f"{entry.rerun.same:.0%} of the captions are the same"
        )
    elif entry.rerun is not None:
        lines.append(entry.rerun.reason)
    if entry.compared:
        lines.append(f"{len(entry.claims)} of {entry.compared} claimed figures differ")
    return "\n    ".join([*lines, *entry.claims, *entry.remarks])


def show(arguments: argparse.Namespace) -> None:
    try:
        rows = json.loads(arguments.scores.read_text(encoding="utf-8"))
        entries = [Entry.model_validate(row) for row in rows]
    except FileNotFoundError as error:
        raise UserError(
            f"{arguments.scores} is missing; `python -m autograder.contest score` writes it."
        ) from error
    except (ValueError, TypeError) as error:
        raise UserError(
            f"{arguments.scores} holds no scores ({error}); write it anew with the command score."
        ) from error
    page = leaderboard_page(entries, arguments.title, arguments.anonymous, arguments.details)
    for path, text in (
        (arguments.out, page),
        (
            arguments.out.with_suffix(".json"),
            json.dumps(leaderboard(entries, arguments.anonymous), indent=1) + "\n",
        ),
    ):
        with atomic_write(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    print(f"the leaderboard is {arguments.out}")


@continuing_command
def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m autograder.contest",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    one = commands.add_parser("make", help="render a contest")
    one.add_argument(
        "--out", type=Path, required=True, help="folder of the contest; an interrupted one is continued"
    )
    one.add_argument("--scenes", type=int, default=SCENES, help=f"pairs to caption ({SCENES})")
    one.add_argument(
        "--seed", type=int, help="for a contest that must come out the same; who knows it knows the truth"
    )
    one.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    one.set_defaults(run=make)
    one = commands.add_parser(
        "references", help="the truth about the test split that students render themselves"
    )
    one.add_argument("--out", type=Path, required=True)
    one.add_argument(
        "--seed", type=int, default=COURSE[0], help=f"of the world in the notebook ({COURSE[0]})"
    )
    one.add_argument(
        "--splits", default=COURSE[1], metavar="TRAIN,VAL,TEST", help=f"scenes in each ({COURSE[1]})"
    )
    one.set_defaults(run=references)
    one = commands.add_parser("score", help="score hand-ins, run checkpoints again, compare claims")
    one.add_argument("submitted", type=Path, help="folder with the hand-ins")
    one.add_argument("--contest", type=Path, help="folder that make wrote")
    one.add_argument(
        "--references", type=Path, help="folder that references wrote, or the rendered world itself"
    )
    one.add_argument("--no-rerun", action="store_true", help="run no checkpoint again")
    one.add_argument("--meteor", action="store_true", help="METEOR, too; takes 1.4 GB of memory")
    one.add_argument("--out", type=Path, help="scores as JSON (scores.json in the contest's folder)")
    one.set_defaults(run=score)
    one = commands.add_parser("leaderboard", help="the page")
    one.add_argument("scores", type=Path)
    one.add_argument(
        "--out", type=Path, required=True, help="the page; a .json of the same name lies beside it"
    )
    one.add_argument("--title", default="Leaderboard")
    one.add_argument("--anonymous", action="store_true", help="pseudonyms only")
    one.add_argument(
        "--details", action="store_true", help="also claims that differ and remarks: not for students"
    )
    one.set_defaults(run=show)
    arguments = parser.parse_args()
    if getattr(arguments, "out", None) and arguments.run is show and arguments.out.suffix != ".html":
        raise UserError(f"--out is {arguments.out}; its name must end in .html.")
    if arguments.run is show and arguments.anonymous and arguments.details:
        raise UserError("--anonymous and --details exclude each other: details name students.")
    arguments.run(arguments)


if __name__ == "__main__":
    main()
