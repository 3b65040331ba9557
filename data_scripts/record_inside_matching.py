"""Record which tokens of two pictures find each other, for problem set 4.

    python data_scripts/record_inside_matching.py

The notebook shows best friends before the student has written token matching, and reads them from here.

friends.npz   for pairs of the album (before, after a change): for every one of the 14 x 14 cells of one picture the
              cell of the other whose content is most alike, both ways, how alike they are (cosine, the mean of all
              cells taken off), and which object a cell shows (-1: none)
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from idc import album
from idc.draw import cell_centre
from idc.errors import command
from idc.files import save_arrays

FILE = Path(album.ALBUM).parent / "recorded" / "friends.npz"
SCENES = (57, 44)  # a ball that moved, a cylinder that vanished
SIDE = 14
KINDS = ("default", "semantic")


def contents() -> dict[str, Float[Tensor, "B N C"]]:
    """What the backbone sees in every cell, as directions: four cells of a token are taken apart again."""
    cells = {kind: F.pixel_shuffle(album.grids(kind), 2).flatten(2).transpose(1, 2) for kind in KINDS}
    mean = torch.cat(list(cells.values())).mean((0, 1))
    return {kind: F.normalize(found - mean, dim=-1) for kind, found in cells.items()}


def owners(boxes: list[list[int]], size: tuple[int, int]) -> np.ndarray:
    """The object that each cell shows, by the smallest box its centre lies in; -1 for none."""
    found = np.full(SIDE * SIDE, -1, dtype=np.int8)
    for cell in range(SIDE * SIDE):
        x, y = cell_centre(cell, (SIDE, SIDE), size)
        there = [
            (width * height, number)
            for number, (left, top, width, height) in enumerate(boxes)
            if left <= x <= left + width and top <= y <= top + height
        ]
        found[cell] = min(there)[1] if there else -1
    return found


def friends() -> dict[str, np.ndarray]:
    """The arrays of the file: (scenes,) or (scenes, cells)."""
    lines = (album.ALBUM / "scenes.jsonl").read_text(encoding="utf-8").splitlines()
    records = {record["index"]: record for record in map(json.loads, lines)}
    rows = [album.scenes().index(scene) for scene in SCENES]
    before, after = (contents()[kind][rows] for kind in KINDS)
    alike, to_after = (before @ after.transpose(1, 2)).max(2)
    alike_back, to_before = (after @ before.transpose(1, 2)).max(2)
    owner = {
        kind: np.stack(
            [owners(records[scene]["boxes"][kind], tuple(records[scene]["size"])) for scene in SCENES]
        )
        for kind in KINDS
    }
    return {
        "scenes": np.array(SCENES, dtype=np.int16),
        "to_after": to_after.numpy().astype(np.uint8),
        "to_before": to_before.numpy().astype(np.uint8),
        "alike_to_after": alike.half().numpy(),
        "alike_to_before": alike_back.half().numpy(),
        "object_before": owner["default"],
        "object_after": owner["semantic"],
    }


@command
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=FILE)
    file = parser.parse_args().out
    save_arrays(file, friends())
    print(f"{file}: {file.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
