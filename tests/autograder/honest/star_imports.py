"""`from torch import *` and friends, which hide builtins of Python such as sum, max, abs and all."""

ANSWERS = {
    "ps1.1": [
        """\
from math import *
from torch import *
from torch.nn.functional import *


def info_nce(similarity):
    return mean(logsumexp(similarity, 1) - diagonal(similarity))
""",
    ],
    "ps1.2": [
        """\
def info_nce_gradient(similarity):
    rows = softmax(similarity, 1)
    return div(sub(rows, eye(rows.shape[0], dtype=rows.dtype)), rows.shape[0])
""",
    ],
}
