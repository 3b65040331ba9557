"""The captioner: encoder layers that look further and further, each watched by one layer of the decoder.

Names of its tensors, with those of the published snapshots (`decoder.` before each) where they differ:

    embed_norm                                      embeddings.LayerNorm
    encoder.I.attention.{query,key,value}           encoder.layer.I.slf_attn.att.{query,key,value}
    encoder.I.attention_output, .attention_norm     encoder.layer.I.slf_attn.output.{dense,LayerNorm}
    encoder.I.hidden, .output, .output_norm         encoder.layer.I.{intermediate.dense,output.dense,output.LayerNorm}
    decoder.I.self_attention.{query,key,value}      decoder.layer.I.slf_attn.att.{query,key,value}
    decoder.I.self_output, .self_norm               decoder.layer.I.slf_attn.output.{dense,LayerNorm}
    decoder.I.cross_attention.{query,key,value}     decoder.layer.I.enc_attn.att.{query,key,value}
    decoder.I.cross_output, .cross_norm             decoder.layer.I.enc_attn.output.{dense,LayerNorm}
    decoder.I.hidden, .output, .output_norm         decoder.layer.I.{intermediate.dense,output.dense,output.LayerNorm}
    head.dense, head.norm                           classifier.cls.predictions.transform.{dense,LayerNorm}
    head.bias                                       classifier.cls.predictions.bias
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from idc.captioner.decoder import CaptionDecoder, DecoderLayer
from idc.captioner.search import Special
from idc.pieces.chosen import pieces

EPS = 1e-12  # of every LayerNorm here


class EncoderLayer(nn.Module):
    """Tokens look at each other, then think, normalised after each step.

    a = LN(x + Dropout(W SelfAttention(x))),  out = LN(a + Dropout(W_2 gelu(W_1 a)))
    """

    def __init__(self, dim: int, heads: int, hidden: int, dropout: float):
        super().__init__()
        self.attention = pieces.SelfAttention(dim, heads, dropout)
        self.attention_output = nn.Linear(dim, dim)
        self.attention_norm = nn.LayerNorm(dim, EPS)
        self.hidden = nn.Linear(dim, hidden)
        self.output = nn.Linear(hidden, dim)
        self.output_norm = nn.LayerNorm(dim, EPS)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        x = self.attention_norm(x + self.dropout(self.attention_output(self.attention(x))))
        return self.output_norm(x + self.dropout(self.output(F.gelu(self.hidden(x)))))


class LayerwiseDecoderLayer(DecoderLayer):
    """Words look at earlier words, then at one layer of the encoder, then think, normalised after each step.

    a = LN(x + Dropout(W SelfAttention(x))),  c = LN(a + Dropout(W CrossAttention(a, memory)))
    out = LN(c + Dropout(W_2 gelu(W_1 c)))
    """

    def __init__(self, dim: int, heads: int, hidden: int, dropout: float):
        super().__init__(dim, heads, dropout, hidden, EPS)
        self.self_output = nn.Linear(dim, dim)
        self.cross_output = nn.Linear(dim, dim)

    def after_words(
        self, x: Float[Tensor, "B L D"], context: Float[Tensor, "B L D"]
    ) -> Float[Tensor, "B L D"]:
        return self.self_norm(x + self.dropout(self.self_output(context)))

    def after_picture(
        self, x: Float[Tensor, "B L D"], context: Float[Tensor, "B L D"]
    ) -> Float[Tensor, "B L D"]:
        return self.cross_norm(x + self.dropout(self.cross_output(context)))

    def think(self, x: Float[Tensor, "B L D"]) -> Float[Tensor, "B L D"]:
        return self.output_norm(x + self.dropout(self.output(F.gelu(self.hidden(x)))))


class Head(nn.Module):
    """Hidden states to logits of V words: LN(gelu(W h)) E^T + bias, with the word table E (V, D)."""

    def __init__(self, dim: int, words: int):
        super().__init__()
        self.dense = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim, EPS)
        self.bias = nn.Parameter(torch.zeros(words))

    def forward(self, x: Float[Tensor, "*B D"], table: Float[Tensor, "V D"]) -> Float[Tensor, "*B V"]:
        return F.linear(self.norm(F.gelu(self.dense(x))), table, self.bias)


class Captioner(CaptionDecoder):
    """Ids (B, L) and the pair's tokens H (B, N, D) to hidden states (B, L, D) and logits (B, L, V).

    m_0 = H,  m_i = EncoderLayer_i(m_(i-1)),  y_0 = Dropout(LN(E[ids] + P)),  y_i = DecoderLayer_i(y_(i-1), m_i)

    The decoder's layer i sees what the encoder's layer i makes of the pair. E and P are the word and the position table
    of CLIP's text tower, which stay CLIP's: E is the decoder's input and, in the head, its output.
    CLIP4IDC, as released; in Vaswani et al. 2017 every layer of the decoder would see m_n.
    """

    def __init__(
        self,
        clip: Any,
        max_words: int,
        special: Special,
        heads: int,
        layers: int,
        hidden: int,
        dropout: float,
    ):
        super().__init__(max_words, special)
        words, dim = clip.token_embedding.weight.shape
        self.lent = (clip,)  # in a tuple, so that CLIP's parameters are not the captioner's, too
        self.embed_norm = nn.LayerNorm(dim, EPS)
        self.dropout = nn.Dropout(dropout)
        self.encoder = nn.ModuleList(EncoderLayer(dim, heads, hidden, dropout) for _ in range(layers))
        self.decoder = nn.ModuleList(
            LayerwiseDecoderLayer(dim, heads, hidden, dropout) for _ in range(layers)
        )
        self.layers: Sequence[DecoderLayer] = tuple(self.decoder)  # type: ignore[arg-type]
        self.head = Head(dim, words)
        self.initialise()

    def enter(self, words: Int[Tensor, "B L"], start: int = 0) -> Float[Tensor, "B L D"]:
        (clip,) = self.lent
        position = clip.positional_embedding[start : start + words.shape[1]]
        return self.dropout(self.embed_norm(clip.token_embedding(words) + position))

    def seen(self, picture: Float[Tensor, "B N D"]) -> Iterator[Float[Tensor, "B N D"]]:
        for layer in self.encoder:
            picture = layer(picture)
            yield picture

    def logits(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B V"]:
        return self.head(x, self.lent[0].token_embedding.weight)
