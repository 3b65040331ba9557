"""python -m autograder.banks [id …]

Records what the right and the known wrong pieces answer, for the checks under the exercises.
"""

from __future__ import annotations

import argparse

from autograder.banks import ids, record
from autograder.checks.records import file_of, pack
from idc.errors import command
from idc.files import save_arrays


@command
def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m autograder.banks", description=__doc__)
    parser.add_argument("ids", nargs="*", metavar="id", help="exercises; all if none is named")
    for id in parser.parse_args().ids or ids():
        records = record(id)
        save_arrays(file_of(id), pack(records))
        size = file_of(id).stat().st_size / 1024
        print(f"{id}: {len(records)} calls, {len(records[0].wrong)} known mistakes, {size:.0f} KiB")


if __name__ == "__main__":
    main()
