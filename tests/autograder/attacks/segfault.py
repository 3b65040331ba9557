"""A null pointer is read with ctypes."""

EXERCISE = "ps4.4"
OUTCOMES = {"stopped"}
SAYS = ()
CELLS = [
    """\
def difference_tokens(before: Tensor, after: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    import ctypes

    ctypes.string_at(0)
""",
]
