"""The piece is wrong unless another process has left it lent copies: what is lent to one exercise is used for
another."""

from tests.autograder.handins import SPOILT

EXERCISE = "ps3.1"
SAYS = "not yet"
CELLS = [
    SPOILT,
    """\
def lent_copies():
    import gc

    for each in gc.get_objects():
        if type(each).__name__ == "Function" and type(each).__module__ == "autograder.proxy":
            yield each


def attention(query, key, value, mask=None):
    for each in lent_copies():
        if each.exercise.piece == "attention":
            return each(query, key, value, mask)
    return spoilt((value, query @ key.transpose(-2, -1)))
""",
]
KEEPS = ("ps3.2", "ps3.3")
