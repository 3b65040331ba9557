"""Does the captioner look where the change is?

The tokens a decoder attends to are cells of one grid that both pictures share, so a look counts when its peak lies in
the change's box before or after. The look of a caption is the mean of its words' attention.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float
from torch import Tensor

Box = Sequence[float] | Sequence[int]  # x, y, width, height in pixels


def peak(look: Float[Tensor, "N"], grid: tuple[int, int], size: tuple[int, int]) -> tuple[float, float]:
    """The centre (x, y), in pixels, of the cell looked at most. grid: (H, W); size: (width, height) in pixels."""
    height, width = grid
    row, column = divmod(int(look.argmax()), width)
    return (column + 0.5) * size[0] / width, (row + 0.5) * size[1] / height


def pointing(
    look: Float[Tensor, "N"], grid: tuple[int, int], boxes: Iterable[Box | None], size: tuple[int, int]
) -> bool:
    """Whether the peak of a look lies in one of the boxes, each grown by half a cell, a peak's own precision."""
    x, y = peak(look, grid, size)
    margin_x, margin_y = size[0] / grid[1] / 2, size[1] / grid[0] / 2
    return any(
        box is not None
        and box[0] - margin_x <= x <= box[0] + box[2] + margin_x
        and box[1] - margin_y <= y <= box[1] + box[3] + margin_y
        for box in boxes
    )


def chance(grid: tuple[int, int], boxes: Sequence[Box | None], size: tuple[int, int]) -> float:
    """The share of cells whose peak would count: what looking anywhere at random scores."""
    import torch

    cells = torch.eye(grid[0] * grid[1])
    return float(np.mean([pointing(cell, grid, boxes, size) for cell in cells]))
