"""All descriptors are used up: files, pipes and sockets are opened until there are no more, and none is closed."""

EXERCISE = "ps5.2"
OUTCOMES = {"wrong", "stopped", "tampered"}
SAYS = ()
HARMFUL = True
CELLS = [
    """\
HELD = []


def use_up():
    import os
    import socket

    for make in (os.pipe, socket.socketpair, lambda: os.open("/dev/null", os.O_RDONLY)):
        try:
            while len(HELD) < 10**5:
                HELD.append(make())
        except OSError:
            pass


class Hallucination(nn.Module):
    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.merge, self.imagine = nn.Linear(2 * dim, dim), nn.Linear(dim, dim)
        self.qkv, self.out = nn.Linear(dim, 3 * dim, bias=False), nn.Linear(dim, dim, bias=False)

    def hallucinate(self, before: Tensor, sentence: Tensor) -> Tensor:
        use_up()
        return before * 2
""",
]
