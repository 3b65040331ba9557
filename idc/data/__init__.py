"""Data sets of picture pairs, and what they are made of."""

from __future__ import annotations

from idc.data.clevr_change import ClevrChange, read_labels
from idc.data.grids import open_grids
from idc.data.pairs import DataSettings, PairData
from idc.data.vocabulary import Vocabulary


def open_data(data: DataSettings, split: str, seed: int) -> PairData:
    """The configured split of the configured data set.

    seed: of what is drawn for the items. Raises UserError for whatever the files lack.
    """
    train = data.train
    augmentation = {"swap": train.swap, "reversal": train.reversal} if split == "train" else {}
    return ClevrChange(
        data.root,
        split,
        open_grids(data.path("grids"), split),
        read_labels(data.path("labels")),
        Vocabulary.from_json(data.path("vocabulary")),
        max_samples=getattr(data, split).max_samples,
        seed=seed,
        **augmentation,
    )
