"""One piece is wrong on purpose, so that the grader lends it; then it is asked for the next one under its name."""

from tests.autograder.handins import LINE, wrong

EXERCISE = "ps4.2"
OUTCOMES = {"tampered", "wrong", "stopped"}
KEEPS = ("ps4.4",)
SAYS = ()
ALSO_WRONG = wrong("ps4.1")
CELLS = [
    LINE,
    """\
def multi_head_token_matching(query, key, heads, mode="joint", match=token_matching):
    from autograder.student import Call
    from autograder.worker import Lender

    found = {}
    for name in ("multi_head_token_matching", "token_matching", "Bank", "__import__"):
        answer = Lender(line())(Call(name, (query.detach(), key.detach(), heads, mode)))
        found |= answer.outputs
    return next(iter(found.values()))
""",
]
