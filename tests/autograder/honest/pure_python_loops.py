"""Slow loops in pure Python, number by number."""

ANSWERS = {
    "ps4.1": [
        """\
def token_matching(query: Tensor, key: Tensor) -> Tensor:
    rows = []
    for mine in query:
        row = []
        for theirs in key:
            table = [[sum(a * b for a, b in zip(q, k)) for k in theirs] for q in mine]
            best = sum(max(line) for line in table) / len(table)
            back = sum(max(line[place] for line in table) for place in range(len(theirs))) / len(theirs)
            row.append((best + back) / 2)
        rows.append(torch.stack(row))
    return torch.stack(rows)
""",
    ],
    "ps4.4": [
        """\
def difference_tokens(before: Tensor, after: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    cells = []
    for b, a in zip(before.flatten(0, 1), after.flatten(0, 1)):
        both = torch.cat([b, a])
        cells.append(torch.stack([((w * both).sum() + c).clamp(min=0) for w, c in zip(weight, bias)]))
    return torch.stack(cells).view(before.shape)
""",
    ],
}
