"""The seam: what a published method must offer so that the one loop can train and test it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

from jaxtyping import Float, Int
from torch import Tensor, nn

from idc.captioner.decoder import DecoderLayer
from idc.captioner.search import Captions, Search
from idc.data.batch import Batch, Pairs
from idc.data.vocabulary import Vocabulary
from idc.errors import UserError
from idc.kernels import choose_ask, choose_attend
from idc.pieces.attention import MultiHeadAttention
from idc.pieces.cbr import CrossModalBackwardReasoning
from idc.systems.portions import Portion


@dataclass(frozen=True)
class Stage:
    """One phase of training, e.g. "caption", or "adapt" before it.

    measure: what its snapshots are compared by on val, the system's captions or its retrieval.
    """

    name: str
    measure: Literal["captions", "retrieval"] = "captions"


@dataclass(frozen=True)
class Group:
    """Parameters that the optimiser moves in the same way.

    rate: a factor for the scheduled learning rate. decays: whether they get `optim.weight_decay`.
    """

    parameters: tuple[nn.Parameter, ...]
    rate: float = 1.0
    decays: bool = True


class System(nn.Module, ABC):
    """One published method, assembled from pieces.

    Before a stage of training the loop says `begin` and asks for `groups`. In every step it takes the gradient of
    `losses` of a batch, a portion after the other, its parts weighted by the configuration, and steps; `after_step` then
    restores any constraint on the parameters. Captioning is `caption`; a system that can find pairs by sentences offers
    `embed_pairs` and `embed_words`.
    """

    Config: ClassVar[type]
    loss_weights: ClassVar[dict[str, float]]  # the published weight of each part of the loss, of all stages
    vocabulary: Vocabulary

    @classmethod
    @abstractmethod
    def build(
        cls, config: Any, vocabulary: Vocabulary, grid_shape: tuple[int, int, int], max_words: int
    ) -> System:
        """A fresh system for grids (C, H, W) and captions of at most `max_words` ids with START and END."""

    def description(self) -> dict[str, Any]:
        """What `rebuild` needs to know beside the arguments of `build`, as plain values; a part of every snapshot."""
        return {}

    @classmethod
    def rebuild(
        cls,
        config: Any,
        vocabulary: Vocabulary,
        grid_shape: tuple[int, int, int],
        max_words: int,
        description: dict[str, Any],
    ) -> System:
        """A system for the weights of a snapshot. It needs none of the files that `build` may begin with."""
        return cls.build(config, vocabulary, grid_shape, max_words)

    @classmethod
    def stages(cls) -> tuple[Stage, ...]:
        """The phases of training, in order. Each begins with the best weights of the one before."""
        return (Stage("caption"),)

    def begin(self, stage: str) -> None:
        """Be in this stage from now on: it decides what `losses` gives and what `groups` names; weights stay."""

    def groups(self) -> list[Group]:
        """What the optimiser may move in the present stage; parameters in no group are frozen."""
        return [Group(tuple(self.parameters()))]

    def trained_parameters(self) -> Iterable[nn.Parameter]:
        """The parameters of all groups."""
        return (parameter for group in self.groups() for parameter in group.parameters)

    @abstractmethod
    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The unweighted parts of the present stage's loss, each a scalar in nats."""

    def portions(self, batch: Batch) -> tuple[Portion, ...]:
        """`losses` in shares whose sum it is, to be computed in order; each is done with once its gradient is taken."""
        return (partial(self.losses, batch),)

    def after_step(self) -> None:
        """Called after every optimiser step."""

    @abstractmethod
    def caption(self, pairs: Pairs, search: Search) -> Captions:
        """What the system says about each pair; `pairs.words` is not looked at."""

    def sentence(self, tokens: list[int]) -> str:
        """What the ids of a caption say. Systems that speak with ids of their own say it differently."""
        return self.vocabulary.decode(tokens)

    def looks(self, attention: Float[Tensor, "B L N"], grid: tuple[int, int]) -> Float[Tensor, "B L P H W"]:
        """Where captions looked, as pictures: P = 2 for before and after, P = 1 where a look is at one place of both.

        attention: as `caption` gives it. grid: (H, W) of the grids, whose cells it is over unless a system says otherwise.
        """
        return attention.unflatten(-1, (1, *grid))

    def embed_pairs(self, pairs: Pairs) -> Float[Tensor, "B D"]:
        """A vector of length 1 for each pair, near those of the sentences that describe it.

        Raises UserError where the system has no retrieval; so does `embed_words`.
        """
        raise self.no_retrieval()

    def embed_words(self, words: Int[Tensor, "K L"]) -> Float[Tensor, "K D"]:
        """A vector of length 1 for each sentence. words: ids of the data's vocabulary, START … END, then 0."""
        raise self.no_retrieval()

    def no_retrieval(self) -> UserError:
        return UserError(
            f"{type(self).__name__} has no retrieval: it cannot find pairs by sentences. Take a system that can."
        )


def install(kernels: str, system: nn.Module) -> None:
    """Let the parts of a system compute as `kernels` says, see `idc.kernels`. Raises ValueError for an unknown name."""
    attend, ask = choose_attend(kernels), choose_ask(kernels)
    for module in system.modules():
        if isinstance(module, MultiHeadAttention | CrossModalBackwardReasoning):
            module.attend = attend
        elif isinstance(module, DecoderLayer):
            module.ask = ask


def check_released(path: str | Path) -> None:
    """Raise UserError unless there is a file where a published snapshot should be."""
    if not Path(path).is_file():
        what = "is a folder" if Path(path).is_dir() else "is missing"
        raise UserError(
            f"{path} {what}, and a published snapshot is one file; give its path. What `python -m idc.train` writes is "
            "opened with --run, or with --snapshot FOLDER."
        )
