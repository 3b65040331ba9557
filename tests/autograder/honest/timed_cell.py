"""The cell of the answer begins with %%time."""

ANSWERS = {
    "ps4.4": [
        """\
%%time
def difference_tokens(before: Tensor, after: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.linear(torch.cat([before, after], dim=-1), weight, bias).relu()
""",
    ],
    "ps4.1": [
        """\
%%time

def token_matching(query: Tensor, key: Tensor) -> Tensor:
    scores = torch.einsum("and,bmd->abnm", query, key)
    return (scores.amax(3).mean(2) + scores.amax(2).mean(2)) / 2
""",
    ],
}
