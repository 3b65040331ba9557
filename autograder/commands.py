"""The instructor's commands: python -m autograder grade | report | preview | publish | bundle."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import webbrowser
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from autograder.batch import SORRY, Graded, Wish, find_places, grade, read, read_results
from autograder.keys import read_secret
from autograder.preview import read_points, regrade_aside, reweighted
from autograder.results import Outcome, StudentResult
from autograder.settings import Settings, read_settings
from idc.errors import UserError
from idc.files import atomic_write

EXIT = """\
Ends with 0 when every hand-in was graded, 1 when some could not be (the same command tries those again), 2 when nothing
could be done, 130 after Ctrl-C. What is graded is kept in every case.
"""
MANY = 4  # names in a line of the summary


def run(words: Sequence[str]) -> None:
    """Carry out a command line. Raises UserError and SystemExit."""
    arguments = parser().parse_args(words)
    arguments.carry_out(arguments)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m autograder")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, carry_out: object, about: str, more: str = "") -> argparse.ArgumentParser:
        made = commands.add_parser(
            name,
            help=about,
            description=about,
            epilog=more,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        made.set_defaults(carry_out=carry_out)
        return made

    one = add("grade", grade_command, "Grade a class behind a wall, then write tables and pages.", EXIT)
    how_to_grade(one)
    one.add_argument("--out", type=Path, default=Path("grades"), help="where results and pages go (grades)")
    one.add_argument("--force", action="store_true", help="grade again what is graded")
    one.add_argument(
        "--open", action="store_true", help="show the class report in a browser, if there is one"
    )
    how_to_report(one)

    one = add("report", report_command, "Write tables and pages again from the results.")
    one.add_argument("--out", type=Path, default=Path("grades"), help="where the results are (grades)")
    one.add_argument(
        "--config", type=Path, metavar="FILE", help="settings instead of configs/autograder.yaml"
    )
    one.add_argument(
        "--open", action="store_true", help="show the class report in a browser, if there is one"
    )
    how_to_report(one)

    one = add(
        "preview",
        preview_command,
        "Whose score would move with other checks or points; publishes and changes nothing.",
    )
    how_to_grade(one)
    one.add_argument(
        "--against", type=Path, default=Path("grades"), help="the results to compare with (grades)"
    )
    one.add_argument(
        "--checks", type=Path, metavar="FOLDER", help="hidden checks instead of autograder/checks/hidden"
    )
    one.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="ID=POINTS",
        help="other points for exercises, such as ps1.1=4",
    )
    one.add_argument(
        "--page", type=Path, metavar="FILE", help="where the page goes; a temporary file otherwise"
    )

    one = add("publish", publish_command, "Enter the results in nbgrader's gradebook.")
    one.add_argument("course", type=Path, help="the folder with nbgrader_config.py")
    one.add_argument(
        "--submitted", type=Path, help="the folder of the hand-ins, if it is not the course's own"
    )
    one.add_argument("--out", type=Path, default=Path("grades"), help="where the results are (grades)")

    one = add("bundle", bundle_command, "Files for Gradescope, or a workflow for a student's repository.")
    one.add_argument("kind", choices=("gradescope", "workflow"))
    one.add_argument("--out", type=Path, metavar="FILE", help="where it goes")
    one.add_argument("--sets", type=names, default=(), help="problem sets, such as ps1,ps2")
    one.add_argument(
        "--config", type=Path, metavar="FILE", help="settings instead of configs/autograder.yaml"
    )
    one.add_argument(
        "--secret",
        type=Path,
        metavar="FILE",
        help="gradescope: of the course, to ask the same questions again",
    )
    return top


def how_to_grade(one: argparse.ArgumentParser) -> None:
    one.add_argument("submitted", type=Path, help="the folder of the hand-ins")
    one.add_argument("--jobs", type=int, metavar="N", help="hand-ins judged at one time (one a core)")
    one.add_argument(
        "--dask", metavar="ADDRESS", help="grade on a Dask cluster: the address of its scheduler"
    )
    one.add_argument("--sets", type=names, default=(), help="only these problem sets, such as ps1,ps2")
    one.add_argument("--students", type=names, default=(), help="only these students, such as ada,ben")
    one.add_argument("--isolation", choices=("auto", "namespaces", "uid", "none"), help="the wall (auto)")
    one.add_argument("--unsafe", action="store_true", help="grade without a wall; every result is marked")
    one.add_argument(
        "--config", type=Path, metavar="FILE", help="settings instead of configs/autograder.yaml"
    )
    one.add_argument("--secret", type=Path, metavar="FILE", help="the course's secret (OUT/secret)")


def how_to_report(one: argparse.ArgumentParser) -> None:
    one.add_argument(
        "--roster", type=Path, metavar="FILE", help="class list: id, last_name, first_name, email"
    )
    one.add_argument(
        "--canvas", type=Path, metavar="FILE", help="a gradebook exported from Canvas, to be filled in"
    )


def names(text: str) -> tuple[str, ...]:
    """“ps1,ps2” in parts."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def settings_of(arguments: argparse.Namespace) -> Settings:
    """The settings of the file with those of the command line on top. Raises UserError, also where there is no wall."""
    settings = read_settings(arguments.config)
    if arguments.jobs is not None:
        if arguments.jobs < 1:
            raise UserError(f"--jobs is {arguments.jobs}; it must be 1 or more.")
        settings = replace(settings, jobs=arguments.jobs)
    if arguments.secret is not None:
        settings = replace(settings, secret=str(arguments.secret))
    isolation = arguments.isolation or settings.isolation
    if arguments.unsafe and isolation not in ("auto", "none"):
        raise UserError(f"--unsafe means no wall, but “{isolation}” was asked for; leave one of them out.")
    if isolation == "none" and not arguments.unsafe:
        raise UserError(
            "without a wall students' code runs with your rights and can change any result. If that is what you want, "
            "say so with --unsafe."
        )
    if arguments.unsafe:
        isolation = "none"
        print(
            "WARNING: grading without a wall. Students' code runs with your rights: it can read your files, other hand-ins "
            "and the hidden checks, and change any result. Every result is marked.",
            file=sys.stderr,
        )
    return replace(settings, isolation=isolation)


def wish_of(arguments: argparse.Namespace, out: Path, **more: object) -> Wish:
    return Wish(
        submitted=arguments.submitted,
        out=out,
        settings=settings_of(arguments),
        sets=arguments.sets,
        students=arguments.students,
        dask=arguments.dask,
        **more,  # type: ignore[arg-type]
    )


def grade_command(arguments: argparse.Namespace) -> None:
    wish = wish_of(arguments, arguments.out, force=arguments.force)
    graded = grade(wish)
    remarks = write_pages(graded.results, wish.out, wish.settings, arguments)
    print("\n".join([*summary(graded, wish), *remarks]))
    if any(each.outcome is Outcome.NOT_GRADED for one in graded.results for each in one.exercises.values()):
        raise SystemExit(1)


def write_pages(
    results: Sequence[StudentResult], out: Path, settings: Settings, arguments: argparse.Namespace
) -> tuple[str, ...]:
    """Tables and pages, shown in a browser where that was asked for; what the instructor must hear."""
    from autograder.report import write_reports

    remarks = write_reports(
        results,
        out,
        due=settings.due_times(),
        late=settings.late,
        roster=arguments.roster,
        canvas=arguments.canvas,
    )
    if arguments.open and has_display():
        webbrowser.open((out / "class.html").resolve().as_uri())
    return remarks


def has_display() -> bool:
    """Whether a browser can be seen by anybody."""
    if os.environ.get("CI"):
        return False
    return sys.platform != "linux" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def report_command(arguments: argparse.Namespace) -> None:
    results = results_in(arguments.out)
    remarks = write_pages(results, arguments.out, read_settings(arguments.config), arguments)
    print("\n".join([f"{len(results)} students", *where(arguments.out), *remarks]))


def results_in(out: Path) -> list[StudentResult]:
    results = read_results(out)
    if not results:
        raise UserError(
            f"{out} holds no results; `python -m autograder grade SUBMITTED --out {out}` makes them."
        )
    return results


def summary(graded: Graded, wish: Wish) -> list[str]:
    """What became of a class, in a few lines."""
    results = graded.results
    kept = len(results) - len(graded.now)
    scores = [each.score() for each in results]
    most = max(each.max_score() for each in results)
    lines = [
        f"{len(results)} students: {len(graded.now)} graded now, {kept} kept",
        f"points: median {statistics.median(scores):g} of {most:g}, from {min(scores):g} to {max(scores):g}",
    ]
    outcomes = {one.student: {each.outcome for each in one.exercises.values()} for one in results}
    look = {
        "not graded, which is our fault; the same command tries again": [
            student for student, found in outcomes.items() if Outcome.NOT_GRADED in found
        ],
        "could not be read": [one.student for one in results if one.error and one.error != SORRY],
        "flagged": [
            one.student for one in results if one.flags or any(each.flags for each in one.exercises.values())
        ],
        "had code that was stopped": [
            student for student, found in outcomes.items() if Outcome.STOPPED in found
        ],
        f"have results but no hand-in in {wish.submitted}": graded.strangers,
    }
    lines += [f"look: {what}: {some(who)}" for what, who in look.items() if who]
    return lines + where(wish.out)


def some(students: Sequence[str]) -> str:
    """Names, the first few of many."""
    more = len(students) - MANY
    return ", ".join(students[:MANY]) + (f" and {more} more" if more > 0 else "")


def where(out: Path) -> list[str]:
    return [
        f"class report: {out / 'class.html'}",
        f"tables: {out / 'grades.csv'}, {out / 'canvas.csv'}; a page for each student: {out / 'feedback'}/",
    ]


def preview_command(arguments: argparse.Namespace) -> None:
    before = results_in(arguments.against)
    wish = wish_of(arguments, arguments.against, checks=arguments.checks)
    points = read_points(arguments.set)
    with tempfile.TemporaryDirectory(prefix="preview-") as place:
        after = regrade_aside(wish, Path(place))
    after = reweighted(after, points)
    from autograder.report import preview_page, preview_text

    print(preview_text(before, after), end="")
    page = arguments.page or Path(tempfile.mkdtemp(prefix="preview-")) / "preview.html"
    with atomic_write(page) as temporary:
        temporary.write_text(preview_page(before, after), encoding="utf-8")
    print(f"page: {page}")


def publish_command(arguments: argparse.Namespace) -> None:
    results = results_in(arguments.out)
    from autograder.bridges.nbgrader import publish

    places = find_places(arguments.submitted, ()) if arguments.submitted else {}
    publish(results, arguments.course, {student: read(place) for student, place in places.items()})
    print(f"{len(results)} students are in the gradebook of {arguments.course}; `make lab` opens formgrader.")


def bundle_command(arguments: argparse.Namespace) -> None:
    settings = read_settings(arguments.config)
    if arguments.kind == "gradescope":
        from autograder.bridges import gradescope

        out = arguments.out or Path("dist/gradescope.zip")
        secret = arguments.secret or settings.secret
        drawn_from = read_secret(Path(secret)) if secret else None
        print(gradescope.bundle(out, arguments.sets or ("ps1",), settings.late, drawn_from))
    else:
        from autograder.bridges import workflow

        print(workflow.bundle(arguments.out or Path("dist/checks.yml")))
