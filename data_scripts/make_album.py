"""Make the album: the few scenes that come with the kit, in the layout of the data set they are taken from.

    python data_scripts/make_album.py --root data/rendered --scenes 40 41 42

The notebooks show and caption these scenes, so that they need no data of their own. How the world was rendered is
written beside them.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from idc.album import ALBUM
from idc.data.captions import preprocess
from idc.data.layout import read_json
from idc.errors import UserError, command
from idc.world.layout import file_names, read_records, write_json, write_listings


def make_album(root: Path, scenes: list[int], out: Path) -> None:
    """Copy scenes and everything that is said about them. Raises UserError for a scene that is not there."""
    records = read_records(root)
    if missing := [scene for scene in scenes if scene not in records]:
        raise UserError(f"{root} has no scenes {missing}; it holds {len(records)} scenes.")
    for scene in scenes:
        for name in file_names(scene, masks=False):
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, out / name)
    cut = len(scenes) * 2 // 3
    splits = {"train": scenes[:cut], "val": scenes[cut : cut + 2], "test": scenes[cut + 2 :]}
    write_listings(out, [records[scene] for scene in scenes], splits)
    preprocess(out)
    write_json(out / "world.json", read_json(root / "world.json"))


@command
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, required=True, help="a rendered world")
    parser.add_argument("--scenes", type=int, nargs="+", required=True)
    parser.add_argument("--out", type=Path, default=ALBUM)
    arguments = parser.parse_args()
    make_album(arguments.root, arguments.scenes, arguments.out)
    print(f"{len(arguments.scenes)} scenes are in {arguments.out}")


if __name__ == "__main__":
    main()
