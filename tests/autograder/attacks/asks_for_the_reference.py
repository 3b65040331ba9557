"""The grader works out pieces that it lends. It is asked for the very piece that is to be written, over the
worker's own line."""

EXERCISE = "ps3.1"
OUTCOMES = {"tampered", "wrong", "stopped"}
SAYS = ()
CELLS = [
    """\
def line():
    import gc

    return next(each for each in gc.get_objects() if type(each).__name__ == "Channel")


def attention(query, key, value, mask=None):
    from autograder.student import Call
    from autograder.worker import Lender

    answer = Lender(line())(Call("attention", (query, key, value, mask)))
    context, weights = answer.outputs.values()
    return context, weights
""",
]
