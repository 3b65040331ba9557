"""The result is no tensor but something that is equal to everything, and close to it."""

EXERCISE = "ps1.1"
SAYS = "not yet"
CELLS = [
    """\
class Everything:
    shape = torch.Size([])
    dtype = torch.float32
    requires_grad = True
    device = torch.device("cpu")

    def __eq__(self, other):
        return True

    def __float__(self):
        return 0.0

    def __bool__(self):
        return True

    def __getattr__(self, name):
        return lambda *given, **named: self

    __sub__ = __rsub__ = __mul__ = __rmul__ = __abs__ = __le__ = __lt__ = lambda self, *given: self
    __array_ufunc__ = lambda self, *given, **named: True
    __array__ = lambda self, *given, **named: torch.zeros(()).numpy()


def info_nce(similarity: Tensor):
    return Everything()
""",
]
