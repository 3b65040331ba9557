"""Two pictures through CLIP's vision transformer: first each on its own, then both together."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from idc.systems.clip4idc.clip import normalised


class PairEncoder(nn.Module):
    """What turns CLIP's picture encoder into an encoder of pairs; CLIP itself is lent for each call.

    x_p = LN_pre([class, patches of p] + positions), through the first `alone` blocks     for p = before, after
    H = LN_post(further blocks(LN_mid([x_before + b, x_after + a] + J))) W

    J is `joint_positional_embedding` (2 S, W), b and a are `before_embedding` and `after_embedding` (W), S = grid^2 + 1
    the tokens of a picture. The blocks, LN_pre, LN_post and W are CLIP's own; tokens of both pictures look at each
    other freely in the further blocks.
    CLIP4IDC, as released; that code counts on S = 50, here S is read off the transformer.
    """

    def __init__(self, visual: Any, alone: int):
        super().__init__()
        self.tokens, width = visual.positional_embedding.shape
        self.blocks_alone = alone
        scale = width**-0.5
        self.joint_positional_embedding = nn.Parameter(scale * torch.randn(2 * self.tokens, width))
        self.before_embedding = nn.Parameter(scale * torch.randn(width))
        self.after_embedding = nn.Parameter(scale * torch.randn(width))
        self.ln_mid = nn.LayerNorm(width)

    def alone(self, visual: Any, pictures: Float[Tensor, "B 3 h w"]) -> Float[Tensor, "B S W"]:
        """Pictures in [0, 1] through the first blocks, each on its own."""
        patches = visual.conv1(normalised(pictures)).flatten(2).transpose(1, 2)
        first = visual.class_embedding.to(patches.dtype).expand(len(patches), 1, -1)
        x = visual.ln_pre(torch.cat([first, patches], 1) + visual.positional_embedding)
        for block in visual.transformer.resblocks[: self.blocks_alone]:
            x = block(x)
        return x

    def together(
        self, visual: Any, before: Float[Tensor, "B S W"], after: Float[Tensor, "B S W"]
    ) -> Float[Tensor, "B S2 D"]:
        """The tokens of both pictures through the further blocks and CLIP's projection: H, with S2 = 2 S."""
        x = torch.cat([before + self.before_embedding, after + self.after_embedding], 1)
        x = self.ln_mid(x + self.joint_positional_embedding)
        for block in visual.transformer.resblocks[self.blocks_alone :]:
            x = block(x)
        return visual.ln_post(x) @ visual.proj

    def forward(
        self, visual: Any, before: Float[Tensor, "B 3 h w"], after: Float[Tensor, "B 3 h w"]
    ) -> Float[Tensor, "B S2 D"]:
        return self.together(visual, *self.alone(visual, torch.cat([before, after])).chunk(2))

    def vector(self, hidden: Float[Tensor, "B S2 D"]) -> Float[Tensor, "B D"]:
        """One vector for a pair: the mean of the two class tokens of H."""
        return (hidden[:, 0] + hidden[:, self.tokens]) / 2
