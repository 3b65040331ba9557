"""The small bundled backbone: a convolutional net that reads the rendered world's pictures.

It was trained to say, for every cell of a 14 x 14 grid, what the objects seen in that cell look like
(`data_scripts/train_backbone.py`; provenance and accuracy in `idc/assets/backbone_rendered.json`).
The classifiers are thrown away; the grid before them is what a captioner sees.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from idc.backbones.backbone import Backbone
from idc.errors import UserError

WEIGHTS = Path(__file__).parent.parent / "assets" / "backbone_rendered.safetensors"
INPUT_SIZE = 112  # both sides; the picture is squashed, as the published features squash to 224


def squash(image: Image.Image) -> np.ndarray:
    """(112, 112, 3) uint8: both sides forced, each pixel the mean of those it covers."""
    return np.array(image.convert("RGB").resize((INPUT_SIZE, INPUT_SIZE), Image.Resampling.BOX))


class Residual(nn.Module):
    """x + two 3x3 convolutions of x, the second one dilated to look further."""

    def __init__(self, channels: int, dilation: int = 1):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        return F.relu(x + self.body(x))


def down(inputs: int, outputs: int) -> nn.Sequential:
    """Halve the resolution, widen the channels."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class RenderedBackbone(Backbone):
    """Picture (3, 112, 112) -> cells (96, 14, 14) -> grid (384, 7, 7).

    Four neighbouring cells are stacked into one token (space to depth), so a captioner handles 49
    tokens instead of 196 and loses nothing.
    """

    name = "rendered"
    grid_shape = (384, 7, 7)

    def __init__(self, widths: tuple[int, int, int] = (32, 64, 96)):
        super().__init__()
        first, second, third = widths
        self.net = nn.Sequential(
            down(3, first),
            Residual(first),
            down(first, second),
            Residual(second),
            Residual(second),
            down(second, third),
            Residual(third),
            Residual(third, dilation=2),
            Residual(third),
        )

    def preprocess(self, image: Image.Image) -> Float[Tensor, "3 h w"]:
        """Squash to 112 x 112, scale to [-1, 1]."""
        return torch.from_numpy(squash(image)).permute(2, 0, 1).float() / 127.5 - 1.0

    def cells(self, images: Float[Tensor, "B 3 h w"]) -> Float[Tensor, "B C Y X"]:
        """The grid at full resolution, before cells are stacked."""
        return self.net(images)

    def forward(self, images: Float[Tensor, "B 3 h w"]) -> Float[Tensor, "B C H W"]:
        return F.pixel_unshuffle(self.cells(images), 2)


def load(weights: str | Path | None = None) -> RenderedBackbone:
    """The trained backbone, frozen. `weights` is a safetensors file; None takes the bundled one."""
    path = Path(weights) if weights is not None else WEIGHTS
    if not path.is_file():
        raise UserError(
            f"no weights of the rendered world's backbone at {path}. They are part of the kit; "
            "`python data_scripts/train_backbone.py` makes them anew."
        )
    backbone = RenderedBackbone()
    state = {name: tensor.float() for name, tensor in load_file(path).items()}
    expected = {name for name in backbone.state_dict() if not name.endswith("num_batches_tracked")}
    if set(state) != expected:
        differing = ", ".join(sorted(set(state) ^ expected)[:4])
        raise UserError(
            f"{path} does not hold the weights of the rendered world's backbone: {differing} differ. "
            "Leave the path out to take the bundled weights."
        )
    backbone.load_state_dict(state, strict=False)
    return backbone.eval().requires_grad_(False)
