"""Functional tools of torch: vmap, grad and jacrev inside the pieces."""

ANSWERS = {
    "ps1.1": [
        """\
from torch.func import grad, vmap


def info_nce(similarity: Tensor) -> Tensor:
    rows = vmap(lambda row, one: row.logsumexp(0) - (row * one).sum())
    return rows(similarity, torch.eye(len(similarity), dtype=similarity.dtype)).mean()
""",
    ],
    "ps1.2": [
        "def info_nce_gradient(similarity: Tensor) -> Tensor:\n    return grad(info_nce)(similarity)\n"
    ],
}
