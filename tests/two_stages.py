"""A tiny system that trains in two stages: first it learns to find pairs by sentences, then to name the colour.

As a program, `python -m tests.two_stages …` is `python -m idc.train …` in a world where that system exists.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import torch
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

import idc.systems
from idc.captioner.search import Captions, Search
from idc.data.batch import Batch, Pairs
from idc.data.vocabulary import Vocabulary
from idc.systems.system import Group, Stage, System
from tests.tiny_world import write_config

OWN = 1000  # the system speaks with ids of its own, which are those of the data and this many more


@dataclass(config=ConfigDict(extra="forbid"), frozen=True)
class TwoStagesConfig:
    """dim: of the vectors."""

    dim: int = 6
    dropout: float = 0.2


class TwoStages(System):
    """`find` looks for pairs by sentences, `guess` names the colour word from the vector of a pair.

    find: everything but the head moves, the words at a tenth of the rate and without decay. guess: the head moves, and
    the pairs at half the rate; the words are frozen.
    """

    Config: ClassVar[type] = TwoStagesConfig
    loss_weights: ClassVar[dict[str, float]] = {"apart": 1.0, "guess": 1.0}

    def __init__(self, config: TwoStagesConfig, vocabulary: Vocabulary, channels: int):
        super().__init__()
        self.vocabulary, self.stage = vocabulary, "guess"
        self.pairs = nn.Linear(channels, config.dim)
        self.words = nn.Embedding(len(vocabulary), config.dim)
        self.head = nn.Linear(config.dim, len(vocabulary))
        self.dropout = nn.Dropout(config.dropout)

    @classmethod
    def build(
        cls, config: Any, vocabulary: Vocabulary, grid_shape: tuple[int, int, int], max_words: int
    ) -> TwoStages:
        return cls(config, vocabulary, grid_shape[0])

    @classmethod
    def stages(cls) -> tuple[Stage, ...]:
        return (Stage("find", "retrieval"), Stage("guess"))

    def begin(self, stage: str) -> None:
        self.stage = stage

    def groups(self) -> list[Group]:
        pairs, words, head = (tuple(part.parameters()) for part in (self.pairs, self.words, self.head))
        if self.stage == "find":
            return [Group(pairs), Group(words, rate=0.1, decays=False)]
        return [Group(head), Group(pairs, rate=0.5)]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        vectors = self.dropout(self.embed_pairs(batch.change))
        if self.stage == "find":
            apart = vectors - self.embed_words(batch.change.words)
            return {"apart": apart.square().sum(-1).mean()}
        return {"guess": F.cross_entropy(self.head(vectors), batch.change.words[:, 2])}

    def caption(self, pairs: Pairs, search: Search) -> Captions:
        words = self.head(self.embed_pairs(pairs)).argmax(-1)
        tokens = OWN + torch.stack([words, torch.full_like(words, Vocabulary.END)], 1)
        return Captions(tokens, torch.zeros(len(pairs)), torch.zeros(len(pairs), 2, 1))

    def sentence(self, tokens: list[int]) -> str:
        return self.vocabulary.decode(token - OWN for token in tokens)

    def embed_pairs(self, pairs: Pairs) -> Tensor:
        return F.normalize(self.pairs((pairs.after - pairs.before).mean((2, 3))), dim=-1)

    def embed_words(self, words: Tensor) -> Tensor:
        known = (words != 0)[..., None]
        return F.normalize((self.words(words) * known).sum(1), dim=-1)


def module() -> ModuleType:
    """What `idc.systems` imports for the system."""
    result = ModuleType("idc.systems.two_stages")
    result.TwoStages = TwoStages  # type: ignore[attr-defined]
    return result


def write_two_stages(path: Path, world: Path) -> Path:
    """A configuration of the tiny system with two stages."""
    return write_config(
        path,
        world,
        exp_name="two",
        system="two_stages",
        model={},
        stages={
            "find": {
                "optim": {"method": "adamw", "lr": 0.05, "weight_decay": 0.1, "schedule": "linear"},
                "train": {"steps": 5, "snapshot_every": 2, "best_metric": "retrieval.text_to_pair.R@1"},
                "data": {"train": {"batch_size": 2}},
            }
        },
    )


if __name__ == "__main__":
    from idc.train import main

    sys.modules["idc.systems.two_stages"] = module()
    idc.systems.SYSTEMS["two_stages"] = "TwoStages"
    main()
