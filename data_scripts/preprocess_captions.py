"""Make vocabulary, label file and COCO-format references from the captions of a data set.

    python data_scripts/preprocess_captions.py --root data/rendered
    python data_scripts/preprocess_captions.py --root data/spot_the_diff

Names and numbering are those of the published files, so that either can stand in for the other.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from idc.data import LISTED, kind_of_folder
from idc.data.captions import LONGEST, preprocess
from idc.data.listed import preprocess_listed
from idc.errors import command


@command
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--kind", choices=("clevr_change", *LISTED), help="seen from the folder's listings")
    parser.add_argument(
        "--max-length",
        type=int,
        help=f"tokens of the longest caption with START and END ({LONGEST} for clevr_change, else as many as it takes)",
    )
    parser.add_argument("--cut", action="store_true", help="shorten longer captions instead of stopping")
    arguments = parser.parse_args()
    kind = arguments.kind or kind_of_folder(arguments.root)
    root, length, cut = arguments.root, arguments.max_length, arguments.cut
    if kind == "clevr_change":
        length = LONGEST if length is None else length
        found = preprocess(root, length, cut=cut)
    else:
        found = preprocess_listed(root, LISTED[kind].listing(root), length, cut=cut)
    print(
        f"{found.captions} captions, the longest of {found.longest} tokens with START and END; "
        f"{len(found.vocabulary)} words."
    )
    if found.unknown:
        most = ", ".join(f"“{word}”" for word, _ in found.unknown.most_common(5))
        print(f"{found.unknown.total()} words that the train split lacks became <UNK>, such as {most}.")
    if found.empty:
        print(
            f"{found.empty} captions without a word were left out, and {found.silent} pairs that had no other."
        )
    if found.shared:
        print(f"{found.shared} pairs of pictures stand in several splits, under different names.")
    if found.cut:
        print(f"{found.cut} captions were cut to {length} tokens.")
    if found.blanks:
        print(f"{found.blanks} captions have a stray space; as in the published labels it counts as a word.")


if __name__ == "__main__":
    main()
