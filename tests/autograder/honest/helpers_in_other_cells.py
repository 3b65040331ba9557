"""Functions, constants and classes that the piece needs stand in cells of their own, some of them below it."""

ANSWERS = {
    "ps1.1": [
        "def row_loss(row, place):\n    return log_sum_exp(row) - row[place]\n",
        "ROWS = 1\nNOTHING = None\n",
        """\
def info_nce(similarity: Tensor) -> Tensor:
    losses = Losses()
    for place, row in enumerate(similarity):
        losses.add(row_loss(row, place))
    return losses.mean(dim=ROWS - 1)
""",
    ],
    "ps1.2": [
        "def log_sum_exp(row):\n    top = row.max()\n    return top + (row - top).exp().sum().log()\n",
        """\
class Losses(list):
    def add(self, loss):
        self.append(loss)

    def mean(self, dim):
        return torch.stack(self).mean(dim)
""",
        """\
def info_nce_gradient(similarity: Tensor) -> Tensor:
    leaf = similarity.detach().clone().requires_grad_()
    return torch.autograd.grad(info_nce(leaf), leaf)[0]
""",
    ],
}
