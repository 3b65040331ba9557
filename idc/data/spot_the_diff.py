"""Spot-the-Diff (Jhamtani and Berg-Kirkpatrick, EMNLP 2018): two moments of a surveillance camera."""

from __future__ import annotations

from pathlib import Path

from idc.data.listed import ListedPair, ListedPairs, Listing, read_listing


def pair_of(img_id: str) -> ListedPair:
    return ListedPair(f"{img_id}.png", f"{img_id}.png", f"{img_id}_2.png", ())


class SpotTheDiff(ListedPairs):
    """A split of Spot-the-Diff, as published: `train.json`, `val.json`, `test.json`, pictures in `images/`.

    A file is a list of {"img_id": "256", "sentences": […]}; an id may come several times, and then has the sentences of
    all. Where there is no `train.json`, `reformat_train.json` is read, in which ids were merged already. The pictures
    are 256.png and 256_2.png.
    """

    kind = "spot_the_diff"

    @staticmethod
    def listing(root: Path) -> Listing:
        files = {}
        for split in ("train", "val", "test"):
            merged = root / f"reformat_{split}.json"
            plain = root / f"{split}.json"
            files[split] = merged if merged.is_file() and not plain.is_file() else plain
        return read_listing(files, ("img_id",), "sentences", pair_of, SpotTheDiff.kind)
