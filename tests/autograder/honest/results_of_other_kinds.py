"""Results come as a list, a named tuple or a dataclass of the student's own, and subclasses of Tensor such as
Parameter."""

ANSWERS = {
    "ps3.1": [
        """\
from typing import NamedTuple


class Found(NamedTuple):
    context: Tensor
    weights: Tensor


def attention(query, key, value, mask=None):
    scores = query @ key.mT / math.sqrt(query.shape[-1])
    weights = (scores if mask is None else scores.masked_fill(~mask, -math.inf)).softmax(-1)
    return Found(weights @ value, weights)
""",
    ],
    "ps3.5": [
        """\
class CrossAttention(MultiHeadAttention):
    def forward(self, x, memory, mask=None):
        query, _, _ = self.project(x)
        _, key, value = self.project(memory)
        return list(self.between(query, key, value, mask))
""",
    ],
}
