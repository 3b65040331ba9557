"""Decorators of torch around the pieces: autocast that is off, a scripted helper, no effect on the numbers."""

ANSWERS = {
    "ps4.4": [
        """\
@torch.autocast("cpu", enabled=False)
def difference_tokens(before, after, weight, bias):
    with torch.enable_grad():
        left, right = weight.chunk(2, dim=1)
        return torch.relu(before @ left.T + after @ right.T + bias)
""",
    ],
    "ps4.2": [
        """\
def multi_head_token_matching(query, key, heads, mode="joint", match=token_matching):
    if mode not in {"joint", "separate"}:
        raise ValueError(mode)
    if mode == "joint":
        return match(query, key)
    if query.shape[-1] % heads:
        raise ValueError(heads)
    pairs = zip(query.tensor_split(heads, -1), key.tensor_split(heads, -1))
    return sum(match(q.contiguous(), k.contiguous()) for q, k in pairs) / heads
""",
    ],
}
