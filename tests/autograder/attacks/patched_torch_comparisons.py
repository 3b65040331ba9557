"""torch's comparisons are replaced by functions that always say yes."""

EXERCISE = "ps1.1"
SAYS = "not yet"
CELLS = [
    """\
def yes(*given, **named):
    return True


def patch():
    torch.allclose = torch.equal = torch.isclose = torch.testing.assert_close = yes
    Tensor.allclose = Tensor.equal = yes
    return True


PATCHED = patch()
""",
    """\
def info_nce(similarity: Tensor, ready=PATCHED) -> Tensor:
    patch()
    return similarity.sum()
""",
]
