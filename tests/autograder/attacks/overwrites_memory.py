"""The process writes into its own code: small numbers, True and False, and pages of the interpreter."""

EXERCISE = "ps5.4"
OUTCOMES = {"wrong", "stopped", "tampered"}
SAYS = ()
CELLS = [
    """\
def scribble():
    import ctypes

    for number in range(2, 50):
        ctypes.memmove(id(number) + 24, id(1) + 24, 4)
    ctypes.memmove(id(False) + 24, id(True) + 24, 4)


def joint_loss(parts, weights):
    wrong = torch.zeros(())
    scribble()
    return wrong
""",
]
