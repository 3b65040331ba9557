"""Pieces inside `if`, in a class of functions, taken out by names of one's own, with `global` and nonlocal state."""

ANSWERS = {
    "ps5.4": [
        """\
USE_STACK = True
total_calls = 0

if USE_STACK:

    def joint_loss(parts, weights):
        global total_calls
        total_calls += 1
        kept = [weights[name] * part for name, part in parts.items() if weights[name] != 0]
        return torch.stack(kept).sum()

else:

    def joint_loss(parts, weights):
        raise NotImplementedError
""",
    ],
    "ps5.1": [
        """\
class Vectors:
    @classmethod
    def mean_by_length(cls, words, mask):
        return torch.einsum("bld,bl->bd", words, mask.to(words.dtype)) / words.shape[1]

    @classmethod
    def mean_by_words(cls, words, mask):
        return cls.mean_by_length(words, mask) * words.shape[1] / mask.sum(1, keepdim=True).clamp(min=1)


WAYS = {"length": Vectors.mean_by_length, "words": Vectors.mean_by_words}


def sentence_vector(words, word_mask, mean="length"):
    if mean not in WAYS:
        raise ValueError(mean)
    return WAYS[mean](words, word_mask)
""",
    ],
}
