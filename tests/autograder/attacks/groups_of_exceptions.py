"""An exception that is its own cause, with a traceback of thousands of frames."""

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
    return deep(4000)
""",
]
