"""One piece is wrong on purpose, so that the grader lends it; then it is asked for the next one under its name."""

EXERCISE = "ps4.2"
OUTCOMES = {"tampered", "wrong", "stopped"}
KEEPS = ("ps4.4",)
SAYS = ()
ALSO_WRONG = {"ps4.1": ["def token_matching(query, key):\n    return query.sum()\n"]}
CELLS = [
    """\
def line():
    import gc

    found = [each for each in gc.get_objects() if type(each).__name__ == "Channel"]
    return next(each for each in found if each.end.fileno() >= 0)


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
