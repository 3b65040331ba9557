"""Works in double precision inside, and in bfloat16 where numbers are only compared."""

ANSWERS = {
    "ps1.1": [
        """\
def info_nce(similarity: Tensor) -> Tensor:
    wide = similarity.double()
    rough_top = similarity.detach().bfloat16().amax(1, keepdim=True)  # any number near the largest will do
    shifted = wide - rough_top.double()
    top = shifted.detach().amax(1, keepdim=True)
    loss = (shifted - top).exp().sum(1).log() + top.squeeze(1) - shifted.diagonal()
    return loss.mean().to(similarity.dtype)
""",
    ],
    "ps4.1": [
        """\
def token_matching(query: Tensor, key: Tensor) -> Tensor:
    scores = torch.einsum("and,bmd->abnm", query.double(), key.double())
    both = scores.amax(3).mean(2) + scores.amax(2).mean(2)
    return both.mul(0.5).to(query.dtype)
""",
    ],
}
