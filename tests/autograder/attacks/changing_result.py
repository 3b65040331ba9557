"""The result gives other tensors at every look: one when it is counted, another when it is checked, a third when
it is sent."""

EXERCISE = "ps4.3"
SAYS = "not yet"
CELLS = [
    """\
class Moody:
    looks = 0

    def __init__(self, before, after):
        self.__dict__.update(before=before, after=after, similarity_b2a=before, similarity_a2b=after)
        self.__dict__.update(weights_before=before, weights_after=after)

    def __getattribute__(self, name):
        Moody.looks += 1
        found = object.__getattribute__(self, name)
        return found * Moody.looks if isinstance(found, Tensor) else found


class CrossViewLayer(nn.Module):
    def __init__(self, dim: int, heads: int, dropout: float = 0.1, matching=token_matching):
        super().__init__()
        self.attention = CrossAttention(dim, heads, dropout)
        self.layer_norm = nn.LayerNorm(dim, eps=1e-6)
        self.logit_scale = nn.Parameter(torch.ones(()))

    def forward(self, before: Tensor, after: Tensor, match: bool = True):
        return Moody(before, after)
""",
]
