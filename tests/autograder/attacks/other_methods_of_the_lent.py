"""A class is wrong on purpose, so that the grader lends it; then methods of it are asked for that nobody meant to lend."""

from tests.autograder.handins import LINE

EXERCISE = "ps3.4"
OUTCOMES = {"tampered"}
KEEPS = ("ps3.2",)
SAYS = "was asked for and not lent"
ALSO_WRONG = {
    "ps3.3": [
        """\
class MultiHeadAttention(nn.Module):
    def __init__(self, dim, heads, dropout=0.0):
        super().__init__()
"""
    ]
}
CELLS = [
    LINE,
    """\
class SelfAttention(MultiHeadAttention):
    def forward(self, x, mask=None):
        from autograder.student import Call
        from autograder.worker import Lender

        ask = Lender(line())
        for method in ("compile", "register_buffer", "load_state_dict", "__setattr__", "__reduce_ex__", "__init__", "to"):
            ask(Call("MultiHeadAttention", ("/tmp/idc-was-here-lender",), (4, 2), method))
        return x
""",
]
