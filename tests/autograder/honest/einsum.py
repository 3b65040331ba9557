"""einsum for everything."""

ANSWERS = {
    "ps3.2": [
        "def split_heads(x, heads):\n    return torch.einsum('blhd->bhld', x.unflatten(2, (heads, -1)))\n"
    ],
    "ps3.1": [
        """\
def attention(query, key, value, mask=None):
    scores = torch.einsum("...qd,...kd->...qk", query, key) / query.shape[-1] ** 0.5
    if mask is not None:
        scores = scores.where(mask, torch.tensor(float("-inf"), dtype=scores.dtype))
    weights = scores.softmax(-1)
    return torch.einsum("...qk,...kd->...qd", weights, value), weights
""",
    ],
}
