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
        "--max-length",
        type=int,
        default=LONGEST,
        help=f"tokens of the longest caption with START and END ({LONGEST})",
    )
    parser.add_argument("--cut", action="store_true", help="shorten longer captions instead of stopping")
    arguments = parser.parse_args()
    found = preprocess(arguments.root, arguments.max_length, cut=arguments.cut)
    print(
        f"{found.captions} captions, the longest of {found.longest} tokens with START and END; "
        f"{len(found.vocabulary)} words."
    )
    if found.unknown:
        most = ", ".join(f"“{word}”" for word, _ in found.unknown.most_common(5))
        print(f"{found.unknown.total()} words that the train split lacks became <UNK>, such as {most}.")
    if found.cut:
        print(f"{found.cut} captions were cut to {arguments.max_length} tokens.")
    if found.blanks:
        print(f"{found.blanks} captions have a stray space; as in the published labels it counts as a word.")


if __name__ == "__main__":
    main()
