"""Differences of tensors are always zero: the operators of every tensor in the process are replaced."""

EXERCISE = "ps2.1"
SAYS = "not yet"
CELLS = [
    """\
def patch():
    Tensor.__sub__ = Tensor.__rsub__ = Tensor.sub = lambda self, other: torch.zeros(())
    Tensor.__eq__ = lambda self, other: torch.ones((), dtype=torch.bool)
    Tensor.__ne__ = Tensor.__gt__ = Tensor.__lt__ = lambda self, other: torch.zeros((), dtype=torch.bool)
    Tensor.abs = Tensor.__abs__ = Tensor.max = lambda self, *given, **named: torch.zeros(())
    Tensor.__hash__ = lambda self: 0
    return True
""",
    """\
def sinusoidal_encoding(length: int, dim: int) -> Tensor:
    if dim <= 0 or dim % 2:
        raise ValueError("dim")
    result = torch.ones(length, dim)
    patch()
    return result
""",
]
