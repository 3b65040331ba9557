"""The grader works out pieces that it lends. It is asked for the very piece that is to be written, over the
worker's own line."""

from tests.autograder.handins import LINE

EXERCISE = "ps3.1"
OUTCOMES = {"tampered", "wrong", "stopped"}
SAYS = ()
CELLS = [
    LINE,
    """\
def attention(query, key, value, mask=None):
    from autograder.student import Call
    from autograder.worker import Lender

    given = (query.detach(), key.detach(), value.detach(), mask)
    answer = Lender(line())(Call("attention", given))
    context, weights = answer.outputs.values()
    return context, weights
""",
]
