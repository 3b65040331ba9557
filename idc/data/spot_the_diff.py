"""Spot-the-Diff (Jhamtani and Berg-Kirkpatrick, EMNLP 2018): two moments of a surveillance camera."""

from __future__ import annotations

from pathlib import Path

from idc.data.listed import ListedPair, ListedPairs


class SpotTheDiff(ListedPairs):
    """A split of Spot-the-Diff, as published: `train.json`, `val.json`, `test.json`, pictures in `images/`.

    A file is a list of {"img_id": "256", "sentences": […]}; an id may come several times, and then has the sentences of
    all. Where there is no `train.json`, `reformat_train.json` is read, in which ids were merged already. The pictures
    are 256.png and 256_2.png.
    """

    kind = "spot_the_diff"
    texts = ("img_id",)
    sentences = "sentences"

    @staticmethod
    def files(root: Path) -> dict[str, Path]:
        result = {}
        for split in ("train", "val", "test"):
            merged, raw = root / f"reformat_{split}.json", root / f"{split}.json"
            result[split] = merged if merged.is_file() and not raw.is_file() else raw
        return result

    @staticmethod
    def pair(record: dict[str, str]) -> ListedPair:
        before = f"{record['img_id']}.png"  # the pair's name among the published references, too
        return ListedPair(before, before, f"{record['img_id']}_2.png", ())
