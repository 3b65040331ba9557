"""What every data set of picture pairs offers to those who train on it, caption it and score the captions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from idc.data.batch import Batch
from idc.data.grids import Grids
from idc.data.vocabulary import Vocabulary


@runtime_checkable
class PairData(Protocol):
    """A split of a data set; item i as epoch `epoch` sees it is `data[(epoch, i)]`, and `data[i]` is epoch 0's.

    Everything random about an item is drawn from (seed, epoch, item): the same in any worker, in any order.
    """

    split: str
    grids: Grids
    vocabulary: Vocabulary

    @property
    def longest(self) -> int:
        """How many ids a caption may have, START and END included."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: int | tuple[int, int]) -> Any: ...

    @staticmethod
    def collate(items: Sequence[Any]) -> Batch:
        """Items as a batch; its `no_change` is None where the data set has no distractors."""

    def image_ids(self) -> tuple[str, ...]:
        """The names of the change pairs, in the order of the items; a distractor's has "_n" at its end."""

    def references(self) -> dict[str, list[str]]:
        """{image id: captions as the vocabulary decodes them} of every pair, distractors included."""


@runtime_checkable
class DataSettings(Protocol):
    """What a configuration says about the data, see `idc.config.DataConfig`."""

    @property
    def kind(self) -> str: ...

    @property
    def root(self) -> str: ...

    @property
    def train(self) -> Any:
        """Has max_samples, swap and reversal; `val` and `test` have max_samples alone."""

    @property
    def val(self) -> Any: ...

    @property
    def test(self) -> Any: ...

    def path(self, name: Any) -> Path:
        """The path of "grids", "labels", "vocabulary" or "annotations"."""
