"""Types of jaxtyping in the signature, with and without the checker, and a type alias."""

ANSWERS = {
    "ps1.1": [
        """\
from beartype import beartype
from jaxtyping import Float, jaxtyped

Similarity = Float[Tensor, "b b"]


@jaxtyped(typechecker=beartype)
def info_nce(similarity: Similarity) -> Float[Tensor, ""]:
    return (similarity.logsumexp(1) - similarity.diagonal()).mean()
""",
    ],
    "ps1.2": [
        """\
def info_nce_gradient(similarity: Float[Tensor, "b b"]) -> Float[Tensor, "b b"]:
    probabilities: Float[Tensor, "b b"] = similarity.softmax(dim=1)
    size: int = len(similarity)
    one_hot: "Tensor" = torch.eye(size, dtype=similarity.dtype)
    return (probabilities - one_hot) / size
""",
    ],
}
