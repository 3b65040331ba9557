"""Transformer decoders that turn tokens of pictures into words: what all share, and the one released with SCORER."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from idc.captioner.cache import LayerCache, Replay
from idc.captioner.search import Special
from idc.errors import UserError
from idc.pieces.attention import CrossAttention, causal_mask
from idc.pieces.chosen import pieces

# Cross-attention, words (B, L, D) and a picture (B, N, D) to their context and, where it is known, the weights.
Ask = Callable[[CrossAttention, Tensor, Tensor], tuple[Tensor, Tensor | None]]


class DecoderLayer(nn.Module):
    """Words look at earlier words, then at the picture, then think.

    a = LN(x + SelfAttention(x)),  c = LN(a + CrossAttention(a, picture)),  h = gelu(W_1 c)
    out = LN(Dropout(W_2 h) + h)

    The last residual goes around h, not around c, as in the released code. Other layers look in the same order and
    differ in what they make of it: `after_words`, `after_picture`, `think`. hidden: width of h, `dim` if None.
    ask: how words ask the picture; a fast twin may take its place.
    """

    ask: Ask = staticmethod(CrossAttention.__call__)

    def __init__(self, dim: int, heads: int, dropout: float, hidden: int | None = None, eps: float = 1e-6):
        super().__init__()
        hidden = hidden or dim
        self.self_attention = pieces.SelfAttention(dim, heads, dropout)
        self.self_norm = nn.LayerNorm(dim, eps)
        self.cross_attention = pieces.CrossAttention(dim, heads, dropout)
        self.cross_norm = nn.LayerNorm(dim, eps)
        self.hidden = nn.Linear(dim, hidden)
        self.output = nn.Linear(hidden, dim)
        self.output_norm = nn.LayerNorm(dim, eps)
        self.dropout = nn.Dropout(dropout)

    def after_words(
        self, x: Float[Tensor, "B L D"], context: Float[Tensor, "B L D"]
    ) -> Float[Tensor, "B L D"]:
        return self.self_norm(x + context)

    def after_picture(
        self, x: Float[Tensor, "B L D"], context: Float[Tensor, "B L D"]
    ) -> Float[Tensor, "B L D"]:
        return self.cross_norm(x + context)

    def think(self, x: Float[Tensor, "B L D"]) -> Float[Tensor, "B L D"]:
        hidden = F.gelu(self.hidden(x))
        return self.output_norm(self.dropout(self.output(hidden)) + hidden)

    def forward(
        self,
        x: Float[Tensor, "B L D"],
        picture: Float[Tensor, "B N D"],
        mask: Bool[Tensor, "B 1 L L"],
    ) -> tuple[Float[Tensor, "B L D"], Float[Tensor, "B H L N"] | None]:
        """What the layer makes of the words, and where each looked in the picture."""
        x = self.after_words(x, self.self_attention(x, mask))
        context, weights = self.ask(self.cross_attention, x, picture)
        return self.think(self.after_picture(x, context)), weights

    def remember(self, picture: Float[Tensor, "P N D"], captions: int, words: int) -> LayerCache:
        """A cache that knows the pictures, with room for words of some captions of each."""
        cross = self.cross_attention
        # Laid out as the products of every step need them, once.
        key, value = (cross.split(project(picture)).contiguous() for project in (cross.key, cross.value))
        pictures, heads, _, width = key.shape
        room = (pictures * captions, heads, words, width)
        return LayerCache(key, value, key.new_zeros(room), key.new_zeros(room))

    def step(
        self, x: Float[Tensor, "R 1 D"], cache: LayerCache
    ) -> tuple[Float[Tensor, "R 1 D"], Float[Tensor, "R H N"]]:
        """One more word, with everything before it in the cache; also where it looked in the picture.

        Not for training: the weights are only known while no gradients are recorded.
        """
        own, cross = self.self_attention, self.cross_attention
        so_far = cache.append(own.split(own.key(x)), own.split(own.value(x)))
        context, _ = own.look(own.split(own.query(x)), *so_far)
        x = self.after_words(x, context)
        # All captions of a picture ask it at once.
        query = cross.query(x).view(len(cache.picture_key), -1, x.shape[-1])  # (P, K, D)
        context, weights = cross.look(cross.split(query), cache.picture_key, cache.picture_value)
        assert weights is not None
        context = context.reshape_as(x)
        return self.think(self.after_picture(x, context)), weights.transpose(1, 2).flatten(0, 1)


class CaptionDecoder(nn.Module):
    """Word ids (B, L) and a picture's tokens (B, N, D) to hidden states (B, L, D) and logits (B, L, V).

    A decoder has `layers` and says how words enter, what each layer sees of the picture, and how likely every word is
    next (`logits`). max_words: L at most, START included. special: the ids that are no words.
    """

    layers: Sequence[DecoderLayer]
    logits: Callable[[Tensor], Tensor]

    def __init__(self, max_words: int, special: Special):
        super().__init__()
        self.max_words, self.special = max_words, special
        # Another attention than the library's knows no cache: then every word is said from the beginning.
        self.caches = not pieces.own.keys() & {"SelfAttention", "CrossAttention"}

    def enter(self, words: Int[Tensor, "B L"], start: int = 0) -> Float[Tensor, "B L D"]:
        """Embedded words, the first of which stands at position `start`."""
        raise NotImplementedError

    def seen(self, picture: Float[Tensor, "B N D"]) -> Iterator[Float[Tensor, "B N D"]]:
        """What each layer sees of the picture, in the order of the layers."""
        return (picture for _ in self.layers)

    def initialise(self) -> None:
        """Weights as N(0, 0.02), biases as 0."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(
        self, words: Int[Tensor, "B L"], picture: Float[Tensor, "B N D"]
    ) -> tuple[Float[Tensor, "B L D"], Float[Tensor, "B L V"]]:
        """All positions at once; a word sees itself and the words before it, never padding."""
        known = (words != self.special.null)[:, None, None]
        seen = causal_mask(words.shape[1], words.device) & known
        # A padded position may look at itself, so that no softmax is over nothing; no loss looks at it.
        mask = seen | torch.eye(words.shape[1], dtype=torch.bool, device=words.device)
        x = self.enter(words)
        for layer, memory in zip(self.layers, self.seen(picture), strict=True):
            x, _ = layer(x, memory, mask)
        return x, self.logits(x)

    def remember(self, picture: Float[Tensor, "P N D"], captions: int = 1) -> Sequence[LayerCache | Replay]:
        """Fresh caches, one per layer, for some captions of each picture."""
        if not self.caches:
            return [Replay(picture.repeat_interleave(captions, dim=0))]
        return [
            layer.remember(memory, captions, self.max_words)
            for layer, memory in zip(self.layers, self.seen(picture), strict=True)
        ]

    def step(
        self, word: Int[Tensor, "R"], position: int, caches: Sequence[LayerCache | Replay]
    ) -> tuple[Float[Tensor, "R V"], Float[Tensor, "R N"]]:
        """Logits of the word after `word`, and where the last layer looked, averaged over heads."""
        if isinstance(caches[0], Replay):
            return self.step_again(caches[0].append(word), caches[0].picture)
        x = self.enter(word[:, None], position)
        weights = x
        for layer, cache in zip(self.layers, caches, strict=True):
            assert isinstance(cache, LayerCache)
            x, weights = layer.step(x, cache)
        return self.logits(x)[:, 0], weights.mean(1)

    def step_again(
        self, words: Int[Tensor, "R L"], picture: Float[Tensor, "R N D"]
    ) -> tuple[Float[Tensor, "R V"], Float[Tensor, "R N"]]:
        """`step` without a cache, from all the words so far."""
        x, weights = self.enter(words), None
        mask = causal_mask(words.shape[1], words.device).expand(len(words), 1, -1, -1)
        for layer, memory in zip(self.layers, self.seen(picture), strict=True):
            x, weights = layer(x, memory, mask)
        if weights is None:
            raise UserError(
                "CrossAttention gives back no weights, so nobody knows where a word looked. It must give (context, weights)."
            )
        return self.logits(x[:, -1]), weights[:, :, -1].mean(1)


class Decoder(CaptionDecoder):
    """SCORER's: every layer sees the difference tokens as they are.

    Word embedding (V, word_dim) + sinusoids -> Linear -> Dropout -> LayerNorm -> layers -> Linear to V.
    """

    def __init__(
        self,
        vocabulary: int,
        max_words: int,
        word_dim: int,
        dim: int,
        heads: int,
        layers: int,
        dropout: float,
    ):
        super().__init__(max_words, Special())
        self.embed = nn.Embedding(vocabulary, word_dim, padding_idx=0)
        position = pieces.sinusoidal_encoding(max_words, word_dim).to(self.embed.weight.dtype)
        self.register_buffer("position", position, persistent=False)
        self.widen = nn.Linear(word_dim, dim)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.layers: Sequence[DecoderLayer] = nn.ModuleList(  # type: ignore[assignment]
            DecoderLayer(dim, heads, dropout) for _ in range(layers)
        )
        self.logits = nn.Linear(dim, vocabulary)
        self.initialise()

    def enter(self, words: Int[Tensor, "B L"], start: int = 0) -> Float[Tensor, "B L D"]:
        position = self.get_buffer("position")[start : start + words.shape[1]]
        return self.norm(self.dropout(self.widen(self.embed(words) + position)))
