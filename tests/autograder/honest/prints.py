"""Prints while it is defined and while it is called, to both streams."""

ANSWERS = {
    "ps1.1": [
        """\
import sys

print("now defining")


def info_nce(similarity: Tensor) -> Tensor:
    print("similarity", similarity.shape, similarity)
    print("careful", file=sys.stderr, flush=True)
    sys.stdout.write("6.0\\n")
    return (similarity.logsumexp(1) - similarity.diagonal()).mean()


print("done", info_nce(torch.eye(3)))
""",
    ],
}
