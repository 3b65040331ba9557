"""No trick at all: the answer is off by one part in a thousand, in the hope that tolerances are generous."""

EXERCISE = "ps4.1"
SAYS = "not yet"
CELLS = [
    """\
def token_matching(query: Tensor, key: Tensor) -> Tensor:
    product = torch.einsum("and,bmd->abnm", query, key)
    best = (product.amax(3).mean(2) + product.amax(2).mean(2)) / 2
    return best * 1.001
""",
]
