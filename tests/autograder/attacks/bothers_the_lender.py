"""What is lent is used for harm: methods that were not meant, arguments without end, more questions than anybody
can answer."""

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
    large = torch.ones(1, 2000, 512)
    for method in ("__reduce_ex__", "__class__", "numpy", "tofile", "share_memory_", "__globals__", "__init__"):
        ask(Call("token_matching", ("/tmp/idc-was-here-lender",), (2, 3), method))
        ask(Call("token_matching", (2,), (), method))
    while True:
        ask(Call("token_matching", (large.expand(30, -1, -1), large.expand(30, -1, -1))))
""",
]
