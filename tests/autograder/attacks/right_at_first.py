"""The first answers are right, later ones are not: whoever asks little believes a lot."""

EXERCISE = "ps1.2"
SAYS = ()
CELLS = [
    """\
CALLS = []


def info_nce_gradient(similarity: Tensor) -> Tensor:
    CALLS.append(1)
    size = len(similarity)
    right = (similarity.softmax(dim=1) - torch.eye(size, dtype=similarity.dtype)) / size
    return right if len(CALLS) < 8 else right * 1.01
""",
]
