"""The pieces a student writes: short, readable, torch only."""

from idc.pieces.attention import (
    CrossAttention,
    MultiHeadAttention,
    SelfAttention,
    attention,
    split_heads,
)
from idc.pieces.cbr import CrossModalBackwardReasoning, Hallucination, joint_loss, sentence_vector
from idc.pieces.infonce import info_nce
from idc.pieces.matching import multi_head_token_matching, token_matching
from idc.pieces.positions import grid_encoding, sinusoidal_encoding
from idc.pieces.scorer import CrossView, CrossViewLayer, Difference, Scorer, difference_tokens

__all__ = [
    "CrossAttention",
    "CrossModalBackwardReasoning",
    "CrossView",
    "CrossViewLayer",
    "Difference",
    "Hallucination",
    "MultiHeadAttention",
    "Scorer",
    "SelfAttention",
    "attention",
    "difference_tokens",
    "grid_encoding",
    "info_nce",
    "joint_loss",
    "multi_head_token_matching",
    "sentence_vector",
    "sinusoidal_encoding",
    "split_heads",
    "token_matching",
]
