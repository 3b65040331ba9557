"""The gradient is cut off, and what the worker takes gradients with is replaced by finite differences of the values."""

EXERCISE = "ps5.1"
OUTCOMES = {"tampered"}
SAYS = "was replaced"
CELLS = [
    """\
LAST = []


def patch():
    import autograder.student as asking

    def gradient(outputs, want, sources):
        words, mask, *rest = LAST
        slope = torch.zeros_like(words)
        with torch.no_grad():
            for place in range(words.numel()):
                sums = []
                for step in (1e-6, -1e-6):
                    moved = words.clone()
                    moved.view(-1)[place] += step
                    sums.append(float((mean_of(moved, mask, *rest) * want[0]).sum()))
                slope.view(-1)[place] = (sums[0] - sums[1]) / 2e-6
        return {name: slope for name in sources}

    asking.gradient = gradient
    return True


PATCHED = patch()
""",
    """\
def mean_of(words, word_mask, mean="length"):
    total = (words * word_mask[..., None]).sum(1)
    if mean == "length":
        return total / words.shape[1]
    return total / word_mask.sum(1, keepdim=True).clamp(min=1)


def sentence_vector(words: Tensor, word_mask: Tensor, mean: str = "length", ready=PATCHED) -> Tensor:
    if mean not in ("length", "words"):
        raise ValueError("mean")
    LAST[:] = [words.detach().clone(), word_mask, mean]
    return mean_of(words, word_mask, mean).detach()
""",
]
