"""What is lent is asked more than anybody can answer: large questions, one after the other, without end."""

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

    ask = Lender(line())
    large = torch.ones(1, 500, 64)
    while True:
        ask(Call("token_matching", (large.expand(30, -1, -1), large.expand(30, -1, -1))))
""",
]
