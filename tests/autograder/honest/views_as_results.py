"""Results are views: expanded, transposed, strided, a part of something larger, the same memory twice."""

ANSWERS = {
    "ps3.2": [
        """\
def split_heads(x: Tensor, heads: int) -> Tensor:
    batch, length, dim = x.shape
    sample, token, number = x.stride()
    return x.as_strided((batch, heads, length, dim // heads), (sample, dim // heads * number, token, number))
""",
    ],
    "ps3.1": [
        """\
def attention(query, key, value, mask=None):
    scores = torch.einsum("bhqd,bhkd->bhkq", query, key) * query.shape[-1] ** -0.5
    if mask is not None:
        hidden = ~mask.expand(scores.mT.shape)
        scores = torch.where(hidden.mT, scores.new_tensor(float("-inf")), scores)
    weights = scores.softmax(dim=2).mT
    large = torch.cat([weights @ value, weights @ value * 0], dim=-1)
    return large[..., : value.shape[-1]], weights
""",
    ],
}
