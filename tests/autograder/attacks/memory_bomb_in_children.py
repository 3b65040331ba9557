"""Many processes take a little less memory each than one may have, so that a limit on one is no limit on all."""

EXERCISE = "ps5.2"
OUTCOMES = {"wrong", "stopped"}
SAYS = ()
HARMFUL = True
CELLS = [
    """\
def explode():
    import os
    import time

    for _ in range(64):
        try:
            if os.fork() == 0:
                held = [bytearray(b"x" * 2**20) for _ in range(100)]
                time.sleep(2)
                os._exit(0)
        except OSError:
            break
    time.sleep(1)


class Hallucination(nn.Module):
    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.merge, self.imagine = nn.Linear(2 * dim, dim), nn.Linear(dim, dim)
        self.qkv, self.out = nn.Linear(dim, 3 * dim, bias=False), nn.Linear(dim, dim, bias=False)

    def hallucinate(self, before: Tensor, sentence: Tensor) -> Tensor:
        explode()
        return before * 2
""",
]
