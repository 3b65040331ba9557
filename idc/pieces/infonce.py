"""InfoNCE: tell the right partner from the rest of the batch."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def info_nce(similarity: Float[Tensor, "B B"]) -> Float[Tensor, ""]:
    """The contrastive loss of a similarity matrix.

    L = -1/B sum_i log( exp(similarity[i, i]) / sum_j exp(similarity[i, j]) )

    similarity: (B, B); rows are queries, columns are keys, the positive pairs lie on the diagonal; any
    temperature is already in it. Returns a scalar in nats; log B when all similarities are equal.
    The sum of exponentials is taken relative to its largest term, so similarities of 1e4 are fine.
    Raises ValueError when the matrix is not square.

    van den Oord et al. 2018, equation 4.
    """
    if similarity.ndim != 2 or similarity.shape[0] != similarity.shape[1]:
        raise ValueError(f"similarity must be square (B, B), but it has shape {tuple(similarity.shape)}")
    return (torch.logsumexp(similarity, dim=1) - similarity.diagonal()).mean()
