"""python -m autograder [FOLDER]

Checks every piece in the notebooks and .py files of a folder (assignments, if none is named), as the cells under the
exercises do. Ends with 1 unless all that was attempted is right.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from idc.errors import UserError, continuing_command

FOR_INSTRUCTORS = ("grade", "report", "preview", "publish", "bundle")
AND_MORE = """\
For instructors, each with --help of its own:
  grade SUBMITTED        judge a class behind a wall; results, tables and pages go to grades/
  report                 write tables and pages again from the results
  preview SUBMITTED      whose score would move with other checks or points, before anything is published
  publish COURSE         enter the results in nbgrader's gradebook
  bundle KIND            files for Gradescope or for a workflow of a student's repository
"""


@continuing_command
def main() -> None:
    has_grader = Path(__file__).with_name("commands.py").is_file()
    if sys.argv[1:2] and sys.argv[1] in FOR_INSTRUCTORS:
        if not has_grader:
            raise UserError(
                f"“{sys.argv[1]}” is for instructors, and the student kit does not have it. To check a folder of that "
                f"name, write ./{sys.argv[1]}"
            )
        from autograder.commands import run

        run(sys.argv[1:])
        return
    parser = argparse.ArgumentParser(
        prog="python -m autograder",
        description=__doc__,
        epilog=AND_MORE if has_grader else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", nargs="?", type=Path, default=Path("assignments"))
    check_folder(parser.parse_args().folder)


def check_folder(folder: Path) -> None:
    """Say of every exercise whether it is right; end with 1 when something is wrong. Raises UserError for no folder."""
    from autograder.checks import exercises
    from autograder.checks.exercise import Status
    from autograder.notebook import SIGN
    from autograder.submission import judge_own, read_own

    own = read_own(folder)
    verdicts = judge_own(own)
    points = 0
    for each in exercises().values():
        verdict = verdicts.get(each.piece)
        status = verdict.status if verdict else Status.NOT_ATTEMPTED
        points += each.points * (status is Status.RIGHT)
        print(f"{SIGN[status]} {each.id}  {each.piece:28} {status.value}")
        if verdict and status is Status.WRONG:
            print(f"      {verdict.message}")
    for remark in own.notes:
        print(f"note: {remark}")
    print(f"{points} of {sum(each.points for each in exercises().values())} points")
    if any(verdict.status is Status.WRONG for verdict in verdicts.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
