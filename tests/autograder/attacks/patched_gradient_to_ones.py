"""The gradient is cut off, and autograd itself is replaced by something that gives ones."""

EXERCISE = "ps4.4"
OUTCOMES = {"wrong", "tampered"}
SAYS = "gradient was replaced"
CELLS = [
    """\
def patch():
    import autograder.student as asking

    ones = lambda outputs, inputs, *given, **named: tuple(torch.ones_like(each) for each in inputs)
    torch.autograd.grad = ones
    asking.gradient = lambda outputs, want, sources: {name: torch.ones_like(each) for name, each in sources.items()}
    Tensor.requires_grad = property(lambda self: True, lambda self, value: None)
    return True


PATCHED = patch()
""",
    """\
def difference_tokens(before: Tensor, after: Tensor, weight: Tensor, bias: Tensor, ready=PATCHED) -> Tensor:
    return F.linear(torch.cat([before, after], dim=-1), weight, bias).relu().detach()
""",
]
