"""Threads are started until no more can be."""

EXERCISE = "ps2.2"
OUTCOMES = {"wrong", "stopped"}
SAYS = ()
HARMFUL = True
CELLS = [
    """\
def grid_encoding(column: Tensor, row: Tensor) -> Tensor:
    import threading
    import time

    for _ in range(3000):
        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
    return torch.zeros(1)
""",
]
