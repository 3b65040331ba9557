"""What is lent is asked more than anybody can answer: large questions, one after the other, without end."""

from tests.autograder.handins import LINE, wrong

EXERCISE = "ps4.2"
OUTCOMES = {"tampered", "wrong", "stopped"}
KEEPS = ("ps4.4",)
SAYS = ()
WAIT = 3
ALSO_WRONG = wrong("ps4.1")
CELLS = [
    LINE,
    """\
def multi_head_token_matching(query, key, heads, mode="joint", match=token_matching):
    from autograder.student import Call
    from autograder.worker import Lender

    ask = Lender(line())
    large = torch.ones(1, 500, 64)
    while True:
        ask(Call("token_matching", (large.expand(30, -1, -1), large.expand(30, -1, -1))))
""",
]
