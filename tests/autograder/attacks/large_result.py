"""Results are far too large: billions of numbers that take no memory, and thousands of tensors at once."""

EXERCISE = "ps3.5"
OUTCOMES = {"wrong", "stopped", "tampered"}
SAYS = ()
CELLS = [
    """\
class CrossAttention(MultiHeadAttention):
    def forward(self, x: Tensor, memory: Tensor, mask: Tensor | None = None):
        many = tuple(x.sum() * number for number in range(5000))
        return torch.zeros(1).expand(10**5, 10**5), torch.zeros(3 * 10**7), *many
""",
]
