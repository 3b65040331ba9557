"""Pieces are made by partial and by lambda."""

ANSWERS = {
    "ps1.1": [
        """\
from functools import partial

loss = lambda dim, s: (s.logsumexp(dim) - s.diagonal()).mean()
info_nce = partial(loss, 1)
""",
    ],
    "ps1.2": ["info_nce_gradient = lambda s: (s.softmax(1) - torch.eye(len(s), dtype=s.dtype)) / len(s)\n"],
}
