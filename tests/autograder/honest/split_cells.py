"""The cell of an answer was split: signature and body in one, helpers and constants in others, one of them without
an id."""

ANSWERS = {
    "ps3.1": [
        "NEGATIVE = -math.inf\n",
        "def weights_of(scores):\n    return scores.softmax(-1)\n",
        """\
def attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None):
    scores = query @ key.mT / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, NEGATIVE)
    weights = weights_of(scores)
    return weights @ value, weights
""",
    ],
}
