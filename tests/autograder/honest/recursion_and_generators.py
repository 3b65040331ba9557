"""Recursion instead of loops, generators, comprehensions and the walrus."""

ANSWERS = {
    "ps5.4": [
        """\
def terms(parts, weights):
    for name in parts:
        if weight := weights[name]:
            yield weight * parts[name]


def add(items):
    first, *rest = items
    return first if not rest else first + add(rest)


def joint_loss(parts, weights):
    return add(list(terms(parts, weights)))
""",
    ],
    "ps5.1": [
        """\
def sentence_vector(words, word_mask, mean="length"):
    match mean:
        case "length":
            count = torch.full((len(words),), words.shape[1])
        case "words":
            count = torch.stack([mask.sum().clamp(min=1) for mask in word_mask])
        case _:
            raise ValueError(f"{mean=}")
    rows = (sum(word * m for word, m in zip(sentence, mask)) for sentence, mask in zip(words, word_mask))
    return torch.stack([row / n for row, n in zip(rows, count)])
""",
    ],
}
