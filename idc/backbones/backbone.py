"""What a backbone is: a frozen function from a picture to a grid."""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from idc.errors import UserError

BACKBONES = ("rendered", "resnet101", "pixels96", "pixels224")


class Backbone(nn.Module, ABC):
    """Picture to grid; `grid_shape` is (C, H, W)."""

    name: ClassVar[str]
    precision: ClassVar[str] = "float32"
    grid_shape: ClassVar[tuple[int, int, int]]

    @abstractmethod
    def preprocess(self, image: Image.Image) -> Float[Tensor, "3 h w"]:
        """The network's input for one picture."""

    def in_bfloat16(self) -> Backbone:
        """The same network in half precision, for speed; its grids are float32 but rounded on the way."""
        raise UserError(f"the backbone {self.name} has no bf16 version; leave --precision out.")

    @abstractmethod
    def forward(self, images: Float[Tensor, "B 3 h w"]) -> Float[Tensor, "B C H W"]:
        """Grids for a batch of preprocessed pictures."""


def open_image(path: str | Path) -> Image.Image:
    """The picture as RGB, wholly read. Raises UserError when it is missing, truncated or no picture."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"there is no picture at {path}. Render or download it, or correct the path.")
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError) as error:
        raise UserError(
            f"the picture {path} cannot be read ({error}); it may be truncated. Copy, download or render it again."
        ) from error


def load_backbone(name: str, weights: str | Path | None = None) -> Backbone:
    """A backbone by name, frozen and in evaluation mode. weights: a local file; None takes the default ones.

    Raises UserError for an unknown name or weights that do not fit.
    """
    if name == "rendered":
        from idc.backbones import rendered

        return rendered.load(weights)
    if name == "resnet101":
        from idc.backbones import resnet101

        return resnet101.load(weights)
    if name in ("pixels96", "pixels224"):
        from idc.backbones import pixels

        return pixels.load(name, weights)
    raise UserError(f"there is no backbone “{name}”; choose one of {', '.join(BACKBONES)}.")
