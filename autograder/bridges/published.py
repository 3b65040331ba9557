"""Files of the published SCORER project as a hand-in: its classes as pieces of this kit.

An earlier form of the course asked for changes in four files of the published project (CBR.py, SCORER.py,
transformer_decoder.py and the one that trains). Its classes take a configuration, carry other names and ask for a GPU;
their layers have the same meaning. What is bridged:

    CrossEn()(similarity)                                    -> info_nce
    PositionEncoding(n_filters, max_len).pe                  -> sinusoidal_encoding
    SelfAttention(cfg)(query, key, value, mask)              -> SelfAttention
    CrossAttention(cfg)(query, key, value, mask)             -> CrossAttention
    Attention(cfg)(query, key, value) of SCORER.py           -> CrossViewLayer
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from idc.pieces import CrossView

OURS = {
    "CrossEn": "info_nce",
    "PositionEncoding": "sinusoidal_encoding",
    "SelfAttention": "SelfAttention",
    "CrossAttention": "CrossAttention",
    "Attention": "CrossViewLayer",
}  # published name -> the kit's


def is_published(name: str, found: Any) -> bool:
    """Whether something is a class as the published project writes it."""
    if name not in OURS or not isinstance(found, type):
        return False
    if name in ("CrossEn", "PositionEncoding"):
        return True
    return (
        len(inspect.signature(found).parameters) == 1
    )  # a configuration; the kit's take dim, heads, dropout


def settings(dim: int, heads: int) -> Any:
    """The part of the published configuration that these classes read."""
    part = SimpleNamespace(att_dim=dim, att_head=heads)
    return SimpleNamespace(model=SimpleNamespace(transformer_encoder=part, transformer_decoder=part))


@contextlib.contextmanager
def any_device() -> Iterator[None]:
    """Without a GPU, `.cuda()` leaves a tensor where it is."""
    if torch.cuda.is_available():
        yield
        return
    before = Tensor.cuda
    Tensor.cuda = lambda tensor, *_, **__: tensor  # type: ignore[method-assign]
    try:
        yield
    finally:
        Tensor.cuda = before  # type: ignore[method-assign]


def looks(mask: Tensor | None, batch: int, rows: int, columns: int) -> Tensor | None:
    """A mask of this kit as the published classes take it: (B, Lq, Lk), 1 where one may look."""
    if mask is None:
        return None
    heads = mask.shape[-3] if mask.ndim > 2 else 1
    if heads != 1:
        raise ValueError("published attention knows no mask of its own for every head")
    return mask.reshape(-1, *mask.shape[-2:]).expand(batch, rows, columns).float()


def loss(theirs: Callable[[], Any]) -> Callable[[Tensor], Tensor]:
    def info_nce(similarity: Tensor) -> Tensor:
        with any_device():
            return theirs()(similarity)

    return info_nce


def encoding(theirs: Callable[..., Any]) -> Callable[[int, int], Tensor]:
    def sinusoidal_encoding(length: int, dim: int) -> Tensor:
        if dim <= 0 or dim % 2:
            raise ValueError(f"dim must be a positive even number; it is {dim}")
        return theirs(dim, length).pe.reshape(length, dim)

    return sinusoidal_encoding


def self_attention(theirs: type[nn.Module]) -> type[nn.Module]:
    class SelfAttention(theirs):  # type: ignore[misc, valid-type]
        def __init__(self, dim: int, heads: int, dropout: float = 0.0):
            super().__init__(settings(dim, heads))
            self.dropout = nn.Dropout(dropout)

        def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
            batch, length, _ = x.shape
            with any_device():
                result = super().forward(x, x, x, looks(mask, batch, length, length))
            return result if isinstance(result, Tensor) else result[0]

    return SelfAttention


def cross_attention(theirs: type[nn.Module]) -> type[nn.Module]:
    class CrossAttention(theirs):  # type: ignore[misc, valid-type]
        def __init__(self, dim: int, heads: int, dropout: float = 0.0):
            super().__init__(settings(dim, heads))
            self.heads, self.dropout = heads, nn.Dropout(dropout)

        def forward(self, x: Tensor, memory: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
            seen = looks(mask, len(x), x.shape[1], memory.shape[1])
            with any_device():
                result = super().forward(x, memory, memory, seen)
            return result if isinstance(result, Tensor) else result[0], head_weights(
                self.query(x), self.key(memory), self.heads, seen
            )

    return CrossAttention


def cross_view(theirs: type[nn.Module]) -> type[nn.Module]:
    class CrossViewLayer(nn.Module):
        """Both directions by the published class, which does attention, residual, norm and matching of one."""

        def __init__(self, dim: int, heads: int, dropout: float = 0.1, matching: Any = None):
            super().__init__()
            self.heads = heads
            layer: Any = theirs(settings(dim, heads))
            layer.dropout = nn.Dropout(dropout)
            object.__setattr__(
                self, "layer", layer
            )  # its parameters are registered below, under the kit's names
            self.attention = nn.ModuleDict({name: getattr(layer, name) for name in ("query", "key", "value")})
            self.layer_norm, self.logit_scale, self.drop = layer.layer_norm, layer.logit_scale, layer.dropout

        def forward(self, before: Tensor, after: Tensor, match: bool = True) -> CrossView:
            layer: Any = self.layer
            with any_device():
                new_before, b2a = layer(before, after, after)[:2]
                new_after, a2b = layer(after, before, before)[:2]
            query, key = layer.query, layer.key
            to_after = head_weights(query(before), key(after), self.heads)
            to_before = head_weights(query(after), key(before), self.heads)
            return CrossView(
                new_before, new_after, b2a if match else None, a2b if match else None, to_after, to_before
            )

    return CrossViewLayer


def head_weights(query: Tensor, key: Tensor, heads: int, seen: Tensor | None = None) -> Tensor:
    """Where every head looks, (B, H, Lq, Lk), for drawings: the published classes give a mean over heads."""
    query, key = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (query, key))
    one_hot = torch.eye(key.shape[2], dtype=key.dtype, device=key.device).expand(*key.shape[:2], -1, -1)
    mask = None if seen is None else seen[:, None] != 0
    return F.scaled_dot_product_attention(query, key, one_hot, mask)


BRIDGES: dict[str, Callable[[Any], Any]] = {
    "CrossEn": loss,
    "PositionEncoding": encoding,
    "SelfAttention": self_attention,
    "CrossAttention": cross_attention,
    "Attention": cross_view,
}
