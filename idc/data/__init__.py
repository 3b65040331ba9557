"""Data sets of picture pairs, and what they are made of."""

from __future__ import annotations

from pathlib import Path

from idc.data.clevr_change import ClevrChange, read_labels
from idc.data.grids import open_grids
from idc.data.image_editing_request import ImageEditingRequest
from idc.data.listed import ListedPairs
from idc.data.pairs import DataSettings, PairData
from idc.data.spot_the_diff import SpotTheDiff
from idc.data.vocabulary import Vocabulary
from idc.errors import UserError

LISTED: dict[str, type[ListedPairs]] = {reader.kind: reader for reader in (SpotTheDiff, ImageEditingRequest)}


def kind_of_folder(root: Path) -> str:
    """Which data set a folder holds, by the names of its listings; CLEVR-Change where there are none."""
    return next(
        (
            kind
            for kind, reader in LISTED.items()
            if all(file.is_file() for file in reader.files(root).values())
        ),
        "clevr_change",
    )


def open_data(data: DataSettings, split: str, seed: int) -> PairData:
    """The configured split of the configured data set.

    seed: of what is drawn for the items. Raises UserError for whatever the files lack, and for pairs to be played
    backwards where nobody described them so.
    """
    common = (
        data.root,
        split,
        open_grids(data.path("grids"), split),
        read_labels(data.path("labels")),
        Vocabulary.from_json(data.path("vocabulary")),
    )
    train, max_samples = data.train, getattr(data, split).max_samples
    if data.kind in LISTED:
        if train.reversal:
            raise UserError(
                f"data.train.reversal plays pairs backwards, for which {data.kind} has no sentences; set it to 0."
            )
        return LISTED[data.kind](*common, max_samples=max_samples, seed=seed)
    augmentation = {"swap": train.swap, "reversal": train.reversal} if split == "train" else {}
    return ClevrChange(*common, max_samples=max_samples, seed=seed, **augmentation)
