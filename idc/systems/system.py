"""The seam: what a published method must offer so that the one loop can train and test it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from idc.captioner.search import Captions, Search
from idc.data.batch import Batch, Pairs
from idc.data.vocabulary import Vocabulary


@dataclass(frozen=True)
class Stage:
    """One phase of training, e.g. "caption", or "adapt" before it."""

    name: str


class System(nn.Module, ABC):
    """One published method, assembled from pieces.

    The loop calls `losses` on a training batch, weights the parts by the configuration and steps;
    `after_step` then restores any constraint on the parameters. Captioning is `caption`.
    """

    Config: ClassVar[type]
    loss_weights: ClassVar[dict[str, float]]  # the published weight of each part of the loss
    vocabulary: Vocabulary

    @classmethod
    @abstractmethod
    def build(
        cls, config: Any, vocabulary: Vocabulary, grid_shape: tuple[int, int, int], max_words: int
    ) -> System:
        """A fresh system for grids (C, H, W) and captions of at most `max_words` ids with START and END."""

    def stages(self) -> tuple[Stage, ...]:
        """The phases of training, in order."""
        return (Stage("caption"),)

    @abstractmethod
    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The unweighted parts of the loss, each a scalar in nats."""

    def trained_parameters(self) -> Iterable[nn.Parameter]:
        """The parameters the optimiser may move."""
        return self.parameters()

    def after_step(self) -> None:
        """Called after every optimiser step."""

    @abstractmethod
    def caption(self, pairs: Pairs, search: Search) -> Captions:
        """What the system says about each pair; `pairs.words` is not looked at."""
