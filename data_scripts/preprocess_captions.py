"""Make vocabulary, label file and COCO-format references from the captions of a data set.

    python data_scripts/preprocess_captions.py --root data/rendered

Names and numbering are those of the published files, so that either can stand in for the other.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from idc.data.captions import LONGEST, preprocess
from idc.errors import command


@command
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, required=True, help="folder of the data set")
    parser.add_argument(
        "--max-length", type=int, default=LONGEST, help=f"tokens with START and END ({LONGEST})"
    )
    arguments = parser.parse_args()
    vocabulary, unknown = preprocess(arguments.root, arguments.max_length)
    print(f"{len(vocabulary)} words; {unknown} words outside the train split became <UNK>")


if __name__ == "__main__":
    main()
