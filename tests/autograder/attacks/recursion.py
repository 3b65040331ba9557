"""The limit of recursion is lifted, and the stack runs over."""

EXERCISE = "ps4.2"
OUTCOMES = {"stopped", "wrong"}
SAYS = ()
CELLS = [
    """\
class Nested:
    def __getattr__(self, name):
        return getattr(self, name + "x")


def multi_head_token_matching(query, key, heads, mode="joint", match=token_matching):
    import sys

    sys.setrecursionlimit(2**30)
    return Nested().anything
""",
]
