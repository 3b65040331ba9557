"""python -m autograder [FOLDER]

Checks every piece in the notebooks and .py files of a folder (assignments, if none is named), as the cells under the
exercises do. Ends with 1 unless all that was attempted is right.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from autograder.checks import exercises
from autograder.checks.exercise import Status
from autograder.notebook import SIGN
from autograder.submission import judge_own, read_own
from idc.errors import command


@command
def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m autograder", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default=Path("assignments"))
    own = read_own(parser.parse_args().folder)
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
