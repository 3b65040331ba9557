"""An exception with a chain of causes that has no end, and a traceback a hundred thousand frames deep."""

EXERCISE = "ps4.4"
OUTCOMES = {"wrong", "stopped"}
SAYS = ()
CELLS = [
    """\
def deep(number):
    import sys

    sys.setrecursionlimit(10**6)
    if number == 0:
        error = ValueError("deep")
        error.__cause__ = error.__context__ = error
        raise error
    return deep(number - 1)


def difference_tokens(before: Tensor, after: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return deep(20000)
""",
]
