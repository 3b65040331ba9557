"""The pieces a student writes: short, readable, torch only."""

from idc.pieces.attention import CrossAttention, SelfAttention, attention
from idc.pieces.cbr import CrossModalBackwardReasoning
from idc.pieces.infonce import info_nce
from idc.pieces.matching import multi_head_token_matching, token_matching
from idc.pieces.positions import sinusoidal_encoding
from idc.pieces.scorer import CrossView, CrossViewLayer, Difference, Scorer

__all__ = [
    "CrossAttention",
    "CrossModalBackwardReasoning",
    "CrossView",
    "CrossViewLayer",
    "Difference",
    "Scorer",
    "SelfAttention",
    "attention",
    "info_nce",
    "multi_head_token_matching",
    "sinusoidal_encoding",
    "token_matching",
]
