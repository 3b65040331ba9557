"""Modules with layers in other order, more methods, hooks, buffers, properties, and super() in the old way."""

ANSWERS = {
    "ps3.3": [
        """\
class MultiHeadAttention(nn.Module):
    instances = 0

    def __init__(self, dim, heads, dropout=0.0, bias=True, device=None):
        super(MultiHeadAttention, self).__init__()
        if dim % heads:
            raise ValueError("dim must be a multiple of heads")
        MultiHeadAttention.instances += 1
        for name in ("value", "key", "query"):
            setattr(self, name, nn.Linear(dim, dim, bias=bias))
        self.heads, self.dropout = heads, dropout
        self.register_buffer("calls", torch.zeros((), dtype=torch.long), persistent=False)
        self.register_forward_hook(lambda *given: None)

    @property
    def width(self):
        return self.query.in_features // self.heads

    def extra_repr(self):
        return f"heads={self.heads}"

    def project(self, x):
        return self.query(x), self.key(x), self.value(x)

    def between(self, query, key, value, mask=None):
        self.calls += 1
        query, key, value = (split_heads(x, self.heads) for x in (query, key, value))
        scores = query @ key.mT / math.sqrt(self.width)
        if mask is not None:
            scores = scores.masked_fill(~mask, -math.inf)
        weights = scores.softmax(-1)
        kept = F.dropout(weights, self.dropout, self.training)
        return (kept @ value).transpose(1, 2).flatten(2), weights
""",
    ],
}
FULL = ("ps3.3", "ps3.4", "ps3.5")
