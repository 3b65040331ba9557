"""One picture of many triples, to look at what was rendered.

    python data_scripts/contact_sheet.py data/rendered --out sheet.png --n 12

A row is a scene: default, semantic and nonsemantic picture, the changed object framed, its sentences below.
"""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from idc.errors import UserError, command
from idc.files import atomic_write
from idc.world.layout import FOLDERS, picture_name, read_records

WIDTH = 320  # of one picture on the sheet, pixels
GAP = 6
FONT = 13  # pixels
FRAME = (255, 150, 0)


def chosen(root: Path, count: int, ids: list[int] | None) -> list[dict]:
    """The records to show: those named, or `count` spread evenly over the world."""
    records = read_records(root)
    if not records:
        raise UserError(
            f"{root} holds no scenes.jsonl: render a world first, with "
            f"`python data_scripts/render_world.py --out {root} --scenes {count}`."
        )
    if ids is None:
        order = sorted(records)
        ids = [order[k * len(order) // count] for k in range(min(count, len(order)))]
        ids = order if len(order) <= count else ids
    missing = [index for index in ids if index not in records]
    if missing:
        raise UserError(
            f"{root} has no scene {missing[0]}; it holds {len(records)} scenes from {min(records)} to "
            f"{max(records)}."
        )
    return [records[index] for index in ids]


def picture(root: Path, record: dict, kind: str) -> Image.Image:
    """One picture, enlarged, with a frame around the changed object where it shows a change."""
    path = root / FOLDERS[kind] / picture_name(kind, record["index"])
    try:
        with Image.open(path) as image:
            width, height = image.size
            factor = WIDTH / width
            large = image.convert("RGB").resize((WIDTH, round(height * factor)), Image.Resampling.BICUBIC)
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error}). Run the command that rendered {root} again: it renders only "
            "the scenes whose pictures are missing; delete a damaged one first."
        ) from error
    which = record["change"][{"default": "before", "semantic": "after"}.get(kind, "type")]
    if isinstance(which, int) and (box := record["boxes"][kind][which]) is not None:
        x, y, w, h = (value * factor for value in box)
        ImageDraw.Draw(large).rectangle((x - 3, y - 3, x + w + 2, y + h + 2), outline=FRAME, width=1)
    return large


def sheet(root: Path, records: list[dict]) -> Image.Image:
    """All rows below each other."""
    font = ImageFont.load_default(FONT)
    full = 3 * WIDTH + 4 * GAP
    rows = []
    for record in records:
        pictures = [picture(root, record, kind) for kind in FOLDERS]
        texts = (
            f"{record['index']}  {record['change']['type']}:  {record['sentences'][0]}",
            f"    backwards:  {record['reversed_sentences'][0]}",
            f"    distractor:  {record['no_change_sentences'][0]}",
        )
        lines = [line for text in texts for line in textwrap.wrap(text, 130)]
        height = max(part.height for part in pictures)
        row = Image.new("RGB", (full, height + 2 * GAP + (FONT + 4) * len(lines)), "white")
        for place, part in enumerate(pictures):
            row.paste(part, (GAP + place * (WIDTH + GAP), GAP))
        draw = ImageDraw.Draw(row)
        for place, line in enumerate(lines):
            draw.text((GAP, height + GAP + 2 + (FONT + 4) * place), line, fill="black", font=font)
        rows.append(row)
    result = Image.new("RGB", (full, sum(row.height for row in rows)), "white")
    top = 0
    for row in rows:
        result.paste(row, (0, top))
        top += row.height
    return result


@command
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", type=Path, help="folder of a rendered world")
    parser.add_argument("--out", type=Path, default=Path("sheet.png"), help="picture to write (sheet.png)")
    parser.add_argument("--n", type=int, default=12, help="how many scenes, spread evenly (12)")
    parser.add_argument("--ids", type=int, nargs="+", help="these scenes instead")
    arguments = parser.parse_args()
    if arguments.n < 1:
        raise UserError("--n must be at least 1.")
    result = sheet(arguments.root, chosen(arguments.root, arguments.n, arguments.ids))
    with atomic_write(arguments.out) as path:
        result.save(path, "PNG")
    print(arguments.out)


if __name__ == "__main__":
    main()
