"""Pictures as they would look from a little elsewhere, in a little other light: what is said of them stays true."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def vary(
    pictures: Float[Tensor, "B 3 h w"],
    zoom: Float[Tensor, "B 2"],
    shift: Float[Tensor, "B 2"],
    light: Float[Tensor, "B"],
) -> Float[Tensor, "B 3 h w"]:
    """Pictures in [0, 1] from other places: the point p of a result shows zoom * p + shift, times light.

    Points are (x, y) in half pictures from the middle; a negative zoom in x mirrors. Beyond its border a picture goes on as
    it ends there.
    """
    placing = torch.cat([torch.diag_embed(zoom), shift[..., None]], -1)
    where = F.affine_grid(placing, list(pictures.shape), align_corners=False)
    moved = F.grid_sample(pictures, where, padding_mode="border", align_corners=False)
    return (moved * light[:, None, None, None]).clamp(0, 1)
