"""The picture itself as a grid, for systems that bring a network of their own, such as CLIP.

pixels96 and pixels224 squash a picture to 96 x 96 or 224 x 224 (bicubic, both sides forced, no crop) and keep every
pixel in [0, 1]. All values are multiples of 1/255, and a store in half precision keeps those apart: times 255 and
rounded, they are the very bytes again. Whoever reads them normalises them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from idc.backbones.backbone import Backbone
from idc.errors import UserError


class Pixels96(Backbone):
    """Picture -> grid (3, 96, 96); there is nothing to learn in it."""

    name = "pixels96"
    grid_shape = (3, 96, 96)

    def preprocess(self, image: Image.Image) -> Float[Tensor, "3 h w"]:
        _, height, width = self.grid_shape
        squashed = image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
        return torch.from_numpy(np.array(squashed)).permute(2, 0, 1).float() / 255

    def forward(self, images: Float[Tensor, "B 3 h w"]) -> Float[Tensor, "B C H W"]:
        return images


class Pixels224(Pixels96):
    """Picture -> grid (3, 224, 224), the size of the published CLIP."""

    name = "pixels224"
    grid_shape = (3, 224, 224)


def load(name: str, weights: str | Path | None = None) -> Pixels96:
    """pixels96 or pixels224. Raises UserError for weights: there are none to be given."""
    if weights is not None:
        raise UserError(
            f"the backbone {name} hands on the pictures' pixels and has no weights; leave {weights} out."
        )
    return {backbone.name: backbone for backbone in (Pixels96, Pixels224)}[name]().eval()
