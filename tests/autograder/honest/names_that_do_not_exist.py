"""Types in the signature name what was never imported, as the notebook of somebody who wrote them by heart."""

ANSWERS = {
    "ps3.2": [
        """\
def split_heads(x: "jaxtyping.Float[Tensor, 'b l d']", heads: PositiveInt) -> Optional[FloatTensor]:
    return torch.stack(x.chunk(heads, dim=-1), dim=1)
""",
    ],
}
