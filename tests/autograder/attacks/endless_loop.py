"""The piece never comes back."""

EXERCISE = "ps5.4"
OUTCOMES = {"stopped"}
SAYS = "did not come to an end"
CELLS = [
    """\
def joint_loss(parts, weights):
    while True:
        pass
""",
]
