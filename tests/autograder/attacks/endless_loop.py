"""The piece never comes back."""

EXERCISE = "ps5.4"
OUTCOMES = {"stopped"}
SAYS = "time"
CELLS = [
    """\
def joint_loss(parts, weights):
    while True:
        pass
""",
]
