"""The result is a subclass of Tensor that lies about its shape, its size and its device, and is far too large to
be sent."""

EXERCISE = "ps2.2"
OUTCOMES = {"wrong", "stopped", "tampered"}
SAYS = ()
CELLS = [
    """\
class Small(Tensor):
    shape = property(lambda self: torch.Size([2, 2, 2]))
    device = property(lambda self: torch.device("cpu"))
    is_sparse = property(lambda self: False)

    def numel(self):
        return 8

    def size(self, *given):
        return self.shape

    def to_dense(self, *given, **named):
        return self

    def detach(self):
        return self

    def clone(self, *given, **named):
        return self

    def contiguous(self, *given, **named):
        return self


def grid_encoding(column: Tensor, row: Tensor) -> Tensor:
    return torch.zeros(1).expand(10**6, 10**6).as_subclass(Small)
""",
]
