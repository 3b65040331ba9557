"""Results are kept: lru_cache, cached properties, a dictionary of one's own."""

ANSWERS = {
    "ps2.1": [
        """\
from functools import cache, cached_property, lru_cache

KEPT = {}


@lru_cache(maxsize=None)
def speeds(dim):
    return 10000 ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)


@cache
def sinusoidal_encoding(length: int, dim: int) -> Tensor:
    if dim <= 0 or dim % 2:
        raise ValueError("dim must be even")
    if (length, dim) not in KEPT:
        angle = torch.outer(torch.arange(length).double(), speeds(dim))
        KEPT[length, dim] = torch.stack([angle.sin(), angle.cos()], -1).flatten(1).float()
    return KEPT[length, dim]
""",
    ],
}
