"""Tiny data sets of drawn pictures in the published formats of Spot-the-Diff and Image-Editing-Request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

COLORS = ("red", "blue", "green", "yellow")


def draw(path: Path, color: str, place: int | None) -> None:
    """A grey picture, with a square of that colour unless `place` is None."""
    image = Image.new("RGB", (48, 40), (120, 120, 120))
    if place is not None:
        ImageDraw.Draw(image).rectangle((place, 8, place + 12, 20), fill=color)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def write(path: Path, records: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(records), encoding="utf-8")


def make_spot(root: Path, merged: bool = False) -> Path:
    """Eight pairs to train on, two and three in the other splits, two sentences each; a square has gone.

    The sentences come in two records of one id, or in one as in the reformatted files. Pair 0 has an empty sentence
    beside its others, pair 90 of the test split nothing else.
    """
    for split, ids in (("train", range(8)), ("val", range(20, 22)), ("test", range(40, 43))):
        records: list[dict[str, Any]] = []
        again: list[dict[str, Any]] = []
        for i in ids:
            color = COLORS[i % len(COLORS)]
            draw(root / "images" / f"{i}.png", color, 2 * (i % 10))
            draw(root / "images" / f"{i}_2.png", color, None)
            records.append({"img_id": str(i), "sentences": [f"the {color} square is gone"]})
            again.append({"img_id": str(i), "sentences": ["a square has left the picture"]})
        if split == "train":
            records[0]["sentences"].append("")
        if split == "test":
            records.append({"img_id": "90", "sentences": ["", " "]})
        if merged:
            for record, other in zip(records, again, strict=False):
                record["sentences"] += other["sentences"]
        write(root / f"{'reformat_' if merged else ''}{split}.json", records if merged else records + again)
    return root


def make_editing(root: Path) -> Path:
    """Six pairs to train on with a sentence each, two and two in the other splits with three.

    Names and cases are as in the published files: capitals, marks and JPEGs outside the train split.
    """
    for split, ids, count in (
        ("train", range(6), 1),
        ("valid", range(20, 22), 3),
        ("test", range(40, 42), 3),
    ):
        records = []
        for i in ids:
            color = COLORS[i % len(COLORS)]
            names = [f"Reddit.com_{i}_{i}.jpg", f"Reddit.com_{i}_d{i}.png"]
            draw(root / "images" / names[0], color, None)
            draw(root / "images" / names[1], color, 2 * (i % 10))
            sentences = [f"add a {color} square", f'Add the "{color}" square', "Change the man's T-shirt!"]
            records.append(
                {"uid": f"Reddit_{i}", "img0": names[0], "img1": names[1], "sents": sentences[:count]}
            )
        write(root / f"{split}.json", records)
    return root
