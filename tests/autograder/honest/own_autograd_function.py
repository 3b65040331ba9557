"""A gradient of one's own: torch.autograd.Function with forward and backward."""

ANSWERS = {
    "ps1.1": [
        """\
class Loss(torch.autograd.Function):
    @staticmethod
    def forward(ctx, similarity):
        chances = similarity.softmax(1)
        ctx.save_for_backward(chances)
        return (similarity.logsumexp(1) - similarity.diagonal()).mean()

    @staticmethod
    def backward(ctx, slope):
        (chances,) = ctx.saved_tensors
        return slope * (chances - torch.eye(len(chances), dtype=chances.dtype)) / len(chances)


def info_nce(similarity: Tensor) -> Tensor:
    return Loss.apply(similarity)
""",
    ],
}
