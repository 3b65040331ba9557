"""Everything that comes back is not a number, in the hope that two of these are called equal."""

EXERCISE = "ps3.1"
SAYS = "not yet"
CELLS = [
    """\
def attention(query, key, value, mask=None):
    shape = (*query.shape[:-1], key.shape[-2])
    weights = torch.full(shape, float("nan"), dtype=query.dtype) + 0 * query.sum()
    return weights @ value, weights
""",
]
