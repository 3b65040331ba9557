"""Pieces call each other by keyword, with arguments that are keyword-only, and take more than they were asked to."""

ANSWERS = {
    "ps3.1": [
        """\
def scores_of(*, query, key, scale):
    return torch.matmul(input=query, other=key.transpose(dim0=-2, dim1=-1)).mul(other=scale)


def attention(query, key, value, mask=None, *, scale=None, **more):
    scale = scale or 1 / math.sqrt(query.size(dim=-1))
    scores = scores_of(key=key, query=query, scale=scale)
    if mask is not None:
        scores = scores.masked_fill(mask=mask.logical_not(), value=float("-inf"))
    weights = torch.softmax(input=scores, dim=-1)
    return torch.matmul(weights, value), weights
""",
    ],
    "ps3.2": [
        """\
def split_heads(x, heads, /, *, order=(0, 2, 1, 3)):
    batch, length, dim = x.size()
    return torch.reshape(x, shape=(batch, length, heads, dim // heads)).permute(dims=order)
""",
    ],
}
