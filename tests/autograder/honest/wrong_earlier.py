"""The first exercise is wrong; those that build on it are right, and must not pay for it a second time."""

ANSWERS = {
    "ps3.1": [
        """\
def attention(query, key, value, mask=None):
    weights = (query @ key.transpose(-2, -1)).softmax(dim=-1)
    return weights @ value, weights
""",
    ],
}
FULL = ("ps3.2", "ps3.3", "ps3.4", "ps3.5")
NONE = ("ps3.1",)
