"""Cross-modal backward reasoning with fewer products of all tokens.

Between the picture and the self-attention there are only linear maps, and so again between the self-attention and the
matching. Their matrices are multiplied with each other first, and the picture's share is computed once for all the
sentences that are said about it:

    W_qkv (W_1 [before ; sentence] + b_1) = (W_qkv W_1b) before + (W_qkv W_1s) sentence + W_qkv b_1
    W_q (W_2 (W_o context) + b_2) + b_q = (W_q W_2 W_o) context + (W_q b_2 + b_q)
"""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from idc.pieces.cbr import CrossModalBackwardReasoning
from idc.pieces.chosen import pieces


def share_of_picture(
    cbr: CrossModalBackwardReasoning, before: Float[Tensor, "B N D"]
) -> Float[Tensor, "B N D3"]:
    """What the picture adds to queries, keys and values."""
    of_picture, _ = cbr.merge.weight.chunk(2, dim=1)
    return F.linear(before, cbr.qkv.weight @ of_picture)


def folded_reasoning(
    cbr: CrossModalBackwardReasoning,
    share: Float[Tensor, "B N D3"],
    words: Float[Tensor, "B L D"],
    word_mask: Bool[Tensor, "B L"],
    after: Float[Tensor, "B N D"],
) -> Float[Tensor, ""]:
    """`cbr(before, words, word_mask, after)` with `share = share_of_picture(cbr, before)`."""
    _, of_sentence = cbr.merge.weight.chunk(2, dim=1)
    sentence = pieces.sentence_vector(words, word_mask, cbr.sentence_mean)
    told = F.linear(sentence, of_sentence, cbr.merge.bias)
    qkv = share + F.linear(told, cbr.qkv.weight)[:, None]
    query, key, value = (part.unflatten(-1, (cbr.heads, -1)).transpose(1, 2) for part in qkv.chunk(3, dim=-1))
    context, _ = cbr.attend(query, key, value)
    imagine = cbr.query.weight @ cbr.imagine.weight
    bias = F.linear(cbr.imagine.bias, cbr.query.weight, cbr.query.bias)
    asked = F.linear(context.transpose(1, 2).flatten(2), imagine @ cbr.out.weight, bias)
    similarity = cbr.logit_scale.exp() * cbr.matching(asked, cbr.key(after))
    return (pieces.info_nce(similarity) + pieces.info_nce(similarity.T)) / 2
