"""Named batches: what flows from a data set to a system."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Pairs:
    """B picture pairs as grids, each with one caption.

    before, after: (B, C, H, W) grids. words: (B, L) token ids, START … END, padded with 0.
    image_ids: B names; in CLEVR-Change "000002.png" for a change pair and "000002.png_n" for a no-change pair.
    """

    before: Float[Tensor, "B C H W"]
    after: Float[Tensor, "B C H W"]
    words: Int[Tensor, "B L"]
    image_ids: tuple[str, ...]

    def to(self, device: torch.device | str) -> Pairs:
        moved: dict[str, Any] = {
            field.name: value.to(device, non_blocking=True)
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), Tensor)
        }
        return replace(self, **moved)

    def __len__(self) -> int:
        return len(self.image_ids)


@dataclass(frozen=True)
class Batch:
    """The two passes of a training step: pairs with a real change and pairs with none.

    Where both begin with the same pictures, `change.before is no_change.before`. Data sets without distractors
    have no second pass: `no_change` is None.
    """

    change: Pairs
    no_change: Pairs | None = None

    def to(self, device: torch.device | str) -> Batch:
        change, no_change = self.change.to(device), self.no_change
        if no_change is None:
            return Batch(change)
        if no_change.before is self.change.before:
            no_change = replace(no_change, before=change.before)
        return Batch(change, no_change.to(device))

    def passes(self) -> tuple[Pairs, ...]:
        """The change pairs, and the no-change pairs where there are any."""
        return (self.change,) if self.no_change is None else (self.change, self.no_change)

    def __len__(self) -> int:
        return len(self.change)
