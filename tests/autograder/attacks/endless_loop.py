"""The piece never comes back."""

EXERCISE = "ps5.4"
OUTCOMES = {"stopped"}
SAYS = "did not come to an end"
WAIT = 3
CELLS = [
    """\
def joint_loss(parts, weights):
    while True:
        pass
""",
]
