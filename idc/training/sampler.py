"""Which scenes a step trains on: a function of (seed, step, rank), so that any step can be taken up again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from idc.errors import UserError


class StepSampler(Sampler[list[tuple[int, int]]]):
    """Batches of (epoch, index) keys for the steps `first` … `last` - 1.

    Every epoch is a seeded permutation of the data, cut into global batches of `processes` x `batch_size`. What is
    left over at its end (another part each time) sits that epoch out: a batch that ran on into the next epoch
    could hold a scene twice, which would then be its own negative in InfoNCE. Process `rank` takes its slice of
    the global batch: W processes of b see together what one process of W b sees.

    Raises UserError when the data are fewer than one global batch.
    """

    def __init__(
        self, size: int, batch_size: int, seed: int, first: int, last: int, rank: int = 0, processes: int = 1
    ):
        self.size, self.batch_size, self.seed = size, batch_size, seed
        self.first, self.last, self.rank, self.processes = first, last, rank, processes
        self.steps_per_epoch = size // (batch_size * processes)
        if self.steps_per_epoch == 0:
            together = f"{processes} x {batch_size}" if processes > 1 else str(batch_size)
            raise UserError(
                f"a batch of {together} scenes is more than the {size} there are to train on; "
                "lower data.train.batch_size or raise data.train.max_samples."
            )

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        width = self.batch_size * self.processes
        permuted, order = -1, np.empty(0, dtype=np.int64)
        for step in range(self.first, self.last):
            epoch, position = divmod(step, self.steps_per_epoch)
            if epoch != permuted:
                # four words: the data set draws an item's randomness from the three (seed, epoch, scene)
                order = np.random.default_rng((self.seed, epoch, 0, 1)).permutation(self.size)
                permuted = epoch
            start = position * width + self.rank * self.batch_size
            yield [(epoch, int(index)) for index in order[start : start + self.batch_size]]

    def __len__(self) -> int:
        return max(0, self.last - self.first)
