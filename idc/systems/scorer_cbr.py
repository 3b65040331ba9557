"""SCORER + CBR (Tu et al., ICCV 2023, arXiv 2309.16283).

Symbols of the paper and names here: X~ = the projected grids (`Difference.before`, `.after`), X^ = the
reconstructed ones (inside `Scorer`), TM / MTM = `token_matching` / `multi_head_token_matching`,
L_cap, L_cv, L_cm = the losses "caption", "cross_view", "cross_modal", lambda_v = 0.1, lambda_m = 0.001.
"""

from __future__ import annotations

import logging
import math
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from idc.captioner.decoder import Decoder
from idc.captioner.search import Captions, Search, search_captions
from idc.data.batch import Batch, Pairs
from idc.data.vocabulary import Vocabulary
from idc.errors import UserError
from idc.files import atomic_write
from idc.kernels import Kernels, choose_matching
from idc.kernels.cbr import folded_reasoning, share_of_picture
from idc.pieces.attention import Projected
from idc.pieces.cbr import CrossModalBackwardReasoning
from idc.pieces.chosen import pieces
from idc.pieces.scorer import CrossViewLayer, Scorer
from idc.systems.negatives import across_processes, global_mean
from idc.systems.portions import Portion, cut, rejoin
from idc.systems.ranges import Count, Even, Part
from idc.systems.system import Group, System, check_released, install

log = logging.getLogger(__name__)
LARGEST_LOGIT_SCALE = math.log(100)


@dataclass(config=ConfigDict(extra="forbid"), frozen=True)
class ScorerCBRConfig:
    """The paper's values. Differences between paper and released code are switches.

    matching: "joint" (released) or "separate" heads. train_cbr: false leaves CBR's weights as they were
    initialised, as the released code does; its loss still shapes the rest. sentence_mean: "length"
    (released) or "words". cross_view, cbr: switch a loss off altogether. kernels: see `idc.kernels`.
    """

    dim: Even = 512
    heads: Count = 8
    encoder_layers: Count = 2
    decoder_layers: Count = 2
    word_dim: Even = 300
    dropout: Part = 0.1
    matching: Literal["joint", "separate"] = "joint"
    sentence_mean: Literal["length", "words"] = "length"
    cross_view: bool = True
    cbr: bool = True
    train_cbr: bool = True
    kernels: Kernels = "auto"


class Before(NamedTuple):
    """The picture before: its tokens, the first layer's projections of them, and CBR's; None for what is not shared."""

    tokens: Float[Tensor, "B N D"]
    query: Float[Tensor, "B N D"] | None = None
    key: Float[Tensor, "B N D"] | None = None
    value: Float[Tensor, "B N D"] | None = None
    share: Float[Tensor, "B N D3"] | None = None

    @property
    def projected(self) -> Projected | None:
        if self.query is None or self.key is None or self.value is None:
            return None
        return self.query, self.key, self.value

    def mapped(self, function: Callable[..., Tensor], *others: Before) -> Before:
        """A function of every tensor, and of the same tensors of others."""
        each = zip(self, *others, strict=True)
        return Before(*(None if parts[0] is None else function(*parts) for parts in each))  # type: ignore[arg-type]


class ScorerCBR(System):
    """Encoder (SCORER), decoder, and backward reasoning (CBR), trained together."""

    Config: ClassVar[type] = ScorerCBRConfig
    loss_weights: ClassVar[dict[str, float]] = {"caption": 1.0, "cross_view": 0.1, "cross_modal": 0.001}

    def __init__(
        self,
        config: ScorerCBRConfig,
        vocabulary: Vocabulary,
        grid_shape: tuple[int, int, int],
        max_words: int,
    ):
        super().__init__()
        self.config, self.vocabulary = config, vocabulary
        if config.dim % config.heads:
            raise UserError(f"model.heads is {config.heads}; it must divide model.dim, {config.dim}.")
        self.own = frozenset(pieces.own)  # these are called as they are
        matching = across_processes(choose_matching(config.kernels, config.heads, config.matching))
        channels, height, width = grid_shape
        self.encoder = Scorer(
            channels,
            height,
            width,
            config.dim,
            config.heads,
            config.encoder_layers,
            config.dropout,
            matching,
        )
        self.decoder = Decoder(
            len(vocabulary),
            max_words,
            config.word_dim,
            config.dim,
            config.heads,
            config.decoder_layers,
            config.dropout,
        )
        self.cbr = (
            pieces.CrossModalBackwardReasoning(config.dim, config.heads, config.sentence_mean, matching)
            if config.cbr
            else None
        )
        if self.cbr is not None and not config.train_cbr:
            self.cbr.requires_grad_(False)
        install(config.kernels, self)

    @classmethod
    def build(
        cls, config: Any, vocabulary: Vocabulary, grid_shape: tuple[int, int, int], max_words: int
    ) -> ScorerCBR:
        return cls(config, vocabulary, grid_shape, max_words)

    def groups(self) -> list[Group]:
        """One group: all that is not CBR, and CBR where it is to be trained."""
        parts = [self.encoder, self.decoder]
        if self.cbr is not None and self.config.train_cbr:
            parts.append(self.cbr)
        return [Group(tuple(parameter for part in parts for parameter in part.parameters()))]

    def losses(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """L_cap, L_cv and L_cm, each the mean of the two passes; without distractors there is one pass."""
        change, no_change = batch.change, batch.no_change
        first = self.before(change.before)
        if no_change is None:
            return self.pass_losses(change, first)
        second = first if no_change.before is change.before else self.before(no_change.before)
        passes = self.pass_losses(change, first), self.pass_losses(no_change, second)
        return {name: (passes[0][name] + passes[1][name]) / 2 for name in passes[0]}

    def portions(self, batch: Batch) -> tuple[Portion, ...]:
        """A portion for each pass. What they share of the picture before is computed by the first."""
        change, no_change = batch.change, batch.no_change
        if no_change is None or no_change.before is not change.before:
            passes = batch.passes()
            return tuple(partial(self.share_of_losses, pairs, None, len(passes)) for pairs in passes)
        before: list[Before] = []  # as the first portion made it, and as it used it

        def first() -> dict[str, Tensor]:
            whole = self.before(change.before)
            before.extend([whole, whole.mapped(cut)])
            return self.share_of_losses(change, before[1], 2)

        def second() -> dict[str, Tensor]:
            cut_off, whole = before.pop(), before.pop()
            return self.share_of_losses(no_change, whole.mapped(rejoin, cut_off), 2)

        return first, second

    def share_of_losses(self, pairs: Pairs, before: Before | None, passes: int) -> dict[str, Tensor]:
        return {name: part / passes for name, part in self.pass_losses(pairs, before).items()}

    @property
    def folds(self) -> bool:
        """Whether CBR's products are folded: the library's are, another CBR is called as it is."""
        own = "CrossModalBackwardReasoning" in self.own
        return self.config.kernels != "plain" and not own and type(self.cbr) is CrossModalBackwardReasoning

    def before(self, grid: Float[Tensor, "B C H W"]) -> Before:
        """What both passes need of the picture before."""
        tokens = self.encoder.tokens(grid)
        layer = self.encoder.layers[0]
        own = "CrossViewLayer" in self.own
        shares = self.config.kernels != "plain" and not own and type(layer) is CrossViewLayer
        query, key, value = layer.attention.project(tokens) if shares else (None, None, None)
        share = share_of_picture(self.cbr, tokens) if self.folds and self.cbr is not None else None
        return Before(tokens, query, key, value, share)

    def pass_losses(self, pairs: Pairs, before: Before | None = None) -> dict[str, Tensor]:
        """The loss parts of one pass, over change pairs or over no-change pairs."""
        before = before or self.before(pairs.before)
        after = self.encoder.tokens(pairs.after)
        difference = self.encoder.compare(before.tokens, after, self.config.cross_view, before.projected)
        states, logits = self.decoder(pairs.words, difference.tokens)
        target = F.pad(pairs.words[:, 1:], (0, 1))
        total = F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=0, reduction="sum")
        parts = {"caption": global_mean(total, (target != 0).sum())}
        if difference.similarity_b2a is not None and difference.similarity_a2b is not None:
            both = pieces.info_nce(difference.similarity_b2a) + pieces.info_nce(difference.similarity_a2b)
            parts["cross_view"] = both / 2
        if self.cbr is not None:
            reason = partial(self.cbr, before.tokens)
            if before.share is not None:
                reason = partial(folded_reasoning, self.cbr, before.share)
            parts["cross_modal"] = reason(states, pairs.words != 0, after)
        return parts

    @torch.no_grad()
    def after_step(self) -> None:
        """Clamp every logit scale to at most ln 100."""
        for name, parameter in self.named_parameters():
            if name.endswith("logit_scale"):
                parameter.clamp_(max=LARGEST_LOGIT_SCALE)

    @torch.no_grad()
    def caption(self, pairs: Pairs, search: Search) -> Captions:
        difference = self.encoder(pairs.before, pairs.after, match=False)
        return search_captions(self.decoder, difference.tokens, search)

    @classmethod
    def from_released(cls, path: str | Path, vocabulary: Vocabulary, **config: Any) -> ScorerCBR:
        """A system with the weights of a published snapshot; CBR, which snapshots lack, is fresh.

        config: fields of ScorerCBRConfig that the snapshot does not tell, such as heads. Raises UserError
        when the file is no such snapshot or the vocabulary has another size.
        """
        path = Path(path)
        check_released(path)
        try:
            snapshot = torch.load(path, map_location="cpu", weights_only=True)
            encoder, decoder = snapshot["change_detector_state"], snapshot["speaker_state"]
        except (pickle.UnpicklingError, RuntimeError, OSError, KeyError, TypeError, EOFError) as error:
            raise UserError(
                f"{path} is not a published SCORER snapshot (a dictionary with change_detector_state and speaker_state, "
                f"made of tensors and plain values only): {error}"
            ) from error
        dim, channels = encoder["img.0.weight"].shape[:2]
        words, word_dim = decoder["core.embed.weight"].shape
        if words != len(vocabulary):
            raise UserError(
                f"{path} knows {words} words, the vocabulary has {len(vocabulary)}; pass the transformer_vocab.json "
                "that the snapshot was trained with."
            )
        known = {
            "dim": dim,
            "word_dim": word_dim,
            "encoder_layers": layer_count(encoder, "scorer."),
            "decoder_layers": layer_count(decoder, "core.layer."),
        }
        grid_shape = (
            channels - 2,
            len(encoder["h_embedding.weight"]),
            len(encoder["w_embedding.weight"]),
        )
        system = cls(
            ScorerCBRConfig(**(known | config)),
            vocabulary,
            grid_shape,
            len(decoder["core.position_enc.pe"]),
        )
        try:
            system.encoder.load_state_dict(
                {name: encoder[old] for name, old in encoder_names(system).items()}
            )
            system.decoder.load_state_dict(
                {name: decoder[old] for name, old in decoder_names(system).items()}
            )
        except (KeyError, RuntimeError) as error:
            raise UserError(f"{path} is not a published SCORER snapshot: {error}") from error
        if system.cbr is not None:
            log.info("published snapshots do not hold CBR; its weights are freshly initialised")
        return system.eval()

    def to_released(self, path: str | Path) -> None:
        """Write a snapshot in the published layout; CBR is left out, as there."""
        encoder, decoder = self.encoder.state_dict(), self.decoder.state_dict()
        state = {
            "change_detector_state": {old: encoder[name] for name, old in encoder_names(self).items()},
            "speaker_state": {old: decoder[name] for name, old in decoder_names(self).items()}
            | {"core.position_enc.pe": self.decoder.get_buffer("position")},
            "model_cfg": {
                name: getattr(self.config, name) for name in ("dim", "heads", "word_dim", "dropout")
            },
        }
        with atomic_write(path) as temporary:
            torch.save(state, temporary)


def layer_count(state: dict[str, Tensor], prefix: str) -> int:
    """How many numbered layers there are below `prefix`."""
    return 1 + max(int(name.removeprefix(prefix).split(".")[0]) for name in state if name.startswith(prefix))


def renamed(name: str, table: dict[str, str]) -> str:
    """`name` with the beginning that stands in the table replaced; unchanged if there is none."""
    for ours, theirs in table.items():
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    return name


def released_names(
    module: nn.Module, outer: dict[str, str], inner: dict[str, str], layer: str
) -> dict[str, str]:
    """Our names of a module's tensors -> the published ones; `layer` begins those of numbered layers."""
    result = {}
    for name in module.state_dict():
        if name.startswith("layers."):
            number, rest = name.removeprefix("layers.").split(".", 1)
            result[name] = f"{layer}{number}.{renamed(rest, inner)}"
        else:
            result[name] = renamed(name, outer)
    return result


def encoder_names(system: ScorerCBR) -> dict[str, str]:
    """Our names of the encoder's tensors -> the published ones."""
    outer = {
        "project.": "img.0.",
        "column.": "w_embedding.",
        "row.": "h_embedding.",
        "difference.": "embed_fc.0.",
    }
    inner = {"layer_norm.": "attention.layer_norm.", "logit_scale": "attention.logit_scale"}
    return released_names(system.encoder, outer, inner, "scorer.")


def decoder_names(system: ScorerCBR) -> dict[str, str]:
    """Our names of the decoder's tensors -> the published ones."""
    outer = {"embed.": "core.embed.", "widen.": "core.fc.0.", "norm.": "core.fc.2.", "logits.": "logit."}
    inner = {
        "self_norm.": "norm1.",
        "cross_attention.": "dec_enc_attention.",
        "cross_norm.": "norm2.",
        "hidden.": "hidden_intermediate.dense.",
        "output.": "output.dense.",
        "output_norm.": "output.LayerNorm.",
    }
    return released_names(system.decoder, outer, inner, "core.layer.")
