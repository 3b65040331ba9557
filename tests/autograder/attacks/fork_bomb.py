"""Every process makes two more, for as long as it is let."""

EXERCISE = "ps3.3"
OUTCOMES = {"wrong", "stopped"}
SAYS = ()
HARMFUL = True
CELLS = [
    """\
EXPLODED = []


def explode():
    import os
    import time

    if EXPLODED:
        return
    EXPLODED.append(1)
    deadline = time.monotonic() + 1.5
    first = os.getpid()
    while time.monotonic() < deadline:
        try:
            os.fork()
        except OSError:
            time.sleep(0.01)
    if os.getpid() != first:
        os._exit(0)


class MultiHeadAttention(nn.Module):
    def __init__(self, dim: int, heads: int, dropout: float = 0.0):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(dim, dim) for _ in range(3))

    def project(self, x):
        return self.query(x), self.key(x), self.value(x)

    def between(self, query, key, value, mask=None):
        explode()
        return query, query
""",
]
