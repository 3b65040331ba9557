"""Memory is taken until there is none: by Python, by torch, and shared memory as well."""

EXERCISE = "ps4.1"
OUTCOMES = {"wrong", "stopped"}
SAYS = ()
WAIT = 3
HARMFUL = True
CELLS = [
    """\
def token_matching(query: Tensor, key: Tensor) -> Tensor:
    held = []
    while True:
        held.append(bytearray(2**26))
        held.append(torch.ones(2**24))
""",
]
