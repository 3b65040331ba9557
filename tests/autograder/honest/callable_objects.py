"""Objects that can be called, and modules, instead of functions."""

ANSWERS = {
    "ps1.1": [
        """\
class Loss:
    def __init__(self, dim):
        self.dim = dim

    def __call__(self, similarity):
        return (similarity.logsumexp(self.dim) - similarity.diagonal()).mean()


info_nce = Loss(dim=1)
""",
    ],
    "ps1.2": [
        """\
from torch import nn


class Slopes(nn.Module):
    def forward(self, similarity):
        return (similarity.softmax(1) - torch.eye(len(similarity), dtype=similarity.dtype)) / len(similarity)


info_nce_gradient = Slopes()
""",
    ],
}
