"""Exceptions that cannot be shown: their text is a hundred megabytes, takes for ever or raises, and so does their
name."""

EXERCISE = "ps3.2"
OUTCOMES = {"wrong", "stopped", "tampered"}
SAYS = ()
WAIT = 3
CELLS = [
    """\
CALLS = []


class Long(Exception):
    def __str__(self):
        return "x" * 10**8


class Raising(Exception):
    def __str__(self):
        raise SystemExit(0)

    __repr__ = __str__


class NoText(Exception):
    def __str__(self):
        return 7


class Meta(type):
    __name__ = property(lambda cls: "y" * 10**8)


class Named(Exception, metaclass=Meta):
    pass


class Endless(Exception):
    def __str__(self):
        while True:
            pass


def split_heads(x: Tensor, heads: int) -> Tensor:
    CALLS.append(1)
    raise (Long, Raising, NoText, Named, Endless)[len(CALLS) % 5]()
""",
]
