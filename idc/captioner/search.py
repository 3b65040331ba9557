"""From next-word probabilities to a caption: greedy, sampled, beam."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from idc.errors import UserError

if TYPE_CHECKING:
    from idc.captioner.decoder import CaptionDecoder

NULL, UNK, START, END = range(4)
METHODS = ("greedy", "sample", "beam")


@dataclass(frozen=True)
class Special:
    """The ids that are no words; by default those of `idc.data.vocabulary`. unk: None where every word has an id."""

    null: int = NULL
    unk: int | None = UNK
    start: int = START
    end: int = END


@dataclass(frozen=True)
class Search:
    """How to choose words. Raises UserError for values that make no sense.

    method: "greedy" takes the likeliest word, "sample" draws one, "beam" keeps the `beams` likeliest
    captions. temperature: divides the logits when sampling. length_penalty: beam scores are divided by
    length^penalty; 0 compares plain log-probabilities. seed: of sampling.
    """

    method: str = "greedy"
    beams: int = 5
    temperature: float = 1.0
    length_penalty: float = 0.0
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UserError(f"there is no search “{self.method}”; choose one of {', '.join(METHODS)}.")
        if self.beams < 1 or self.temperature <= 0:
            raise UserError(
                f"beams is {self.beams} and temperature {self.temperature}; both must be positive."
            )


@dataclass(frozen=True)
class Captions:
    """B captions.

    tokens: (B, L) the decoder's ids without START; END closes a caption, 0 follows it. log_probability: (B,), nats, of
    the caption with its END. attention: (B, L, N), where the last decoder layer looked for each word.
    """

    tokens: Int[Tensor, "B L"]
    log_probability: Float[Tensor, "B"]
    attention: Float[Tensor, "B L N"]


@torch.no_grad()
def search_captions(decoder: CaptionDecoder, picture: Float[Tensor, "B N D"], search: Search) -> Captions:
    """Captions for B pictures; <UNK> is never said."""
    if search.method == "beam":
        return beam(decoder, picture, search)
    return one_by_one(decoder, picture, search)


def next_words(logits: Float[Tensor, "B V"], special: Special) -> Float[Tensor, "B V"]:
    """Log-probabilities of the next word, <UNK> ruled out."""
    scores = logits.float().log_softmax(-1)
    if special.unk is not None:
        scores[:, special.unk] = -torch.inf
    return scores


def one_by_one(decoder: CaptionDecoder, picture: Float[Tensor, "B N D"], search: Search) -> Captions:
    """Greedy or sampled, one word of every caption at a time, until all have ended."""
    batch, special = len(picture), decoder.special
    generator = torch.Generator(picture.device)
    if search.seed is None:
        generator.seed()
    else:
        generator.manual_seed(search.seed)
    caches = decoder.remember(picture)
    word = torch.full((batch,), special.start, device=picture.device)
    unfinished = torch.ones(batch, dtype=torch.bool, device=picture.device)
    total = torch.zeros(batch, device=picture.device)
    tokens, looked = [], []
    for position in range(decoder.max_words):
        logits, attention = decoder.step(word, position, caches)
        scores = next_words(logits, special)
        if search.method == "greedy":
            word = scores.argmax(-1)
        else:
            chances = (scores / search.temperature).softmax(-1)
            word = torch.multinomial(chances, 1, generator=generator)[:, 0]
        total = total + scores.gather(1, word[:, None])[:, 0].where(unfinished, 0)
        word = word.where(unfinished, special.null)
        tokens.append(word)
        looked.append(attention)
        unfinished = unfinished & (word != special.end)
        if not unfinished.any():
            break
    return Captions(torch.stack(tokens, 1), total, torch.stack(looked, 1))


def beam(decoder: CaptionDecoder, picture: Float[Tensor, "B N D"], search: Search) -> Captions:
    """The likeliest of the captions reached by always keeping the `beams` best beginnings.

    An ended caption keeps its place in the beam, followed by 0 at no cost.
    """
    batch, width, special = len(picture), search.beams, decoder.special
    device = picture.device
    caches = decoder.remember(picture, width)
    first_row = torch.arange(batch, device=device)[:, None] * width
    # Only the first hypothesis of each picture counts at the start: all are the same.
    total = torch.full((batch, width), -torch.inf, device=device)
    total[:, 0] = 0
    word = torch.full((batch * width,), special.start, device=device)
    ended = torch.zeros(batch * width, dtype=torch.bool, device=device)
    length = torch.zeros(batch * width, device=device)
    tokens = torch.empty(batch * width, 0, dtype=torch.long, device=device)
    looked = torch.empty(batch * width, 0, picture.shape[1], device=device)
    for position in range(decoder.max_words):
        logits, attention = decoder.step(word, position, caches)
        scores = next_words(logits, special)
        scores[ended] = -torch.inf
        scores[ended, special.null] = 0
        sums = total.flatten()[:, None] + scores  # (B K, V)
        lengths = (length + (~ended).float())[:, None].expand_as(sums)
        ranking = sums / lengths.clamp(min=1) ** search.length_penalty
        vocabulary = scores.shape[1]
        best = ranking.view(batch, -1).topk(width, dim=1).indices  # (B, K) into K V
        rows = (first_row + best // vocabulary).flatten()
        word = (best % vocabulary).flatten()
        total = sums.view(batch, -1).gather(1, best)
        length = lengths.reshape(batch, -1).gather(1, best).flatten()
        for cache in caches:
            cache.select(rows)
        tokens = torch.cat([tokens[rows], word[:, None]], 1)
        looked = torch.cat([looked[rows], attention[rows, None]], 1)
        ended = ended[rows] | (word == special.end)
        if ended.all():
            break
    final = total / length.view(batch, width).clamp(min=1) ** search.length_penalty
    winner = (first_row[:, 0] + final.argmax(1)).long()
    return Captions(tokens[winner], total.flatten()[winner], looked[winner])
