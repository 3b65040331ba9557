"""A thread goes on writing into the tensor that was given back, and shrinks its memory, while it is checked and
sent."""

EXERCISE = "ps1.2"
OUTCOMES = {"wrong", "stopped", "tampered"}
SAYS = ()
CELLS = [
    """\
def meddle(result):
    while True:
        result.add_(1)
        storage = result.untyped_storage()
        size = storage.nbytes()
        try:
            storage.resize_(0)
            storage.resize_(size)
        except RuntimeError:
            pass


def info_nce_gradient(similarity: Tensor) -> Tensor:
    import threading

    result = torch.zeros_like(similarity)
    threading.Thread(target=meddle, args=(result,), daemon=True).start()
    return result
""",
]
