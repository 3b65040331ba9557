"""SCORER: reconstruct what both pictures share, keep what differs (Tu et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from idc.pieces.attention import CrossAttention, Projected
from idc.pieces.chosen import pieces
from idc.pieces.matching import Matching, token_matching


@dataclass(frozen=True)
class CrossView:
    """What a cross-view layer gives. The similarities are None where they were not asked for.

    before, after: (B, N, D). similarity_b2a, similarity_a2b: (B, B), scaled, rows are queries.
    weights_before, weights_after: (B, H, N, N), where each token of a picture looked in the other; None where
    the attention did not keep them.
    """

    before: Float[Tensor, "B N D"]
    after: Float[Tensor, "B N D"]
    similarity_b2a: Float[Tensor, "Q Q"] | None
    similarity_a2b: Float[Tensor, "Q Q"] | None
    weights_before: Float[Tensor, "B H N N"] | None
    weights_after: Float[Tensor, "B H N N"] | None


class CrossViewLayer(nn.Module):
    """Each picture is rebuilt from the other; how well the two match gives a similarity.

    before' = LayerNorm(before + CrossAttention(before, after)), and the other way round with the same weights
    similarity_b2a = exp(logit_scale) matching(W_q before, W_k after)

    matching: what compares two sets of tokens; `match=False` leaves the similarities out.
    projected: `attention.project(before)`, where it is known already.
    logit_scale starts at 1, so the factor starts at e; the system clamps it to at most ln 100.
    """

    def __init__(self, dim: int, heads: int, dropout: float = 0.1, matching: Matching = token_matching):
        super().__init__()
        self.attention = CrossAttention(dim, heads, dropout)
        self.layer_norm = nn.LayerNorm(dim, eps=1e-6)
        self.logit_scale = nn.Parameter(torch.ones(()))
        self.matching = matching

    def forward(
        self,
        before: Float[Tensor, "B N D"],
        after: Float[Tensor, "B N D"],
        match: bool = True,
        projected: Projected | None = None,
    ) -> CrossView:
        attention, scale = self.attention, self.logit_scale.exp()
        # Each picture asks and is asked; attention and matching use the same projections.
        query_before, key_before, value_before = projected or attention.project(before)
        query_after, key_after, value_after = attention.project(after)
        from_after, weights_before = attention.between(query_before, key_after, value_after)
        from_before, weights_after = attention.between(query_after, key_before, value_before)
        return CrossView(
            self.layer_norm(before + from_after),
            self.layer_norm(after + from_before),
            scale * self.matching(query_before, key_after) if match else None,
            scale * self.matching(query_after, key_before) if match else None,
            weights_before,
            weights_after,
        )


@dataclass(frozen=True)
class Difference:
    """What changed, as tokens (B, N, D), with the projected pictures and the last layer's similarities."""

    tokens: Float[Tensor, "B N D"]
    before: Float[Tensor, "B N D"]
    after: Float[Tensor, "B N D"]
    similarity_b2a: Float[Tensor, "Q Q"] | None
    similarity_a2b: Float[Tensor, "Q Q"] | None


def difference_tokens(
    before: Float[Tensor, "B N D"],
    after: Float[Tensor, "B N D"],
    weight: Float[Tensor, "D D2"],
    bias: Float[Tensor, "D"],
) -> Float[Tensor, "B N D"]:
    """What a cell of both rebuilt pictures tells about the change.

    difference = ReLU(W [before ; after] + b)

    weight: W, (D, 2 D). bias: b, (D).

    Tu et al. 2023, difference representation.
    """
    return F.linear(torch.cat([before, after], dim=-1), weight, bias).relu()


def coordinates(like: Float[Tensor, "B C H W"]) -> Float[Tensor, "2 H W"]:
    """Where the cells of a grid are: x, then y, each 2 i / size - 1."""
    height, width = like.shape[2:]
    y = 2 * torch.arange(height, device=like.device, dtype=like.dtype) / height - 1
    x = 2 * torch.arange(width, device=like.device, dtype=like.dtype) / width - 1
    return torch.stack([x.expand(height, width), y[:, None].expand(height, width)])


def with_coordinates(grid: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C2 H W"]:
    """The grid with two more channels, its `coordinates`."""
    return torch.cat([grid, coordinates(grid).expand(len(grid), -1, -1, -1)], dim=1)


class Scorer(nn.Module):
    """Two grids (B, C, H, W) to difference tokens (B, H W, D), row by row.

    Project both grids, with coordinates, by one 1x1 convolution and add a learned 2-D position; pass the cross-view layers;
    tokens = ReLU(Dropout(W [before' ; after'])). Only the last layer's similarities reach the loss, so
    only they are computed, and only when `match` is asked for.

    channels: C of the grids, coordinates excluded. height, width: of the grids. matching: None for `token_matching`.
    Raises ValueError for grids of another shape.
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        dim: int,
        heads: int,
        layers: int,
        dropout: float = 0.1,
        matching: Matching | None = None,
    ):
        super().__init__()
        self.shape = (channels, height, width)
        self.project = nn.Conv2d(channels + 2, dim, 1)
        self.column = nn.Embedding(width, dim // 2)
        self.row = nn.Embedding(height, dim // 2)
        self.layers: Sequence[CrossViewLayer] = nn.ModuleList(  # type: ignore[assignment]
            pieces.CrossViewLayer(dim, heads, dropout, matching or pieces.token_matching)
            for _ in range(layers)
        )
        self.difference = nn.Linear(2 * dim, dim)
        self.dropout = nn.Dropout(dropout)

    def tokens(self, grid: Float[Tensor, "B C H W"]) -> Float[Tensor, "B N D"]:
        """The grid's cells as tokens, with their positions."""
        if tuple(grid.shape[1:]) != self.shape:
            raise ValueError(
                f"grids of shape {self.shape} (C, H, W) were expected, but {tuple(grid.shape[1:])} came; "
                "the features belong to another backbone than the model"
            )
        # What the projection makes of the coordinates is the same in every grid, as the position is.
        of_grid, of_place = self.project.weight.split([self.shape[0], 2], dim=1)
        position = pieces.grid_encoding(self.column.weight, self.row.weight)  # (H, W, D)
        place = position + F.conv2d(coordinates(grid), of_place, self.project.bias).permute(1, 2, 0)
        projected = F.conv2d(grid, of_grid).permute(0, 2, 3, 1)  # (B, H, W, D)
        return (place + projected).flatten(1, 2)  # laid out as the place: row by row

    def forward(
        self,
        before_grid: Float[Tensor, "B C H W"],
        after_grid: Float[Tensor, "B C H W"],
        match: bool = True,
    ) -> Difference:
        return self.compare(self.tokens(before_grid), self.tokens(after_grid), match)

    def compare(
        self,
        first: Float[Tensor, "B N D"],
        second: Float[Tensor, "B N D"],
        match: bool = True,
        projected: Projected | None = None,
    ) -> Difference:
        """What is different between two pictures given as tokens.

        projected: of `first`, by the first layer; who compares one picture with several computes it once.
        """
        before, after = first, second
        similarity_b2a = similarity_a2b = None
        for number, layer in enumerate(self.layers, start=1):
            last = number == len(self.layers)
            known = () if projected is None else (projected,)
            view = layer(before, after, match and last, *known)
            projected = None
            before, after = view.before, view.after
            similarity_b2a, similarity_a2b = view.similarity_b2a, view.similarity_a2b
        tokens = pieces.difference_tokens(before, after, self.difference.weight, self.difference.bias)
        return Difference(self.dropout(tokens), first, second, similarity_b2a, similarity_a2b)
